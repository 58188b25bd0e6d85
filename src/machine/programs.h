/* programs: which of this machine's files a glob fits; it runs none. */
#ifndef PORTFENCE_MACHINE_PROGRAMS_H
#define PORTFENCE_MACHINE_PROGRAMS_H

#include "../core/policy.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

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
