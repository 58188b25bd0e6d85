/* programs: whether what `match` names is on this machine; it searches no folders and runs nothing. */
#ifndef PORTFENCE_MACHINE_PROGRAMS_H
#define PORTFENCE_MACHINE_PROGRAMS_H

#include "../core/policy.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * programs_find() - Could a rule fit a program on this machine?
 * @ret_text:	if not, what is missing: "no program on this machine ...". If that cannot be told, why
 *
 * Of a rule without `match`, its name has to be a program's. A path has to be an executable file,
 * and a name one in PATH or in the system's folders. Of a path with wildcards, the folder in front of
 * them has to be there; a name with wildcards may fit anything. A path that does not begin with '/'
 * fits nothing: what a process was started as rarely is spelt so.
 *
 * Return: 1, 0, or -errno if a path cannot be looked at
 */
int programs_find(const struct rule *rule, char *ret_text, size_t size);

/* programs_relative() - Does `match` hold a path that does not begin with '/', which fits nothing? */
bool programs_relative(const struct rule *rule);

#endif
