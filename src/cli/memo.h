/* memo: what the supervisor remembers of sockets between two of their calls; it gives out no port. */
#ifndef PORTFENCE_CLI_MEMO_H
#define PORTFENCE_CLI_MEMO_H

#include "../core/cursor.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MEMO_BOUND 8192 /* a power of two */
#define MEMO_TIDY_MS 5
#define MEMO_UNTOLD 16

/* Sockets are known by their cookies (SO_COOKIE), of which 0 is none. Zeroed memory knows nothing. */
struct memo {
	int listener;                /* of the filter */
	const struct cursor *cursor; /* where claims are held; these two are given by the owner */
	uint64_t bound[MEMO_BOUND];
	struct cursor_held claims; /* from the oldest on */
	/* for each of them, the call that it was taken for */
	struct memo_call {
		uint64_t cookie;
		uint64_t id; /* of its notification */
		uint64_t woken; /* when its thread was seen to go on with it, in nanoseconds; 0: not yet */
		pid_t thread;
	} call[CURSOR_HELD_MOST];
	uint64_t looked; /* at them, nanoseconds */
	struct {
		uint64_t cookie;
		pid_t thread;
	} untold[MEMO_UNTOLD];
	unsigned next_untold;
};

/* memo_is_bound() - Has this socket been seen bound for good? A false "no" is possible */
bool memo_is_bound(const struct memo *memo, uint64_t cookie);

/* memo_note_bound() - It has */
void memo_note_bound(struct memo *memo, uint64_t cookie);

/**
 * memo_hold_claim() - Keep a claim until the call that it was taken for has needed it
 * @cookie:	of the call's socket
 * @id:		of its notification, which is about to be answered
 */
void memo_hold_claim(struct memo *memo, uint64_t claim, uint64_t cookie, pid_t thread, uint64_t id);

/* memo_hear() - A thread makes a call: what it made before is over, unless it is the same once more */
void memo_hear(struct memo *memo, uint64_t cookie, pid_t thread, uint64_t id);

/* memo_tidy() - Release the claims that are needed no more; call it all MEMO_TIDY_MS while there are any */
void memo_tidy(struct memo *memo);

/**
 * memo_wait() - Wait until no claim is needed any more; for some time, as a thread may never go on
 *
 * Return: false if there was none to wait for
 */
bool memo_wait(struct memo *memo);

/* memo_end() - Nobody is left who makes calls: release all claims */
void memo_end(struct memo *memo);

/* memo_note_untold() - A bind was made, but its caller interrupted, and comes again (before Linux 5.19) */
void memo_note_untold(struct memo *memo, uint64_t cookie, pid_t thread);

/* memo_take_untold() - Was it so, of this thread's call? It is told now */
bool memo_take_untold(struct memo *memo, uint64_t cookie, pid_t thread);

#endif
