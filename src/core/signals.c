#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A bit of the kernel's sigset_t. libc's functions would leave out the signals that cancel a thread. */
#define BIT(number) (1ULL << ((number)-1))

void signals_hold(struct signals *signals)
{
	const uint64_t all = ~(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) |
			       BIT(SIGTRAP) | BIT(SIGSYS));

	signals->held = !syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &signals->before,
				 sizeof(signals->before));
}

void signals_release(const struct signals *signals)
{
	int saved = errno;

	if (signals->held)
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &signals->before, NULL,
			sizeof(signals->before));
	errno = saved;
}
