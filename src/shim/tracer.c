#include "tracer.h"

#include "../core/fd.h"
#include "sandbox.h"

#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Where kernel.yama.ptrace_scope is 1, only its ancestors may look into a process, or
 * the one that it has named. The supervisor is no ancestor. The name is a process's
 * own: it lasts through execve(2), and a child has none (security/yama/yama_lsm.c). So
 * it is given when the library starts, in each child of fork(3), and before each
 * execve(2), as the child of a vfork(2) has no other occasion. Only the supervisor is
 * named: nobody else may look who could not before.
 *
 * A number means another process in another PID namespace, so there it is not given.
 */

/* Set before there are threads; 0: there is none */
static pid_t tracer;

void tracer_name(void)
{
	int saved = errno;

	/* a filter of the program's own may end the process for a call that it does not know */
	if (tracer && !sandbox_is_filtered())
		syscall(SYS_prctl, PR_SET_PTRACER, tracer, 0, 0, 0);
	errno = saved;
}

void tracer_prepare(const struct settings *settings)
{
	struct stat space;

	if (!settings->tracer || fd_stat_path("/proc/self/ns/pid", 0, &space) ||
	    space.st_ino != settings->tracer_space)
		return;
	tracer = (pid_t)settings->tracer;
	tracer_name();
}

#ifdef __GLIBC__

extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
			     void *dso) __attribute__((weak));
extern void *__dso_handle __attribute__((visibility("hidden")));

/* As glibc's pthread_atfork(), which asks for this name, and musl has none such */
static void name_in_children(void)
{
	if (__register_atfork)
		__register_atfork(NULL, NULL, tracer_name, &__dso_handle);
}

#else

static void name_in_children(void)
{
	pthread_atfork(NULL, NULL, tracer_name);
}

#endif

void tracer_start(void)
{
	if (tracer)
		name_in_children();
}
