#include "workers.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * What a call asks for may take as long as its caller likes: memory can be that of
 * a file system which the caller itself serves, and a socket can be locked by a
 * thread that copies from such memory. Neither can be known before.
 *
 * So one thread has the turn, and serves. The first thread of all, which serves
 * nothing, looks at it from time to time: if it has been with the same call for two
 * looks, the turn is taken from it and given to a new thread. Whoever has lost the
 * turn meanwhile ends. The looks cost nothing where no call comes: then the first
 * thread sleeps until the next one wakes it.
 *
 * Somebody may make thousands of calls that wait. So for some time after such a call
 * the looks are closer together, and the others behind them in the queue are soon
 * reached. Each thread that stays with a call stands for one that waits in the tree,
 * so there is no limit of our own to their number.
 */

#define LOOK_NS 10000000
#define LOOK_AGAIN_NS 100000
#define SOON 100 /* looks that are so close together */
#define STACK (512 * 1024)

/* The turn: the number of the thread that has it above, and how often it has begun or ended a call below. */
#define TURN(state) ((state) >> 32)
#define IS_SERVING(state) ((state) % 2)
#define NEXT_TURN(state) (((TURN(state) + 1) << 32) | ((uint32_t)(state) + 1))

static struct {
	bool (*serve)(void *context);
	void *context;
	_Atomic uint64_t state;
	_Atomic uint64_t given_up; /* a state with a call that has lasted for long */
	atomic_int rests;          /* the first thread sleeps until it is woken */
	atomic_bool ended;
} workers;

/* The state when this thread began its call, or last ended one */
static _Thread_local uint64_t own;

static void wake(void)
{
	atomic_store(&workers.rests, 0);
	syscall(SYS_futex, &workers.rests, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Only the thread that has the turn changes a state without a call. */
void workers_begin(void)
{
	own = atomic_fetch_add(&workers.state, 1) + 1;
	if (atomic_load(&workers.rests))
		wake();
}

/* A state with a call is changed by whoever is first. Return: true if this thread still has the turn */
static bool end_call(void)
{
	uint64_t ended = (own & ~(uint64_t)UINT32_MAX) | (uint32_t)(own + 1);

	if (!IS_SERVING(own))
		return true;
	if (!atomic_compare_exchange_strong(&workers.state, &own, ended))
		return false;
	own = ended;
	return true;
}

static void *work(void *takes_over)
{
	own = atomic_load(&workers.given_up);
	if (!takes_over || atomic_compare_exchange_strong(&workers.state, &own, NEXT_TURN(own))) {
		own = 0;
		do {
			if (!workers.serve(workers.context)) {
				atomic_store(&workers.ended, true);
				wake();
				break;
			}
		} while (end_call());
	}
	return NULL;
}

/* Return: false if there can be no more threads */
static bool start_worker(bool takes_over)
{
	static char yes;
	pthread_attr_t attributes;
	pthread_t thread;
	bool started;

	if (pthread_attr_init(&attributes))
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK);
	started = !pthread_create(&thread, &attributes, work, takes_over ? &yes : NULL);
	pthread_attr_destroy(&attributes);
	return started;
}

static void rest_until_woken(uint64_t seen)
{
	atomic_store(&workers.rests, 1);
	/* a call that has begun before that wakes nobody */
	if (atomic_load(&workers.state) == seen && !atomic_load(&workers.ended))
		syscall(SYS_futex, &workers.rests, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
	atomic_store(&workers.rests, 0);
}

static void watch(void)
{
	struct timespec look = { 0, LOOK_NS };
	uint64_t seen = 0, handed = 0, state;
	unsigned soon = 0;

	while (!atomic_load(&workers.ended)) {
		state = atomic_load(&workers.state);
		if (state == seen && IS_SERVING(state)) {
			atomic_store(&workers.given_up, state);
			/* once: it may be some time until the new thread runs */
			if (handed != state && start_worker(true))
				handed = state;
			look.tv_nsec = LOOK_AGAIN_NS;
			soon = SOON;
		} else if (state == seen) {
			rest_until_woken(seen);
			continue;
		}
		if (soon && !--soon)
			look.tv_nsec = LOOK_NS;
		seen = state;
		nanosleep(&look, NULL);
	}
}

void workers_run(bool (*serve)(void *context), void *context)
{
	workers.serve = serve;
	workers.context = context;
	/* where there can be no thread, this one serves alone */
	if (start_worker(false))
		watch();
	else
		while (serve(context))
			;
}
