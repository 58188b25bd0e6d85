/*
 * Fact: of a process of the same user that is no descendant of its own, another one reads where the links of
 * /proc/PID/fd and /proc/PID/ns lead to, whatever kernel.yama.ptrace_scope says: 0, 1, 2 or 3. What it takes out of it,
 * by pidfd_getfd(2) and process_vm_readv(2), it gets with 0 alone.
 *
 * Source: security/yama/yama_lsm.c, yama_ptrace_access_check(): PTRACE_MODE_ATTACH alone; fs/proc/base.c,
 * proc_fd_access_allowed(): PTRACE_MODE_READ_FSCREDS; kernel/pid.c, pidfd_getfd(), and
 * mm/process_vm_access.c: PTRACE_MODE_ATTACH_REALCREDS.
 *
 * So a supervisor that has made a socket finds it again in every scope. It judges the scope that there is; test/vm
 * sets each.
 */
#include "platform.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define WORD "what its memory says"

static char word[sizeof(WORD)];

/* Without Yama, it is as with 0. */
static int scope(void)
{
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int number = 0;

	if (file && fscanf(file, "%d", &number) != 1)
		fail("ptrace_scope has no number");
	if (file)
		fclose(file);
	return number;
}

/* Is looked at until the other end of the pipe is closed. */
static pid_t start_target(int ready, int until, int other_end, int number)
{
	pid_t pid = must(fork(), "fork");
	char byte;

	if (pid)
		return pid;
	close(other_end);
	memcpy(word, WORD, sizeof(word));
	must(dup2(tcp4(), number), "dup2");
	must((int)write(ready, "", 1), "write");
	_exit(read(until, &byte, 1) != 0);
}

static void expect_link(pid_t pid, const char *what, const char *start)
{
	char path[64], to[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	expect(path, readlink(path, to, sizeof(to) - 1) < 0 ? -errno : 0, 0);
	check(!strncmp(to, start, strlen(start)), "%s leads to '%s'", path, to);
}

/* The target's sibling */
static void look_beside(pid_t pid, int number)
{
	const bool may_attach = scope() == 0;
	char found[sizeof(word)] = "", name[32];
	struct iovec here = { found, sizeof(found) }, there = { word, sizeof(word) };
	const int pidfd = must((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open");
	long n;

	snprintf(name, sizeof(name), "fd/%d", number);
	/* Yama lets everybody look at himself, and a sandbox nobody */
	n = syscall(SYS_pidfd_getfd, must((int)syscall(SYS_pidfd_open, getpid(), 0), "pidfd_open"),
		    pidfd, 0);
	if (n < 0)
		skip("a sandbox refuses pidfd_getfd: %s", strerror(errno));
	expect_link(pid, name, "socket:[");
	expect_link(pid, "ns/net", "net:[");
	expect_link(pid, "ns/user", "user:[");
	n = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	expect("pidfd_getfd", n < 0 ? -errno : 0, may_attach ? 0 : -EPERM);
	n = process_vm_readv(pid, &here, 1, &there, 1, 0);
	expect("process_vm_readv", n < 0 ? -errno : 0, may_attach ? 0 : -EPERM);
	check(!may_attach || !strcmp(found, WORD), "found '%s' in its memory", found);
}

static void look(void *arg)
{
	int ready[2], until[2], status;
	const int number = 100;
	pid_t target, looker;
	char byte;

	(void)arg;
	/* setresuid has cleared this */
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE");
	must(pipe2(ready, O_CLOEXEC), "pipe2");
	must(pipe2(until, O_CLOEXEC), "pipe2");
	target = start_target(ready[1], until[0], until[1], number);
	check(read(ready[0], &byte, 1) == 1, "the other process is gone");
	looker = must(fork(), "fork");
	if (!looker) {
		look_beside(target, number);
		exit(HOLDS);
	}
	must(waitpid(looker, &status, 0), "waitpid");
	close(until[1]);
	must(waitpid(target, NULL, 0), "waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		exit(SKIPPED);
	check(WIFEXITED(status) && WEXITSTATUS(status) == HOLDS, "the looker ended with %x",
	      status);
}

int main(void)
{
	begin();
	as_nobody(look, NULL);
	return HOLDS;
}
