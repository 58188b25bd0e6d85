#include "claims.h"

#include "caller.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define CLAIM_NEEDED_NS 10000000 /* by a thread that goes on */
#define WAIT_NS 30000000

/*
 * Theory of operation
 *
 * A claim has to last until the connection that it was taken for is known to the
 * kernel: another socket could share the port otherwise, and one of the two
 * connects would fail. The program's thread makes the connect, and on a busy
 * machine it may be long before it gets a processor. So no clock runs until it is
 * awake. From there on it needs some microseconds, and is given more. What it
 * calls next, that it rests, or its death ends the matter earlier.
 *
 * To look costs a system call or two for each claim; it is done from time to
 * time, and where a range is used up. Until then a claim keeps only its tuple
 * from others, which nearly always is in use by then.
 */

bool claims_is_bound(const struct claims *memo, uint64_t cookie)
{
	return cookie && memo->bound[cookie % CLAIMS_BOUND] == cookie;
}

void claims_note_bound(struct claims *memo, uint64_t cookie)
{
	memo->bound[cookie % CLAIMS_BOUND] = cookie;
}

/* ---- claims ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void release(struct claims *memo, unsigned i)
{
	unsigned after = --memo->claims.count - i;

	state_release(memo->cursor, memo->claims.tag[i]);
	memmove(&memo->claims.tag[i], &memo->claims.tag[i + 1], after * sizeof(uint64_t));
	memmove(&memo->call[i], &memo->call[i + 1], after * sizeof(memo->call[0]));
}

void claims_hear(struct claims *memo, uint64_t cookie, pid_t thread, uint64_t id)
{
	unsigned i = 0;

	while (i < memo->claims.count) {
		struct claims_call *call = &memo->call[i];

		if (call->thread == thread && call->cookie != cookie) {
			release(memo, i);
			continue;
		}
		if (call->thread == thread) {
			call->id = id;
			call->woken = 0;
		}
		i++;
	}
}

/*
 * Is its thread not even awake? The kernel forgets a notification as soon as its
 * thread goes on, and says until then that it was answered already
 * (kernel/seccomp.c, seccomp_notify_send). It must have been: else this is the answer.
 */
static bool is_asleep(int listener, uint64_t id)
{
	struct seccomp_notif_resp again = {
		.id = id,
		.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};

	return !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) ||
	       (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &again) < 0 && errno == EINPROGRESS);
}

/*
 * From there on it is the kernel's own code, and short, until the connection is
 * registered; on the way there it takes no rest that a signal could interrupt.
 */
static bool is_over(struct claims_call *call, int listener, uint64_t now)
{
	if (!call->woken && is_asleep(listener, call->id))
		return false;
	if (!call->woken)
		call->woken = now;
	return now - call->woken >= CLAIM_NEEDED_NS || !caller_runs(call->thread);
}

static void look(struct claims *memo, uint64_t now)
{
	unsigned i = 0;

	memo->looked = now;
	while (i < memo->claims.count) {
		if (is_over(&memo->call[i], memo->listener, now)) {
			release(memo, i);
			continue;
		}
		if (!memo->call[i].woken)
			state_renew(memo->cursor, memo->claims.tag[i]);
		i++;
	}
}

void claims_hold_claim(struct claims *memo, uint64_t claim, uint64_t cookie, pid_t thread,
		       uint64_t id)
{
	const struct claims_call call = { .cookie = cookie, .id = id, .thread = thread };

	if (memo->claims.count == STATE_HELD_MOST)
		look(memo, now_ns());
	if (memo->claims.count == STATE_HELD_MOST)
		release(memo, 0);
	memo->call[memo->claims.count] = call;
	memo->claims.tag[memo->claims.count++] = claim;
}

void claims_tidy(struct claims *memo)
{
	uint64_t now = memo->claims.count ? now_ns() : 0;

	if (memo->claims.count && now - memo->looked >= CLAIMS_TIDY_MS * 1000000)
		look(memo, now);
}

bool claims_wait(struct claims *memo)
{
	const struct timespec rest = { 0, CLAIM_NEEDED_NS / 100 };
	uint64_t start = now_ns(), now = start;

	if (!memo->claims.count)
		return false;
	for (;;) {
		look(memo, now);
		if (!memo->claims.count || now - start >= WAIT_NS)
			return true;
		nanosleep(&rest, NULL);
		now = now_ns();
	}
}

void claims_end(struct claims *memo)
{
	while (memo->claims.count)
		release(memo, memo->claims.count - 1);
}

/* ---- binds ---- */

void claims_note_untold(struct claims *memo, uint64_t cookie, pid_t thread)
{
	memo->untold[memo->next_untold].cookie = cookie;
	memo->untold[memo->next_untold].thread = thread;
	memo->next_untold = (memo->next_untold + 1) % CLAIMS_UNTOLD;
}

bool claims_take_untold(struct claims *memo, uint64_t cookie, pid_t thread)
{
	unsigned i;

	for (i = 0; i < CLAIMS_UNTOLD; i++) {
		if (memo->untold[i].cookie != cookie || memo->untold[i].thread != thread)
			continue;
		memo->untold[i].cookie = 0;
		return true;
	}
	return false;
}
