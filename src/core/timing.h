/* timing: what a clock shows, as one number; it waits for none. */
#ifndef PORTFENCE_CORE_TIMING_H
#define PORTFENCE_CORE_TIMING_H

#include <stdint.h>
#include <time.h>

#define TIMING_SECOND_NS ((int64_t)1000000000)

/* timing_ns() - A clock's time in nanoseconds */
static inline int64_t timing_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * TIMING_SECOND_NS + now.tv_nsec;
}

#define TIMING_SEARCH_SHARE 32

/*
 * timing_next_search() - When a search that began at @start, and ends now, may be made again
 *
 * Others can cause such searches again and again: they take one part in TIMING_SEARCH_SHARE of the time. Both
 * times are those of CLOCK_MONOTONIC in nanoseconds.
 */
static inline int64_t timing_next_search(int64_t start)
{
	const int64_t now = timing_ns(CLOCK_MONOTONIC);

	return now + TIMING_SEARCH_SHARE * (now - start);
}

#endif
