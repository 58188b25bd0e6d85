#include "claims.h"

#include "../core/timing.h"

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
 * A look costs a system call or two for each claim. So there is one from time to
 * time, and where a range is used up. Until then a claim keeps only its tuple
 * from others, and that is nearly always in use by then.
 */

void claims_start(struct claims *claims, int listener)
{
	claims->listener = listener;
	pthread_mutex_init(&claims->lock, NULL);
}

bool claims_is_bound(struct claims *claims, uint64_t cookie)
{
	bool bound;

	pthread_mutex_lock(&claims->lock);
	bound = cookie && claims->bound[cookie % CLAIMS_BOUND] == cookie;
	pthread_mutex_unlock(&claims->lock);
	return bound;
}

void claims_note_bound(struct claims *claims, uint64_t cookie)
{
	pthread_mutex_lock(&claims->lock);
	claims->bound[cookie % CLAIMS_BOUND] = cookie;
	pthread_mutex_unlock(&claims->lock);
}

/* ---- claims ---- */

static void release_claim(struct claims *claims, unsigned i)
{
	unsigned after = --claims->own.count - i;

	state_release(claims->call[i].state, claims->own.tag[i]);
	memmove(&claims->own.tag[i], &claims->own.tag[i + 1], after * sizeof(uint64_t));
	memmove(&claims->call[i], &claims->call[i + 1], after * sizeof(claims->call[0]));
}

void claims_thread_moved_on(struct claims *claims, uint64_t cookie, const struct caller *caller)
{
	unsigned i = 0;

	pthread_mutex_lock(&claims->lock);
	while (i < claims->own.count) {
		struct claims_call *call = &claims->call[i];

		if (call->thread == caller->thread && call->cookie != cookie) {
			release_claim(claims, i);
			continue;
		}
		if (call->thread == caller->thread) {
			call->id = caller->id;
			call->woken = 0;
		}
		i++;
	}
	pthread_mutex_unlock(&claims->lock);
}

/*
 * Does the thread still sleep in the call? The kernel forgets a notification as soon
 * as its thread goes on, and says until then that it was answered already
 * (kernel/seccomp.c, seccomp_notify_send). Ask only of one that was answered: for
 * any other, the question is the answer.
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

static void release_unneeded(struct claims *claims, uint64_t now)
{
	unsigned i = 0;

	claims->checked = now;
	while (i < claims->own.count) {
		if (is_over(&claims->call[i], claims->listener, now)) {
			release_claim(claims, i);
			continue;
		}
		if (!claims->call[i].woken)
			state_renew(claims->call[i].state, claims->own.tag[i]);
		i++;
	}
}

void claims_copy(struct claims *claims, struct state_own_claims *ret_own)
{
	pthread_mutex_lock(&claims->lock);
	ret_own->count = claims->own.count;
	memcpy(ret_own->tag, claims->own.tag, claims->own.count * sizeof(ret_own->tag[0]));
	pthread_mutex_unlock(&claims->lock);
}

void claims_hold_claim(struct claims *claims, const struct state *state, uint64_t claim,
		       uint64_t cookie, const struct caller *caller)
{
	const struct claims_call call = {
		.state = state,
		.cookie = cookie,
		.id = caller->id,
		.taken = (uint64_t)timing_ns(CLOCK_MONOTONIC),
		.thread = caller->thread,
	};

	pthread_mutex_lock(&claims->lock);
	if (claims->own.count == STATE_OWN_CLAIMS_MOST)
		release_unneeded(claims, call.taken);
	if (claims->own.count == STATE_OWN_CLAIMS_MOST)
		release_claim(claims, 0);
	claims->call[claims->own.count] = call;
	claims->own.tag[claims->own.count++] = claim;
	pthread_mutex_unlock(&claims->lock);
}

void claims_call_made(struct claims *claims, const struct caller *caller)
{
	unsigned i = 0;

	pthread_mutex_lock(&claims->lock);
	while (i < claims->own.count) {
		if (claims->call[i].id == caller->id)
			release_claim(claims, i);
		else
			i++;
	}
	pthread_mutex_unlock(&claims->lock);
}

bool claims_tidy(struct claims *claims)
{
	uint64_t now;
	bool any;

	pthread_mutex_lock(&claims->lock);
	now = claims->own.count ? (uint64_t)timing_ns(CLOCK_MONOTONIC) : 0;
	if (claims->own.count && now - claims->checked >= CLAIMS_TIDY_MS * 1000000)
		release_unneeded(claims, now);
	any = claims->own.count;
	pthread_mutex_unlock(&claims->lock);
	return any;
}

/* Is one of them worth waiting for? */
static bool has_young(const struct claims *claims, const struct state *state, uint64_t now)
{
	unsigned i;

	for (i = 0; i < claims->own.count; i++)
		if (claims->call[i].state == state && now - claims->call[i].taken < WAIT_NS)
			return true;
	return false;
}

bool claims_wait(struct claims *claims, const struct state *state)
{
	const struct timespec rest = { 0, CLAIM_NEEDED_NS / 100 };
	uint64_t start = (uint64_t)timing_ns(CLOCK_MONOTONIC), now = start;
	bool waits, had = false;

	for (;;) {
		pthread_mutex_lock(&claims->lock);
		had |= claims->own.count != 0;
		if (had)
			release_unneeded(claims, now);
		waits = has_young(claims, state, now);
		pthread_mutex_unlock(&claims->lock);
		if (!waits || now - start >= WAIT_NS)
			return had;
		nanosleep(&rest, NULL);
		now = (uint64_t)timing_ns(CLOCK_MONOTONIC);
	}
}

void claims_end(struct claims *claims, const struct state *state)
{
	unsigned i = 0;

	pthread_mutex_lock(&claims->lock);
	while (i < claims->own.count) {
		if (!state || claims->call[i].state == state)
			release_claim(claims, i);
		else
			i++;
	}
	pthread_mutex_unlock(&claims->lock);
}

/* ---- binds ---- */

void claims_note_interrupted_bind(struct claims *claims, uint64_t cookie,
				  const struct caller *caller)
{
	pthread_mutex_lock(&claims->lock);
	claims->interrupted[claims->next_interrupted].cookie = cookie;
	claims->interrupted[claims->next_interrupted].thread = caller->thread;
	claims->next_interrupted = (claims->next_interrupted + 1) % CLAIMS_INTERRUPTED_MAX;
	pthread_mutex_unlock(&claims->lock);
}

bool claims_take_interrupted_bind(struct claims *claims, uint64_t cookie,
				  const struct caller *caller)
{
	bool found = false;
	unsigned i;

	pthread_mutex_lock(&claims->lock);
	for (i = 0; cookie && !found && i < CLAIMS_INTERRUPTED_MAX; i++) {
		found = claims->interrupted[i].cookie == cookie &&
			claims->interrupted[i].thread == caller->thread;
		if (found)
			claims->interrupted[i].cookie = 0;
	}
	pthread_mutex_unlock(&claims->lock);
	return found;
}
