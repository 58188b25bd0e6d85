/*
 * ctor_calls: a shared object that makes every call in its constructor, in its destructor, and in its
 * function ctor_calls(). Variables of the environment:
 *
 *	CTOR		set: the constructor and the destructor make the calls
 *	CTOR_THREAD	set: a thread makes the constructor's calls, and the constructor waits for it
 *	CTOR_WAIT	an address: the constructor writes 1 there, and waits until the number changes
 */
#include "calls.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

void ctor_calls(const char *place);

void ctor_calls(const char *place)
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
	const char *there = getenv("CTOR_WAIT");
	pthread_t thread;

	if (there)
		wait_there((int *)strtoul(there, NULL, 0));
	if (!getenv("CTOR"))
		return;
	if (getenv("CTOR_THREAD") && !pthread_create(&thread, NULL, in_thread, NULL))
		pthread_join(thread, NULL);
	else
		calls("constructor");
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("CTOR"))
		calls("destructor");
}
