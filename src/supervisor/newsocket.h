/* newsocket: makes a socket for a program, as the program would make it; it serves no other call. */
#ifndef PORTFENCE_SUPERVISOR_NEWSOCKET_H
#define PORTFENCE_SUPERVISOR_NEWSOCKET_H

#include "../core/fence.h"
#include "caller.h"

#include <stdbool.h>

/* newsocket_mptcp_keeps() - Does the kernel keep to the range of TCP now, for an MPTCP socket's subflows? */
bool newsocket_mptcp_keeps(const struct rule *rule);

/* newsocket_keeps() - Does the kernel keep to a protocol's range, or did it a moment ago? */
bool newsocket_keeps(const struct fence *fence, enum proto proto);

/**
 * newsocket_make() - Make a socket as a caller would
 * @type, @domain, @protocol: of socket(2)
 *
 * The caller's user is taken on only by a supervisor that rights_drop() let.
 *
 * Return: descriptor; -EACCES if it would not be the same; -EPROTOTYPE if it is none that is fenced,
 * and the program may make it; -ESRCH; another -errno of socket(2)
 */
int newsocket_make(const struct caller *caller, int domain, int type, int protocol);

/**
 * newsocket_compare_places() - Would a socket be the same if we made it? But for its user
 *
 * Return: 0; -EACCES if it would not; -ESRCH
 */
int newsocket_compare_places(const struct caller *caller);

/**
 * newsocket_inherited() - Find the sockets that this process has already, and that are fenced
 * @found:	is given each
 */
void newsocket_inherited(void (*found)(int fd, void *context), void *context);

#endif
