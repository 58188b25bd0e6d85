/* with_port: gives the socket a port around a real call that may need one; it knows no call by name. */
#ifndef PORTFENCE_SHIM_WITH_PORT_H
#define PORTFENCE_SHIM_WITH_PORT_H

#include "../core/assign.h"
#include "shim.h"

#include <errno.h>
#include <stdbool.h>

/**
 * with_port_begin() - Do what assign_begin() does, and log a failure
 * @name:	of the hooked call, for the log
 *
 * Return: what assign_begin() returns
 */
int with_port_begin(struct shim *shim, struct assign *assign, const char *name);

/**
 * with_port_end() - Do what assign_end() does, and log what became of the call
 * @error:	errno of the real call, 0 if it succeeded; changed if the call has to fail otherwise
 *
 * May change errno. Return: true if the real call has to be made once more
 */
bool with_port_end(struct shim *shim, struct assign *assign, const char *name, int *error);

/**
 * with_port_is_shy() - Has a socket to keep a port outside the range that the kernel may have chosen?
 *
 * So it is where a filter of the program's own may forbid the calls that take it back, and where the socket may come
 * from outside, see assign_keep_port(). A socket that was received is marked. Keeps no errno.
 */
bool with_port_is_shy(struct shim *shim, int fd);

/**
 * WITH_PORT() - Give the socket a port, then make the real call
 * @type:	of the call's result: int or ssize_t
 * @call:	an expression that makes the real call. It may be evaluated not at all, or twice.
 *
 * The real call starts with the program's errno, and the program sees the errno
 * that the real call leaves.
 *
 * Return: the call's result; -1 and errno if no port could be given
 */
#define WITH_PORT(type, shim, assign, name, call)                                                  \
	({                                                                                         \
		int with_port_saved = errno, with_port_error;                                      \
		type with_port_result = -1;                                                        \
		int with_port_rc = with_port_begin(shim, assign, name);                            \
                                                                                                   \
		if (with_port_rc < 0) {                                                            \
			errno = -with_port_rc;                                                     \
		} else {                                                                           \
			do {                                                                       \
				errno = with_port_saved;                                           \
				with_port_result = with_port_rc == ASSIGN_MADE ? 0 : (call);       \
				with_port_error = with_port_result < 0 ? errno : 0;                \
				with_port_saved = with_port_error ? with_port_saved : errno;       \
			} while (with_port_end(shim, assign, name, &with_port_error));             \
			errno = with_port_error ? with_port_error : with_port_saved;               \
			if (with_port_error)                                                       \
				with_port_result = -1;                                             \
		}                                                                                  \
		with_port_result;                                                                  \
	})

#endif
