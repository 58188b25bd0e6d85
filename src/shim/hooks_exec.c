#include "libc.h"

#include "child_environ.h"
#include "real.h"
#include "shim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A program that is started with another environment than ours would leave the
 * fence, so what it lacks is put back, and nothing else is changed. The caller
 * may be a child between vfork and exec, which shares its parent's memory: the
 * new environment is built on the stack, as glibc builds argv in its execl().
 */

#define EXPORT __attribute__((visibility("default")))

/*
 * Makes @call, which returns an int, with @fenced as an environment that keeps
 * the program fenced; @none is its failure for want of memory.
 */
#define WITH_FENCE(envp, fenced, none, call)                                                       \
	({                                                                                         \
		struct child_environ_plan with_plan;                                               \
		int with_result = none, with_saved = errno;                                        \
                                                                                                   \
		child_environ_plan(&shim()->kept, envp, &with_plan);                               \
		char *with_room[with_plan.room];                                                   \
		char *const *fenced = child_environ_build(&with_plan, with_room);                  \
                                                                                                   \
		if (fenced || with_plan.complete) {                                                \
			errno = with_saved;                                                        \
			with_result = (call);                                                      \
			child_environ_drop(&with_plan, fenced);                                    \
		}                                                                                  \
		with_result;                                                                       \
	})

static int hook_execve(const char *path, char *const argv[], char *const envp[])
{
	return WITH_FENCE(envp, fenced, -1, REAL(execve)(path, argv, fenced));
}

static int hook_execvpe(const char *file, char *const argv[], char *const envp[])
{
	return WITH_FENCE(envp, fenced, -1, REAL(execvpe)(file, argv, fenced));
}

/* Number of arguments after the first, up to the NULL that ends them. */
static size_t count_arguments(va_list arguments)
{
	size_t count = 0;

	while (va_arg(arguments, char *))
		count++;
	return count;
}

/*
 * Collects execl()'s arguments into @argv, which must be declared by the
 * caller: an array whose size is known only now cannot leave its frame. The
 * list is handed over by its address, as the caller reads on from it (C11 7.16).
 */
static void collect_arguments(char **argv, const char *first, size_t count, va_list *arguments)
{
	size_t i;

	argv[0] = (char *)first;
	for (i = 1; i <= count; i++)
		argv[i] = va_arg(*arguments, char *);
	argv[count + 1] = NULL;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return hook_execve(path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return hook_execve(path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return hook_execvpe(file, argv, environ);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return hook_execvpe(file, argv, envp);
}

/* Declares @argv in the calling function and fills it with the arguments after @first. */
#define ARGUMENTS(argv, first, rest)                                                               \
	va_list rest;                                                                              \
	va_start(rest, first);                                                                     \
	size_t argv##_count = count_arguments(rest);                                               \
	va_end(rest);                                                                              \
	char *argv[argv##_count + 2];                                                              \
	va_start(rest, first);                                                                     \
	collect_arguments(argv, first, argv##_count, &rest)

EXPORT int execl(const char *path, const char *first, ...)
{
	ARGUMENTS(argv, first, rest);
	va_end(rest);
	return hook_execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
	ARGUMENTS(argv, first, rest);
	va_end(rest);
	return hook_execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *first, ...)
{
	ARGUMENTS(argv, first, rest);
	(void)va_arg(rest, char *); /* the NULL that ends them */
	char *const *envp = va_arg(rest, char *const *);
	va_end(rest);
	return hook_execve(path, argv, envp);
}

EXPORT int execveat(int folder, const char *path, char *const argv[], char *const envp[], int flags)
{
	int (*real)(int, const char *, char *const[], char *const[], int) = REAL(execveat);

	/* musl has none */
	if (!real) {
		errno = ENOSYS;
		return -1;
	}
	return WITH_FENCE(envp, fenced, -1, real(folder, path, argv, fenced, flags));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
#ifdef __GLIBC__
	/* which refuses it (sysdeps/unix/sysv/linux/fexecve.c); to others it is an empty environment */
	if (!envp)
		return REAL(fexecve)(fd, argv, envp);
#endif
	return WITH_FENCE(envp, fenced, -1, REAL(fexecve)(fd, argv, fenced));
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return WITH_FENCE(envp, fenced, ENOMEM,
			  REAL(posix_spawn)(pid, path, actions, attributes, argv, fenced));
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return WITH_FENCE(envp, fenced, ENOMEM,
			  REAL(posix_spawnp)(pid, file, actions, attributes, argv, fenced));
}

/* Return: false and errno if the shell would not be fenced */
static bool mend(void)
{
	int saved = errno;

	if (child_environ_mend(&shim()->kept)) {
		errno = ENOMEM;
		return false;
	}
	errno = saved;
	return true;
}

EXPORT int system(const char *command)
{
	return mend() ? REAL(system)(command) : -1;
}

EXPORT FILE *popen(const char *command, const char *type)
{
	if (!mend())
		return NULL;
	return REAL(popen)(command, type);
}
