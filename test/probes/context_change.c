/*
 * context_change: makes every call, changes what the process is or has, and makes every call again.
 * Run it as root, with a listener on port 7777 of this host.
 *
 *	context_change WAY [ARGUMENT]
 *
 * WAY:	closefrom, close_range, close, close-raw	closes all descriptors but 0 to 2, in that way
 *	chroot			changes the root to an empty folder, ARGUMENT
 *	setuid			becomes nobody
 *	capset			drops all capabilities and forbids itself new ones
 *	unshare, unshare-raw	enters a network namespace whose ephemeral range is ARGUMENT ("FIRST LAST")
 *	unshare-thread		one thread enters it; the other threads go on meanwhile
 *	setns			enters it, comes back, and enters it again
 *	clone			a child with CLONE_NEWNET is in it
 *	seccomp			installs a filter that refuses what the calls do not need without the fence
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const char *argument;

static int check(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(2);
	}
	return (int)result;
}

/* ---- descriptors ---- */

/* What is remembered of these numbers must not be believed of those that come. */
static void settle(void)
{
	struct sockaddr_in peer = calls_peer(CALLS_UDP);
	int i;

	for (i = 0; i < 60; i++)
		sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (struct sockaddr *)&peer,
		       sizeof(peer));
	for (i = 3; i < 63; i++)
		sendto(i, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
}

static void close_all(const char *way)
{
	int fd;

	settle();
	if (!strcmp(way, "closefrom"))
		closefrom(3);
	else if (!strcmp(way, "close_range"))
		check(close_range(3, ~0U, 0), way);
	for (fd = 3; fd < 70; fd++) {
		if (!strcmp(way, "close"))
			close(fd);
		else if (!strcmp(way, "close-raw"))
			syscall(SYS_close, fd);
	}
	for (fd = 0; fd < 20; fd++)
		calls("after");
}

/* ---- namespaces ---- */

/* Makes the namespace one in which there is a loopback device, a listener and another range. */
static void furnish(void)
{
	int fd = check(open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY), "sysctl");
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in here = calls_peer(CALLS_TCP);

	check(write(fd, argument, strlen(argument)), "sysctl");
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	check(ioctl(fd, SIOCSIFFLAGS, &lo), "lo");
	check(bind(fd, (struct sockaddr *)&here, sizeof(here)), "bind");
	check(listen(fd, 99), "listen");
}

static void *in_thread(void *unused)
{
	check(unshare(CLONE_NEWNET), "unshare");
	furnish();
	calls("after");
	calls("after");
	return unused;
}

static void unshare_thread(void)
{
	pthread_t thread;
	int i;

	check(-pthread_create(&thread, NULL, in_thread, NULL), "thread");
	for (i = 0; i < 30; i++)
		calls("beside");
	pthread_join(thread, NULL);
	calls("beside");
}

static void there_and_back(void)
{
	int old = check(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "ns"), new;

	check(unshare(CLONE_NEWNET), "unshare");
	furnish();
	new = check(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "ns");
	calls("after");
	check(setns(old, CLONE_NEWNET), "setns");
	calls("back");
	check(setns(new, 0), "setns");
	calls("after");
	check(setns(old, 0), "setns");
	calls("back");
}

static int in_child(void *unused)
{
	(void)unused;
	furnish();
	calls("after");
	return 0;
}

static void clone_it(void)
{
	static char stack[256 << 10];
	pid_t pid = check(clone(in_child, stack + sizeof(stack), CLONE_NEWNET | SIGCHLD, NULL),
			  "clone");
	int status;

	calls("beside");
	check(waitpid(pid, &status, 0) == pid && !status ? 0 : -1, "child");
}

/* ---- rights ---- */

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	check(syscall(SYS_capset, &head, none), "capset");
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),                                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))

/* Of setsockopt(), SO_LINGER alone (the low halves; they are ints). */
static void filter(void)
{
	struct sock_filter list[] = {
		LOAD(nr),
		ALLOW(SYS_bind),
		ALLOW(SYS_close),
		ALLOW(SYS_connect),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_getsockname),
		ALLOW(SYS_listen),
		ALLOW(SYS_sendto),
		ALLOW(SYS_socket),
		ALLOW(SYS_write),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 3),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_LINGER, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { sizeof(list) / sizeof(list[0]), list };

	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
}

int main(int argc, char *argv[])
{
	const char *way = argc > 1 ? argv[1] : "";

	argument = argc > 2 ? argv[2] : "";
	calls("before");
	if (!strncmp(way, "close", 5)) {
		close_all(way);
		return 0;
	}
	if (!strcmp(way, "chroot")) {
		check(chroot(argument), way);
		check(chdir("/"), way);
	} else if (!strcmp(way, "setuid")) {
		check(setgroups(0, NULL), way);
		check(setgid(65534), way);
		check(setuid(65534), way);
	} else if (!strcmp(way, "capset")) {
		drop_capabilities();
	} else if (!strcmp(way, "unshare")) {
		check(unshare(CLONE_NEWNET), way);
		furnish();
	} else if (!strcmp(way, "unshare-raw")) {
		check(syscall(SYS_unshare, CLONE_NEWNET), way);
		furnish();
	} else if (!strcmp(way, "unshare-thread")) {
		unshare_thread();
		return 0;
	} else if (!strcmp(way, "setns")) {
		there_and_back();
		return 0;
	} else if (!strcmp(way, "clone")) {
		clone_it();
		return 0;
	} else if (!strcmp(way, "seccomp")) {
		filter();
	} else {
		return 2;
	}
	calls("after");
	calls("after");
	return 0;
}
