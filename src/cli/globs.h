/* globs: the lists of globs in a section, and which of this machine's files they fit; runs none. */
#ifndef PORTFENCE_CLI_GLOBS_H
#define PORTFENCE_CLI_GLOBS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define GLOBS_LONGEST 200 /* no line of the configuration is longer */

/**
 * globs_next() - Step through a list: "/opt/erp/bin/<all>, erpd"
 * @list:	moves on
 *
 * Return: false at the end
 */
bool globs_next(const char **list, char ret_glob[GLOBS_LONGEST]);

/* How a search went that has found nothing. Begin with zeros. */
struct globs_search {
	char unseen[PATH_MAX]; /* a folder that could not be looked into, or "" */
	int error;             /* why not, an errno */
	size_t files;          /* looked at */
	bool cut;              /* there are more than anybody wants to wait for */
};

/**
 * globs_find_program() - Is there an executable file that a glob of `match` fits?
 *
 * As policy_match() has it: a glob with a slash is held against paths, and its
 * '*' may stand for slashes, too; one without against names, of which those in
 * PATH and in the system's folders are looked at.
 */
bool globs_find_program(const char *glob, struct globs_search *search);

#endif
