/* claims: what the supervisor remembers of sockets between two of their calls; it gives out no port. */
#ifndef PORTFENCE_SUPERVISOR_CLAIMS_H
#define PORTFENCE_SUPERVISOR_CLAIMS_H

#include "../core/state.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLAIMS_BOUND 8192 /* a power of two */
#define CLAIMS_TIDY_MS 5
#define CLAIMS_INTERRUPTED_MAX 16

/* Sockets are known by their cookies (SO_COOKIE), of which 0 is none. Zeroed memory knows nothing. */
struct claims {
	int listener;              /* of the filter */
	const struct state *state; /* where claims are held; these two are given by the owner */
	uint64_t bound[CLAIMS_BOUND];
	struct state_own_claims claims; /* from the oldest on */
	/* for each of them, the call that it was taken for */
	struct claims_call {
		uint64_t cookie;
		uint64_t id; /* of its notification */
		uint64_t woken; /* when its thread was seen to go on with it, in nanoseconds; 0: not yet */
		pid_t thread;
	} call[STATE_OWN_CLAIMS_MOST];
	uint64_t looked; /* at them, nanoseconds */
	struct {
		uint64_t cookie;
		pid_t thread;
	} interrupted[CLAIMS_INTERRUPTED_MAX];
	unsigned next_interrupted;
};

/* claims_is_bound() - Has this socket been seen bound for good? A false "no" is possible */
bool claims_is_bound(const struct claims *claims, uint64_t cookie);

/* claims_note_bound() - It has */
void claims_note_bound(struct claims *claims, uint64_t cookie);

/**
 * claims_hold_claim() - Keep a claim until the call that it was taken for has needed it
 * @cookie:	of the call's socket
 * @id:		of its notification, which is about to be answered
 */
void claims_hold_claim(struct claims *claims, uint64_t claim, uint64_t cookie, pid_t thread,
		       uint64_t id);

/* claims_thread_moved_on() - A thread makes a call: what it made before is over, unless it is the same once more */
void claims_thread_moved_on(struct claims *claims, uint64_t cookie, pid_t thread, uint64_t id);

/* claims_tidy() - Release the claims that are needed no more; call it all CLAIMS_TIDY_MS while there are any */
void claims_tidy(struct claims *claims);

/**
 * claims_wait() - Wait until no claim is needed any more; for some time, as a thread may never go on
 *
 * Return: false if there was none to wait for
 */
bool claims_wait(struct claims *claims);

/* claims_end() - Nobody is left who makes calls: release all claims */
void claims_end(struct claims *claims);

/* claims_note_interrupted_bind() - A bind was made, but its caller interrupted, and comes again (before Linux 5.19) */
void claims_note_interrupted_bind(struct claims *claims, uint64_t cookie, pid_t thread);

/* claims_take_interrupted_bind() - Was it so, of this thread's call? It is told now */
bool claims_take_interrupted_bind(struct claims *claims, uint64_t cookie, pid_t thread);

#endif
