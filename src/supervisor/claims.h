/* claims: what the supervisor remembers of sockets between two of their calls; it gives out no port. */
#ifndef PORTFENCE_SUPERVISOR_CLAIMS_H
#define PORTFENCE_SUPERVISOR_CLAIMS_H

#include "../core/state.h"
#include "caller.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLAIMS_BOUND 8192 /* a power of two */
#define CLAIMS_TIDY_MS 5
#define CLAIMS_INTERRUPTED_MAX 16

/*
 * Sockets are known by their cookies (SO_COOKIE), of which 0 is none. Zeroed memory
 * and claims_start() begin it. Every function may be called by several threads.
 */
struct claims {
	int listener;         /* of the filter */
	pthread_mutex_t lock; /* of all that follows */
	uint64_t bound[CLAIMS_BOUND];
	struct state_own_claims own; /* claims that are ours, from the oldest on */
	/* for each of them, the call that it was taken for */
	struct claims_call {
		const struct state *state; /* where it is held */
		uint64_t cookie;
		uint64_t id;    /* of its notification */
		uint64_t taken; /* nanoseconds */
		uint64_t woken; /* when its thread was seen to go on with it, in nanoseconds; 0: not yet */
		pid_t thread;
	} call[STATE_OWN_CLAIMS_MOST];
	uint64_t checked; /* when they were last looked at, nanoseconds */
	struct {
		uint64_t cookie;
		pid_t thread;
	} interrupted[CLAIMS_INTERRUPTED_MAX];
	unsigned next_interrupted;
};

/* claims_start() - Begin with nothing. @listener: of the filter */
void claims_start(struct claims *claims, int listener);

/* claims_is_bound() - Has this socket been seen bound for good? A false "no" is possible */
bool claims_is_bound(struct claims *claims, uint64_t cookie);

/* claims_note_bound() - Note that a socket is bound for good */
void claims_note_bound(struct claims *claims, uint64_t cookie);

/* claims_copy() - Copy the claims that are ours, to choose a port by (struct state) */
void claims_copy(struct claims *claims, struct state_own_claims *ret_own);

/**
 * claims_hold_claim() - Keep a claim until the call that it was taken for has needed it
 * @state:	where it was taken
 * @cookie:	of the call's socket
 * @caller:	its notification is about to be answered
 */
void claims_hold_claim(struct claims *claims, const struct state *state, uint64_t claim,
		       uint64_t cookie, const struct caller *caller);

/* claims_thread_moved_on() - A thread makes a call: what it made before is over, unless it is the same once more */
void claims_thread_moved_on(struct claims *claims, uint64_t cookie, const struct caller *caller);

/* claims_call_made() - The kernel knows a call's connection by now: release the claim that was taken for it */
void claims_call_made(struct claims *claims, const struct caller *caller);

/**
 * claims_tidy() - Release the claims that are needed no more
 *
 * To be called every CLAIMS_TIDY_MS while there are any. Return: true if there are any
 */
bool claims_tidy(struct claims *claims);

/**
 * claims_wait() - Wait until no claim of a state is needed any more
 *
 * A thread may never go on. So nobody waits for a claim that is older than some time, however many calls there are.
 *
 * Return: false if there is none, of any state
 */
bool claims_wait(struct claims *claims, const struct state *state);

/* claims_end() - Release the claims of a state, or of all for NULL, as nobody is left who makes calls */
void claims_end(struct claims *claims, const struct state *state);

/* claims_note_interrupted_bind() - A bind was made, but its caller interrupted, and comes again (before Linux 5.19) */
void claims_note_interrupted_bind(struct claims *claims, uint64_t cookie,
				  const struct caller *caller);

/* claims_take_interrupted_bind() - Was that so of this call? The next answer is no */
bool claims_take_interrupted_bind(struct claims *claims, uint64_t cookie,
				  const struct caller *caller);

#endif
