/* newsocket: makes a socket for a program, as the program would make it; it serves no other call. */
#ifndef PORTFENCE_SUPERVISOR_NEWSOCKET_H
#define PORTFENCE_SUPERVISOR_NEWSOCKET_H

#include "../core/policy.h"
#include "caller.h"

#include <stdbool.h>

/**
 * newsocket_suits() - Will the kernel do all the rest, once a socket is born with its range?
 *
 * Where its engine serves all protocols, and nothing else is asked of it: no order or
 * seed, no policy for explicit binds, no map, no other range when the range is used up.
 */
bool newsocket_suits(const struct rule *rule);

/* newsocket_mptcp_keeps() - Does the kernel keep to the range of TCP now, for an MPTCP socket's subflows? */
bool newsocket_mptcp_keeps(const struct rule *rule);

/**
 * newsocket_make_tcp() - Make a plain TCP socket as a caller would, without a range
 *
 * Return: as newsocket_make(); the caller's user is taken on only by a supervisor that rights_drop() let
 */
int newsocket_make_tcp(const struct caller *caller, int domain, int type, const char **ret_why);

/* newsocket_keeps() - Does the kernel keep to a protocol's range, or did it a moment ago? */
bool newsocket_keeps(const struct rule *rule, enum proto proto);

/**
 * newsocket_make() - Make a socket as a caller would
 * @type, @domain, @protocol: of socket(2)
 * @ranged:	set its range, to which the kernel keeps
 * @ret_why:	with -EACCES, what keeps us from it
 *
 * Return: descriptor; -EACCES if it would not be the same, or not be fenced; -EPROTOTYPE if it is
 * none that is fenced, and the program may make it; -ESRCH; another -errno of socket(2)
 */
int newsocket_make(const struct rule *rule, const struct caller *caller, int domain, int type,
		   int protocol, bool ranged, const char **ret_why);

/**
 * newsocket_compare_places() - Would a socket be the same if we made it? But for its user
 * @ret_why:	what is different
 *
 * Return: 0; -EACCES if it would not; -ESRCH
 */
int newsocket_compare_places(const struct caller *caller, const char **ret_why);

/**
 * newsocket_inherited() - Find the sockets that this process has already, and that are fenced
 * @found:	is given each; returns 0, or a -errno to stop with
 *
 * Return: 0, -errno if they cannot be found, or what @found returned
 */
int newsocket_inherited(int (*found)(int fd, enum proto proto, void *context), void *context);

/**
 * newsocket_fence_inherited() - Give the sockets that this process has already their range
 *
 * They were made before the filter, so nobody else will. A socket that has its port keeps it. Return:
 * 0; -errno if they cannot be found, or one does not take it
 */
int newsocket_fence_inherited(const struct rule *rule);

#endif
