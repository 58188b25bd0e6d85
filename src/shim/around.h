/* around: what is done before and after a real call that may need a port; it knows no call by name. */
#ifndef PORTFENCE_SHIM_AROUND_H
#define PORTFENCE_SHIM_AROUND_H

#include "../core/assign.h"
#include "shim.h"

#include <errno.h>
#include <stdbool.h>

/* around_begin() - assign_begin(), with its failure told; @name is the call's. Return: its answer */
int around_begin(struct shim *now, struct assign *assign, const char *name);

/* around_end() - assign_end(). Return: true if the real call has to be made again. errno may have changed. */
bool around_end(struct shim *now, struct assign *assign, const char *name, int *error);

/**
 * AROUND() - Make a real call, the expression @call of type @type, between the two
 *
 * errno is what the real call made of the program's own. Return: the call's result
 */
#define AROUND(type, now, assign, name, call)                                                      \
	({                                                                                         \
		int around_saved = errno, around_error;                                            \
		type around_result = -1;                                                           \
		int around_rc = around_begin(now, assign, name);                                   \
                                                                                                   \
		if (around_rc < 0) {                                                               \
			errno = -around_rc;                                                        \
		} else {                                                                           \
			do {                                                                       \
				errno = around_saved;                                              \
				around_result = around_rc == ASSIGN_MADE ? 0 : (call);             \
				around_error = around_result < 0 ? errno : 0;                      \
				around_saved = around_error ? around_saved : errno;                \
			} while (around_end(now, assign, name, &around_error));                    \
			errno = around_error ? around_error : around_saved;                        \
			if (around_error)                                                          \
				around_result = -1;                                                \
		}                                                                                  \
		around_result;                                                                     \
	})

#endif
