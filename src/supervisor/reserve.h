/* reserve: the descriptors that no user may keep, for calls that are over at once; it closes none. */
#ifndef PORTFENCE_SUPERVISOR_RESERVE_H
#define PORTFENCE_SUPERVISOR_RESERVE_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#define RESERVE_PART 8 /* it is one part in so many */

/* How many descriptors or calls each user has here, by user. Several users may have the same place. Atomics. */
#define RESERVE_USERS 1024
struct reserve_users {
	_Atomic unsigned count[RESERVE_USERS];
};

static inline _Atomic unsigned *reserve_of_user(struct reserve_users *users, uid_t user)
{
	return &users->count[user % RESERVE_USERS];
}

/**
 * reserve_spares() - May a user's new descriptor be kept for longer than a call?
 * @fd:		the new one. The kernel gives the lowest number that is free, so about so many are in use
 * @own:	how many the user has here already
 *
 * A dynamic threshold, as switches have it for a shared buffer (Choudhury and Hahne, 1998): as many have to be free
 * as the user has already. So no user takes them all.
 */
static inline bool reserve_spares(int fd, rlim_t own)
{
	static _Atomic rlim_t most;
	struct rlimit limit;

	/* the supervisor has set its limit at the start */
	if (!most && !getrlimit(RLIMIT_NOFILE, &limit))
		most = limit.rlim_cur - limit.rlim_cur / RESERVE_PART;
	return fd >= 0 && (rlim_t)fd + own < most;
}

#endif
