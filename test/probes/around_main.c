/*
 * around_main: makes every call before main() and after it, in each place that a program has for that.
 *
 *	around_main [PLACE]	one place; all of them if none is named
 *
 * PLACE:	ifunc		while the executable is relocated, in an IFUNC's resolver
 *		preinit		in the executable's preinit array
 *		constructor	in the executable's constructor
 *		main		in main()
 *		thread		in a thread that goes on while the process ends
 *		atexit		in a function of atexit()
 *		destructor	in the executable's destructor
 */
#include "calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static char wanted[16];
static _Atomic int ended;

/* argv is not there yet when the resolver runs, so the kernel is asked for it. */
static int is_wanted(const char *place)
{
	char text[256];
	long fd, n;
	char *word;

	if (!wanted[0]) {
		fd = syscall(SYS_openat, -100, "/proc/self/cmdline", 0 /* O_RDONLY */);
		n = syscall(SYS_read, fd, text, sizeof(text) - 1);
		syscall(SYS_close, fd);
		text[n > 0 ? n : 0] = '\0';
		word = text;
		while (*word)
			word++;
		word = word - text + 1 < n ? word + 1 : word;
		*calls_put(wanted, *word ? word : "all") = '\0';
	}
	return !strcmp(wanted, "all") || !strcmp(wanted, place);
}

static void make(const char *place)
{
	if (is_wanted(place))
		calls(place);
}

static int nothing(void)
{
	return 0;
}

static int (*resolve(void))(void)
{
	make("ifunc");
	return nothing;
}

int chosen(void) __attribute__((ifunc("resolve")));

static void preinit(void)
{
	make("preinit");
}

__attribute__((section(".preinit_array"),
	       used)) static void (*const preinits[])(void) = { preinit };

__attribute__((constructor)) static void construct(void)
{
	make("constructor");
}

__attribute__((destructor)) static void destruct(void)
{
	make("destructor");
}

static void at_exit(void)
{
	make("atexit");
}

static void *in_thread(void *unused)
{
	int i;

	while (!atomic_load(&ended))
		;
	for (i = 0; i < 20; i++)
		make("thread");
	atomic_store(&ended, 2);
	return unused;
}

/* The thread makes its calls while this waits; both are in the midst of exit(). */
static void wait_for_thread(void)
{
	atomic_store(&ended, 1);
	while (atomic_load(&ended) != 2)
		;
}

int main(void)
{
	pthread_t thread;

	make("main");
	atexit(at_exit);
	if (is_wanted("thread")) {
		if (pthread_create(&thread, NULL, in_thread, NULL))
			return 2;
		atexit(wait_for_thread);
	}
	return chosen();
}
