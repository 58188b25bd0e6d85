#include "passing.h"

#include "caller_memory.h"
#include "gate.h"
#include "sandbox.h"

#include <string.h>

/*
 * Theory of operation
 *
 * A socket that is neither IPv4 nor IPv6 is none of ours, and a program's own
 * sandbox may forbid what we would ask about it. So for such a socket the hooks
 * make the program's own call, and no other. Two things tell: the hooks have seen
 * the socket made, or the address is of another family.
 *
 * Under a supervisor, what is remembered of a number is not enough (fdcache.c):
 * behind the gate nobody looks again. So a call on a foreign number passes the
 * gate only if its address says the same. Where the address cannot be read without
 * a system call, the supervisor looks at the call. In a process that nobody may
 * look into, the supervisor would have to refuse it, so there the kernel is asked, or
 * if a filter may forbid that, the call passes.
 *
 * Where a seccomp filter of the process's own may forbid our questions, the
 * supervisor serves every call that may need a port. Without a supervisor there is
 * nobody else to do it: the kernel is asked as always, and the filter decides.
 */

bool passing_asks_nobody(void)
{
	return gate() && sandbox_is_filtered();
}

enum passing_target passing_address(const struct sockaddr *addr, socklen_t len)
{
	sa_family_t family;

	if (!addr || len < sizeof(family))
		return PASSING_INET;
	if (!caller_memory_near(addr, sizeof(family)))
		return PASSING_UNREAD;
	memcpy(&family, addr, sizeof(family));
	return family == AF_INET || family == AF_INET6 || family == AF_UNSPEC ? PASSING_INET
									      : PASSING_FOREIGN;
}

enum passing_target passing_message(const struct msghdr *message)
{
	struct msghdr copy;

	if (!caller_memory_near(message, sizeof(copy)))
		return PASSING_UNREAD;
	/* it need not be aligned for the kernel */
	memcpy(&copy, message, sizeof(copy));
	return copy.msg_name && copy.msg_namelen ? passing_address(copy.msg_name, copy.msg_namelen)
						 : PASSING_NOBODY;
}

enum passing_way passing_way(const struct shim *shim, int fd, enum passing_target target)
{
	enum fdcache_state state = fdcache_get(shim->fdcache, fd);
	const bool foreign = fdcache_is_foreign(state),
		   unknown = state == FDCACHE_UNKNOWN || state == FDCACHE_RECEIVED;

	if (!gate())
		return (foreign && target != PASSING_INET) || (unknown && target == PASSING_FOREIGN)
			       ? PASSING_LIBC
			       : PASSING_FENCED;
	if (target == PASSING_FOREIGN && (foreign || unknown))
		return PASSING_GATE;
	if (target == PASSING_NOBODY && (foreign || sandbox_is_filtered()))
		return PASSING_GATE;
	if (target == PASSING_UNREAD && foreign && sandbox_is_closed())
		return sandbox_is_filtered() ? PASSING_GATE : PASSING_FENCED;
	if (target == PASSING_UNREAD && foreign)
		return PASSING_LIBC;
	return sandbox_is_filtered() ? PASSING_LIBC : PASSING_FENCED;
}

enum gated_wait passing_wait(const struct shim *shim, int fd)
{
	switch (fdcache_get(shim->fdcache, fd)) {
	case FDCACHE_SETTLED_UDP:
	case FDCACHE_UDP4:
	case FDCACHE_UDP6:
	case FDCACHE_FOREIGN_WHOLE:
		return GATED_WHOLE;
	case FDCACHE_FOREIGN_NONBLOCK:
		return GATED_NEVER;
	case FDCACHE_FOREIGN:
		return GATED_ASK_NOBODY;
	default:
		return GATED_ASK;
	}
}

enum gated_wait passing_wait_quiet(const struct shim *shim, int fd)
{
	enum gated_wait wait = passing_wait(shim, fd);

	return wait == GATED_ASK ? GATED_ASK_NOBODY : wait;
}
