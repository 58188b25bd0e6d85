/* with_port: what is done before and after a real call that may need a port; it knows no call by name. */
#ifndef PORTFENCE_SHIM_WITH_PORT_H
#define PORTFENCE_SHIM_WITH_PORT_H

#include "../core/assign.h"
#include "shim.h"

#include <errno.h>
#include <stdbool.h>

/* with_port_begin() - assign_begin(), with its failure told; @name is the call's. Return: its answer */
int with_port_begin(struct shim *now, struct assign *assign, const char *name);

/* with_port_end() - assign_end(). Return: true if the real call has to be made again. errno may have changed. */
bool with_port_end(struct shim *now, struct assign *assign, const char *name, int *error);

/**
 * AROUND() - Make a real call, the expression @call of type @type, between the two
 *
 * errno is what the real call made of the program's own. Return: the call's result
 */
#define AROUND(type, now, assign, name, call)                                                      \
	({                                                                                         \
		int with_port_saved = errno, with_port_error;                                      \
		type with_port_result = -1;                                                        \
		int with_port_rc = with_port_begin(now, assign, name);                             \
                                                                                                   \
		if (with_port_rc < 0) {                                                            \
			errno = -with_port_rc;                                                     \
		} else {                                                                           \
			do {                                                                       \
				errno = with_port_saved;                                           \
				with_port_result = with_port_rc == ASSIGN_MADE ? 0 : (call);       \
				with_port_error = with_port_result < 0 ? errno : 0;                \
				with_port_saved = with_port_error ? with_port_saved : errno;       \
			} while (with_port_end(now, assign, name, &with_port_error));              \
			errno = with_port_error ? with_port_error : with_port_saved;               \
			if (with_port_error)                                                       \
				with_port_result = -1;                                             \
		}                                                                                  \
		with_port_result;                                                                  \
	})

#endif
