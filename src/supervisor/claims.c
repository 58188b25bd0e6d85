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

bool claims_is_bound(const struct claims *claims, uint64_t cookie)
{
	return cookie && claims->bound[cookie % CLAIMS_BOUND] == cookie;
}

void claims_note_bound(struct claims *claims, uint64_t cookie)
{
	claims->bound[cookie % CLAIMS_BOUND] = cookie;
}

/* ---- claims ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void release(struct claims *claims, unsigned i)
{
	unsigned after = --claims->claims.count - i;

	state_release(claims->state, claims->claims.tag[i]);
	memmove(&claims->claims.tag[i], &claims->claims.tag[i + 1], after * sizeof(uint64_t));
	memmove(&claims->call[i], &claims->call[i + 1], after * sizeof(claims->call[0]));
}

void claims_thread_moved_on(struct claims *claims, uint64_t cookie, pid_t thread, uint64_t id)
{
	unsigned i = 0;

	while (i < claims->claims.count) {
		struct claims_call *call = &claims->call[i];

		if (call->thread == thread && call->cookie != cookie) {
			release(claims, i);
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

static void look(struct claims *claims, uint64_t now)
{
	unsigned i = 0;

	claims->looked = now;
	while (i < claims->claims.count) {
		if (is_over(&claims->call[i], claims->listener, now)) {
			release(claims, i);
			continue;
		}
		if (!claims->call[i].woken)
			state_renew(claims->state, claims->claims.tag[i]);
		i++;
	}
}

void claims_hold_claim(struct claims *claims, uint64_t claim, uint64_t cookie, pid_t thread,
		       uint64_t id)
{
	const struct claims_call call = { .cookie = cookie, .id = id, .thread = thread };

	if (claims->claims.count == STATE_OWN_CLAIMS_MOST)
		look(claims, now_ns());
	if (claims->claims.count == STATE_OWN_CLAIMS_MOST)
		release(claims, 0);
	claims->call[claims->claims.count] = call;
	claims->claims.tag[claims->claims.count++] = claim;
}

void claims_tidy(struct claims *claims)
{
	uint64_t now = claims->claims.count ? now_ns() : 0;

	if (claims->claims.count && now - claims->looked >= CLAIMS_TIDY_MS * 1000000)
		look(claims, now);
}

bool claims_wait(struct claims *claims)
{
	const struct timespec rest = { 0, CLAIM_NEEDED_NS / 100 };
	uint64_t start = now_ns(), now = start;

	if (!claims->claims.count)
		return false;
	for (;;) {
		look(claims, now);
		if (!claims->claims.count || now - start >= WAIT_NS)
			return true;
		nanosleep(&rest, NULL);
		now = now_ns();
	}
}

void claims_end(struct claims *claims)
{
	while (claims->claims.count)
		release(claims, claims->claims.count - 1);
}

/* ---- binds ---- */

void claims_note_interrupted_bind(struct claims *claims, uint64_t cookie, pid_t thread)
{
	claims->interrupted[claims->next_interrupted].cookie = cookie;
	claims->interrupted[claims->next_interrupted].thread = thread;
	claims->next_interrupted = (claims->next_interrupted + 1) % CLAIMS_INTERRUPTED_MAX;
}

bool claims_take_interrupted_bind(struct claims *claims, uint64_t cookie, pid_t thread)
{
	unsigned i;

	for (i = 0; i < CLAIMS_INTERRUPTED_MAX; i++) {
		if (claims->interrupted[i].cookie != cookie ||
		    claims->interrupted[i].thread != thread)
			continue;
		claims->interrupted[i].cookie = 0;
		return true;
	}
	return false;
}
