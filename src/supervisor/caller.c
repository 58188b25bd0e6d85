#include "caller.h"

#include "../core/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* include/uapi/linux/pidfd.h, since Linux 6.9 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static int open_pidfd(pid_t id, unsigned flags)
{
	int fd = (int)syscall(SYS_pidfd_open, id, flags);

	return fd < 0 ? -errno : fd;
}

/* A number in /proc/ID/status. Return: false if it is not there */
static bool read_status(pid_t id, const char *name, int base, unsigned long long *ret_value)
{
	char path[64], text[4096];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)id);
	if (fd_read_file(path, text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, name);
	if (!line)
		return false;
	*ret_value = strtoull(line + strlen(name), NULL, base);
	return true;
}

pid_t caller_process(const struct caller *caller)
{
	unsigned long long id;

	return read_status(caller->thread, "\nTgid:", 10, &id) ? (pid_t)id : 0;
}

/* Before Linux 6.9 a pidfd is a process's. */
static int open_process(struct caller *caller)
{
	pid_t process = caller_process(caller);

	if (!process)
		return -ESRCH;
	caller->others = process != caller->thread;
	return open_pidfd(process, 0);
}

int caller_open(pid_t thread, struct caller *ret_caller)
{
	struct caller caller = { .thread = thread };

	caller.pidfd = open_pidfd(thread, PIDFD_THREAD);
	if (caller.pidfd == -EINVAL)
		caller.pidfd = open_process(&caller);
	if (caller.pidfd < 0)
		return caller.pidfd;
	*ret_caller = caller;
	return 0;
}

void caller_close(struct caller *caller)
{
	close(caller->pidfd);
}

int caller_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size)
{
	struct iovec here = { ret_data, size }, there = { (void *)(uintptr_t)address, size };
	ssize_t n = process_vm_readv(caller->thread, &here, 1, &there, 1, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

int caller_write(const struct caller *caller, uint64_t address, const void *data, size_t size)
{
	struct iovec here = { (void *)data, size }, there = { (void *)(uintptr_t)address, size };
	ssize_t n = process_vm_writev(caller->thread, &here, 1, &there, 1, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

/* Do two links of /proc name the same thing, such as "socket:[INODE]"? False if it cannot be told */
static bool same_link(const char *one, const char *other)
{
	char a[64], b[64];
	ssize_t n = readlink(one, a, sizeof(a)), m = readlink(other, b, sizeof(b));

	return n > 0 && n == m && !memcmp(a, b, (size_t)n);
}

/*
 * Threads share one table of descriptors, but for those that have left it
 * (unshare(2)): has the number the same meaning in the thread's as in the process's?
 */
static bool is_threads(const struct caller *caller, int number, int fd)
{
	char ours[64], theirs[64];

	snprintf(ours, sizeof(ours), "/proc/self/fd/%d", fd);
	snprintf(theirs, sizeof(theirs), "/proc/%d/fd/%d", (int)caller->thread, number);
	return same_link(ours, theirs);
}

int caller_descriptor(const struct caller *caller, int fd)
{
	int got = (int)syscall(SYS_pidfd_getfd, caller->pidfd, fd, 0);

	if (got < 0)
		return -errno;
	if (!caller->others || is_threads(caller, fd, got))
		return got;
	close(got);
	return -EPERM;
}

static bool same_user_namespace(pid_t id)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)id);
	return same_link("/proc/self/ns/user", path);
}

/* Where /proc is another PID namespace's, what stands there under an id is of somebody else. */
static bool is_proc_ours(void)
{
	char number[32] = "";

	return readlink("/proc/self", number, sizeof(number) - 1) > 0 &&
	       strtol(number, NULL, 10) == getpid();
}

bool caller_runs(pid_t thread)
{
	char path[64], text[512];
	const char *state;

	if (kill(thread, 0) && errno == ESRCH)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)thread);
	if (!is_proc_ours() || fd_read_file(path, text, sizeof(text)) <= 0)
		return true;
	/* "1 (name) S", and the name may be anything (proc_pid_stat(5)) */
	state = strrchr(text, ')');
	return !state || !state[1] || strchr("RD", state[2]);
}

bool caller_is_signalled(pid_t thread)
{
	unsigned long long own, shared, blocked, threads;

	if (!is_proc_ours() || !read_status(thread, "\nSigPnd:", 16, &own) ||
	    !read_status(thread, "\nShdPnd:", 16, &shared) ||
	    !read_status(thread, "\nSigBlk:", 16, &blocked) ||
	    !read_status(thread, "\nThreads:", 10, &threads))
		return false;
	/* of several threads, another may take what is meant for all */
	return ((threads == 1 ? shared : 0) | own) & ~blocked;
}

bool caller_binds_low(const struct caller *caller)
{
	unsigned long long capabilities;

	return is_proc_ours() && read_status(caller->thread, "\nCapEff:", 16, &capabilities) &&
	       capabilities >> CAP_NET_BIND_SERVICE & 1 && same_user_namespace(caller->thread);
}
