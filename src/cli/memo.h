/* memo: what the supervisor remembers of sockets between two of their calls; it asks no kernel. */
#ifndef PORTFENCE_CLI_MEMO_H
#define PORTFENCE_CLI_MEMO_H

#include "../core/cursor.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MEMO_BOUND 8192 /* a power of two */
#define MEMO_CLAIMS 64
#define MEMO_UNTOLD 16

/* Sockets are known by their cookies (SO_COOKIE), of which 0 is none. Zeroed memory knows nothing. */
struct memo {
	uint64_t bound[MEMO_BOUND];
	/* claims that are to be released, from the oldest on */
	struct {
		uint64_t claim;
		uint64_t since; /* nanoseconds */
		pid_t thread;   /* see memo_note_connect(); 0: not noted */
	} held[MEMO_CLAIMS];
	unsigned first, count;
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

/* memo_hold_claim() - Release a claim later, see cursor_claim() */
void memo_hold_claim(struct memo *memo, const struct cursor *cursor, uint64_t claim);

/* memo_release_old_claims() - Release what has been held long enough */
void memo_release_old_claims(struct memo *memo, const struct cursor *cursor);

/* memo_release_all_claims() - Wait until the youngest has been held long enough; release them all */
void memo_release_all_claims(struct memo *memo, const struct cursor *cursor);

/**
 * memo_note_connect() - The call that the youngest claim is for goes on in the kernel
 * @thread:	whose it is
 *
 * Nothing can interrupt it there before the connection is known.
 */
void memo_note_connect(struct memo *memo, pid_t thread);

/**
 * memo_settle_claims() - Release all claims, as soon as none of them is needed any more
 * @thread:	calls now, so it is through with its last connect()
 *
 * For where ports are to be the same each time: how long a claim is held must not matter
 * then. If there are other threads' among them, it waits.
 */
void memo_settle_claims(struct memo *memo, const struct cursor *cursor, pid_t thread);

/* memo_note_untold() - A bind was made, but its caller interrupted, and comes again (before Linux 5.19) */
void memo_note_untold(struct memo *memo, uint64_t cookie, pid_t thread);

/* memo_take_untold() - Was it so, of this thread's call? It is told now */
bool memo_take_untold(struct memo *memo, uint64_t cookie, pid_t thread);

#endif
