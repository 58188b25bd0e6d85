/* programs: the lists of globs in a section, and which of this machine's files they fit; runs none. */
#ifndef PORTFENCE_MACHINE_PROGRAMS_H
#define PORTFENCE_MACHINE_PROGRAMS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define PROGRAMS_LONGEST 200 /* no line of the configuration is longer */

/**
 * programs_next() - Step through a list: "/opt/erp/bin/<all>, erpd"
 * @list:	moves on
 *
 * Return: false at the end
 */
bool programs_next(const char **list, char ret_glob[PROGRAMS_LONGEST]);

/* How a search went that has found nothing. Begin with zeros. */
struct programs_search {
	char unseen[PATH_MAX]; /* a folder that could not be looked into, or "" */
	int error;             /* why not, an errno */
	size_t files;          /* looked at */
	bool cut;              /* there are more than anybody wants to wait for */
};

/**
 * programs_find_program() - Is there an executable file that a glob of `match` fits?
 *
 * As policy_match() has it: a glob with a slash is held against paths, and its
 * '*' may stand for slashes, too; one without against names, of which those in
 * PATH and in the system's folders are looked at.
 */
bool programs_find_program(const char *glob, struct programs_search *search);

#endif
