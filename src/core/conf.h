/* conf: from the INI file's text to a policy; of the machine, only slices looks at its name and index. */
#ifndef PORTFENCE_CORE_CONF_H
#define PORTFENCE_CORE_CONF_H

#include "arena.h"
#include "key.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * conf_error_fn - Told of each error as it is found: of a section as a whole, after its lines
 * @line:	line number, 0 where the error is the whole file's
 * @problem:	what is wrong and what is allowed, without a full stop
 */
typedef void conf_error_fn(void *context, const char *file, unsigned line, const char *problem);

/**
 * conf_load() - Read a configuration: a file and its drop-ins, see conf_files_read()
 * @file:	its path; kept in the policy, not copied
 * @foreign:	somebody else named it, so only regular files are opened, and only 64 kB are read
 * @error:	called with each error, not only the first
 * @ret_policy:	the rules; strings and ranges are in @arena
 *
 * Return: 0; -ENOENT if there is no such file, -EINVAL if it was read and has errors,
 * another -errno if it cannot be read (@error was called in each case but -ENOENT)
 */
int conf_load(const char *file, bool foreign, struct arena *arena, conf_error_fn *error,
	      void *context, struct policy *ret_policy);

#endif
