/* reserve: the descriptors that no user may keep, for calls that are over at once; it closes none. */
#ifndef PORTFENCE_SUPERVISOR_RESERVE_H
#define PORTFENCE_SUPERVISOR_RESERVE_H

#include <stdbool.h>
#include <sys/resource.h>

#define RESERVE_PART 8 /* it is one part in so many */

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
