/*
 * plug: a shared object that makes every call in its constructor and its destructor, and where it
 * is asked to (plug_calls), if PLUG is set. With PLUG_THREAD, its constructor lets a thread make them
 * and waits for it; with PLUG_WAIT, an address, it writes 1 there and waits until it is another number.
 */
#include "calls.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

void plug_calls(const char *place);

void plug_calls(const char *place)
{
	calls(place);
}

static void *in_thread(void *unused)
{
	calls("constructor-thread");
	return unused;
}

static void wait_there(int *there)
{
	__atomic_store_n(there, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(there, __ATOMIC_ACQUIRE) == 1)
		sched_yield();
}

__attribute__((constructor)) static void begin(void)
{
	const char *there = getenv("PLUG_WAIT");
	pthread_t thread;

	if (there)
		wait_there((int *)strtoul(there, NULL, 0));
	if (!getenv("PLUG"))
		return;
	if (getenv("PLUG_THREAD") && !pthread_create(&thread, NULL, in_thread, NULL))
		pthread_join(thread, NULL);
	else
		calls("constructor");
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("PLUG"))
		calls("destructor");
}
