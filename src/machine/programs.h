/* programs: whether what `match` names is on this machine; it searches no folders and runs nothing. */
#ifndef PORTFENCE_MACHINE_PROGRAMS_H
#define PORTFENCE_MACHINE_PROGRAMS_H

#include "../core/policy.h"

/**
 * programs_may_fit() - Could a glob of `match` fit a program?
 * @ret_place:	where that was looked up, on failure
 *
 * A path has to be an executable file, and a name one in PATH or in the system's
 * folders. Of a path with wildcards, the folder in front of them has to be there;
 * a name with wildcards may fit anything.
 *
 * Return: 1, 0, or -errno if the path cannot be looked at
 */
int programs_may_fit(const char *glob, char ret_place[POLICY_GLOB_MAX]);

#endif
