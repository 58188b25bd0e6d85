#include "memo.h"

#include <time.h>

#define CLAIM_HELD_NS 2000000

bool memo_is_bound(const struct memo *memo, uint64_t cookie)
{
	return cookie && memo->bound[cookie % MEMO_BOUND] == cookie;
}

void memo_note_bound(struct memo *memo, uint64_t cookie)
{
	memo->bound[cookie % MEMO_BOUND] = cookie;
}

/* ---- claims ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void release_claim(struct memo *memo, const struct cursor *cursor)
{
	cursor_release(cursor, memo->held[memo->first].claim);
	memo->first = (memo->first + 1) % MEMO_CLAIMS;
	memo->count--;
}

void memo_hold_claim(struct memo *memo, const struct cursor *cursor, uint64_t claim)
{
	unsigned last;

	if (memo->count == MEMO_CLAIMS)
		release_claim(memo, cursor);
	last = (memo->first + memo->count++) % MEMO_CLAIMS;
	memo->held[last].claim = claim;
	memo->held[last].since = now_ns();
	memo->held[last].thread = 0;
}

void memo_release_old_claims(struct memo *memo, const struct cursor *cursor)
{
	uint64_t now = memo->count ? now_ns() : 0;

	while (memo->count && now - memo->held[memo->first].since >= CLAIM_HELD_NS)
		release_claim(memo, cursor);
}

void memo_release_all_claims(struct memo *memo, const struct cursor *cursor)
{
	struct timespec rest = { 0, CLAIM_HELD_NS };

	nanosleep(&rest, NULL);
	while (memo->count)
		release_claim(memo, cursor);
}

void memo_note_connect(struct memo *memo, pid_t thread)
{
	memo->held[(memo->first + memo->count - 1) % MEMO_CLAIMS].thread = thread;
}

void memo_settle_claims(struct memo *memo, const struct cursor *cursor, pid_t thread)
{
	unsigned i;

	for (i = 0; i < memo->count; i++)
		if (memo->held[(memo->first + i) % MEMO_CLAIMS].thread != thread)
			break;
	if (i < memo->count)
		memo_release_all_claims(memo, cursor);
	while (memo->count)
		release_claim(memo, cursor);
}

/* ---- binds ---- */

void memo_note_untold(struct memo *memo, uint64_t cookie, pid_t thread)
{
	memo->untold[memo->next_untold].cookie = cookie;
	memo->untold[memo->next_untold].thread = thread;
	memo->next_untold = (memo->next_untold + 1) % MEMO_UNTOLD;
}

bool memo_take_untold(struct memo *memo, uint64_t cookie, pid_t thread)
{
	unsigned i;

	for (i = 0; i < MEMO_UNTOLD; i++) {
		if (memo->untold[i].cookie != cookie || memo->untold[i].thread != thread)
			continue;
		memo->untold[i].cookie = 0;
		return true;
	}
	return false;
}
