/* soak: what its processes share, and what all of its rooms use; it does nothing by itself. */
#ifndef PORTFENCE_TEST_SOAK_H
#define PORTFENCE_TEST_SOAK_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>

#define SOAK_SECOND 1000000000LL
#define SOAK_TICK (SOAK_SECOND / 50)

#define SOAK_OPERATIONS 32
#define SOAK_PROCESSES 64
#define SOAK_THREADS 16
#define SOAK_ERRORS 134 /* Linux has them from 1 to 133 */

/* Calls that may be given a port, and the sends that follow the one that was. */
enum soak_call {
	SOAK_BIND,
	SOAK_CONNECT,
	SOAK_LISTEN,
	SOAK_SENDTO,
	SOAK_SENDMSG,
	SOAK_SENDMMSG,
	SOAK_AGAIN,
	SOAK_CALLS
};

/* What a thread is at: it is how a hang is seen from outside. */
struct soak_beat {
	_Atomic int64_t since; /* 0: nothing */
	_Atomic int operation;
};

/* One mapping of all processes, so that what was counted outlives those that are killed. */
struct soak {
	/* set before the first process starts, then immutable */
	int64_t deadline; /* CLOCK_MONOTONIC, nanoseconds; so are all times here */
	int threads;
	in_port_t first; /* host byte order */
	in_port_t last;

	_Atomic long counts[SOAK_OPERATIONS][SOAK_CALLS][SOAK_ERRORS];
	_Atomic long made[SOAK_OPERATIONS];
	_Atomic int64_t spent[SOAK_OPERATIONS];
	_Atomic int64_t slowest[SOAK_OPERATIONS];
	_Atomic long escapes;
	_Atomic long leaks;
	struct soak_beat beat[SOAK_PROCESSES][SOAK_THREADS];
};

extern struct soak *soak;

/* soak_now() - CLOCK_MONOTONIC, nanoseconds */
int64_t soak_now(void);

/* soak_wait() - Until the next tick of the clock, the same for everybody; returns its time */
int64_t soak_wait(void);

/* soak_seed() - Each thread has random numbers of its own; @number tells it from others */
void soak_seed(uint64_t number);

/* soak_draw() - One of 0 to @below - 1 */
uint32_t soak_draw(uint32_t below);

/* soak_die() - What cannot happen has; errno says why */
__attribute__((noreturn)) void soak_die(const char *what);

#endif
