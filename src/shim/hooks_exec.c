#include "libc.h"

#include "child_environ.h"
#include "gaining.h"
#include "real.h"
#include "shim.h"
#include "tracer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A program that starts with an environment without our variables would leave
 * the fence. So these hooks put back what is missing, and change nothing else.
 * The caller may be a child between vfork and exec, which shares its parent's
 * memory. So the new environment is built on the stack, as glibc builds argv in
 * its execl().
 */

/**
 * WITH_FENCE() - Start a program with an environment that keeps it fenced
 * @envp:	the environment that the caller asked for
 * @fenced:	name that @call uses for the environment to start with
 * @failure:	result where there is no memory for that environment
 * @call:	an expression of type int that starts the program
 *
 * A macro, as the environment is an array in the caller's frame: its size is
 * known only at run time.
 *
 * Return: the result of @call, or @failure
 */
#define WITH_FENCE(envp, fenced, failure, call)                                                    \
	({                                                                                         \
		struct child_environ_plan with_plan;                                               \
		int with_result = failure, with_saved = errno;                                     \
                                                                                                   \
		child_environ_plan(&shim_get()->kept, envp, &with_plan);                           \
		char *with_room[with_plan.room];                                                   \
		char *const *fenced = child_environ_build(&with_plan, with_room);                  \
                                                                                                   \
		tracer_name();                                                                     \
		if (fenced || with_plan.complete) {                                                \
			errno = with_saved;                                                        \
			with_result = (call);                                                      \
			child_environ_drop(&with_plan, fenced);                                    \
		}                                                                                  \
		with_result;                                                                       \
	})

static int hook_execve(const char *path, char *const argv[], char *const envp[])
{
	gaining_check(path);
	return WITH_FENCE(envp, fenced, -1, REAL(execve)(path, argv, fenced));
}

static int hook_execvpe(const char *file, char *const argv[], char *const envp[])
{
	gaining_check(file);
	return WITH_FENCE(envp, fenced, -1, REAL(execvpe)(file, argv, fenced));
}

/* How many arguments follow the first, with the NULL that ends them. Does not move the list. */
static size_t count_arguments(va_list *arguments)
{
	size_t count = 1;
	va_list copy;

	va_copy(copy, *arguments);
	while (va_arg(copy, char *))
		count++;
	va_end(copy);
	return count;
}

/*
 * Collects the arguments of an execl() into @argv, which has room for all of
 * them. The array is the caller's: its size is known only at run time, so it
 * lives in the caller's frame. Moves the list behind the NULL (C11 7.16).
 */
static void collect_arguments(char **argv, const char *first, va_list *arguments)
{
	size_t i = 0;

	argv[0] = (char *)first;
	do
		argv[++i] = va_arg(*arguments, char *);
	while (argv[i]);
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

EXPORT int execl(const char *path, const char *first, ...)
{
	va_list rest;

	va_start(rest, first);
	char *argv[1 + count_arguments(&rest)];

	collect_arguments(argv, first, &rest);
	va_end(rest);
	return hook_execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
	va_list rest;

	va_start(rest, first);
	char *argv[1 + count_arguments(&rest)];

	collect_arguments(argv, first, &rest);
	va_end(rest);
	return hook_execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *first, ...)
{
	char *const *envp;
	va_list rest;

	va_start(rest, first);
	char *argv[1 + count_arguments(&rest)];

	collect_arguments(argv, first, &rest);
	envp = va_arg(rest, char *const *);
	va_end(rest);
	return hook_execve(path, argv, envp);
}

EXPORT int execveat(int folder, const char *path, char *const argv[], char *const envp[], int flags)
{
	int (*real)(int, const char *, char *const[], char *const[], int) = REAL(execveat);

	/* musl has no execveat() */
	if (!real)
		return real_missing();
	return WITH_FENCE(envp, fenced, -1, real(folder, path, argv, fenced, flags));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
#ifdef __GLIBC__
	/* glibc refuses it (sysdeps/unix/sysv/linux/fexecve.c); to other libcs it is an empty environment */
	if (!envp)
		return REAL(fexecve)(fd, argv, envp);
#endif
	return WITH_FENCE(envp, fenced, -1, REAL(fexecve)(fd, argv, fenced));
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	gaining_check(path);
	return WITH_FENCE(envp, fenced, ENOMEM,
			  REAL(posix_spawn)(pid, path, actions, attributes, argv, fenced));
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	gaining_check(file);
	return WITH_FENCE(envp, fenced, ENOMEM,
			  REAL(posix_spawnp)(pid, file, actions, attributes, argv, fenced));
}

/* Fences the shell that libc is about to start. Return: false and errno if there is no memory for that */
static bool mend_environment(void)
{
	int saved = errno;

	if (child_environ_mend(&shim_get()->kept)) {
		errno = ENOMEM;
		return false;
	}
	errno = saved;
	return true;
}

EXPORT int system(const char *command)
{
	return mend_environment() ? REAL(system)(command) : -1;
}

EXPORT FILE *popen(const char *command, const char *type)
{
	if (!mend_environment())
		return NULL;
	return REAL(popen)(command, type);
}
