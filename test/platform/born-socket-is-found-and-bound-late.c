/*
 * Fact: a socket that a supervisor has made and handed over (SECCOMP_ADDFD_FLAG_SEND) is the same socket: the
 * link in /proc/TID/fd names the inode of the supervisor's duplicate, for which PTRACE_MODE_READ is enough. With
 * IP_BIND_ADDRESS_NO_PORT set on the duplicate, a bind() to port 0 that goes on binds the address alone, and
 * one to a named port binds that. The duplicate can then be bound to a port, which the program sees.
 *
 * Source: seccomp_unotify(2), Linux 5.14; fs/proc/fd.c, proc_fd_link; net/ipv4/af_inet.c, __inet_bind.
 *
 * So a supervisor that may read no address and take no socket gives ports nevertheless.
 */
#include "platform.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

#define NAMED 7777

/* As system calls: 32-bit x86's libc makes them by way of socketcall(2). */
static int raw_socket(int type)
{
	return must((int)syscall(SYS_socket, AF_INET, type, 0), "socket");
}

/* Return: 0 or an errno */
static int raw_bind(int fd, unsigned port)
{
	const struct sockaddr_in addr = { .sin_family = AF_INET,
					  .sin_port = htons((uint16_t)port),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return syscall(SYS_bind, fd, &addr, sizeof(addr)) ? errno : 0;
}

/* Makes two sockets, and binds one to port 0 and one to a named port; the last call lets the supervisor bind the first. */
static int program(int listener_to)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	int listener, first, second;

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (listener < 0)
		skip("the kernel has no seccomp user notification: %s", strerror(errno));
	check(write(listener_to, &listener, sizeof(listener)) == sizeof(listener), "write: %s",
	      strerror(errno));
	first = raw_socket(SOCK_STREAM);
	expect("bind to 0", raw_bind(first, 0), 0);
	check(port_of(first) == 0, "expected no port yet, found %u", port_of(first));
	second = raw_socket(SOCK_DGRAM);
	expect("bind to a named port", raw_bind(second, NAMED), 0);
	expect_port("a named port", port_of(second), NAMED, NAMED);
	syscall(SYS_getpriority, first, 0);
	expect_port("bound late", port_of(first), 30000, 30009);
	return HOLDS;
}

/* The duplicate whose inode the caller's descriptor has */
static int find(pid_t caller, int fd, const int kept[2])
{
	char path[64], link[64] = "", want[64];
	struct stat st;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)caller, fd);
	must((int)readlink(path, link, sizeof(link) - 1), "readlink of the caller's descriptor");
	for (i = 0; i < 2; i++) {
		if (kept[i] < 0 || fstat(kept[i], &st))
			continue;
		snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
		if (!strcmp(link, want))
			return kept[i];
	}
	fail("expected '%s' to be one of the duplicates", link);
}

static void answer(int listener, const struct seccomp_notif *req, int kept[2])
{
	struct seccomp_notif_addfd add = { .id = req->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	struct seccomp_notif_resp resp = { .id = req->id,
					   .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	const int at = kept[0] < 0 ? 0 : 1, pid = (int)req->pid;
	int port = 30000;

	if (req->data.nr == SYS_socket) {
		kept[at] = must(socket((int)req->data.args[0], (int)req->data.args[1],
				       (int)req->data.args[2]),
				"socket");
		add.srcfd = (uint32_t)kept[at];
		must(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), "SECCOMP_IOCTL_NOTIF_ADDFD");
		return;
	}
	if (req->data.nr == SYS_bind)
		set_option(find(pid, (int)req->data.args[0], kept), IPPROTO_IP,
			   IP_BIND_ADDRESS_NO_PORT, 1);
	else
		while (port < 30010 && try_bind(find(pid, (int)req->data.args[0], kept),
						"127.0.0.1", (unsigned)port))
			port++;
	must(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp), "SECCOMP_IOCTL_NOTIF_SEND");
}

static void supervise(void *arg)
{
	int pipe_fds[2], kept[2] = { -1, -1 }, number, pidfd, listener, status;
	struct seccomp_notif req;
	pid_t pid;

	(void)arg;
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE");
	must(pipe2(pipe_fds, O_CLOEXEC), "pipe2");
	pid = must(fork(), "fork");
	if (pid == 0)
		_exit(program(pipe_fds[1]));
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &number, sizeof(number)) != sizeof(number)) {
		must(waitpid(pid, &status, 0), "waitpid");
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : FAILS);
	}
	pidfd = must((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open");
	listener = must((int)syscall(SYS_pidfd_getfd, pidfd, number, 0), "pidfd_getfd");
	for (;;) {
		struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
				       { .fd = pidfd, .events = POLLIN } };

		must(poll(p, 2, -1), "poll");
		if (!(p[0].revents & POLLIN))
			break;
		memset(&req, 0, sizeof(req));
		must(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req), "SECCOMP_IOCTL_NOTIF_RECV");
		answer(listener, &req, kept);
	}
	must(waitpid(pid, &status, 0), "waitpid");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : FAILS);
}

int main(void)
{
	begin();
	as_nobody(supervise, NULL);
	return HOLDS;
}
