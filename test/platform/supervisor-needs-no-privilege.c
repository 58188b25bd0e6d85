/*
 * Fact: under no_new_privs an unprivileged process can install a seccomp filter
 * with user notification, and its unprivileged parent can then, for the trapped
 * call, take the socket with pidfd_getfd and set its range, let the call go on,
 * or make a socket of its own and hand it over as the result.
 *
 * Source: seccomp_unotify(2); pidfd_getfd(2), which asks for the same rights as
 * ptrace(2); SECCOMP_ADDFD_FLAG_SEND (Linux 5.14).
 *
 * So `portfence run --via supervise` works without root.
 */
#include "platform.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/* The program under supervision: both calls go through the supervisor. */
static void supervised(int pipe_fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 5, .filter = code };
	int listener, at_connect = tcp4(), at_birth;

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (listener < 0)
		skip("the kernel has no seccomp user notification: %s", strerror(errno));
	check(write(pipe_fd, &listener, sizeof(listener)) == sizeof(listener), "write: %s",
	      strerror(errno));

	expect("connect", try_connect(at_connect, "127.0.0.1", 30000), 0);
	expect_port("range set at connect", port_of(at_connect), 40000, 40009);

	at_birth = tcp4();
	check(fcntl(at_birth, F_GETFD) == FD_CLOEXEC, "expected the socket to be close-on-exec");
	check((unsigned int)get_option(at_birth, IPPROTO_IP, IP_LOCAL_PORT_RANGE) ==
		      (41009U << 16 | 41000U),
	      "expected the range to be set on the socket handed over");
	expect("bind to 0", try_bind(at_birth, "127.0.0.1", 0), 0);
	expect_port("range set at birth", port_of(at_birth), 41000, 41009);
}

static void answer_connect(int listener, int pidfd, const struct seccomp_notif *req)
{
	struct seccomp_notif_resp resp = { .id = req->id,
					   .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	int fd = must((int)syscall(SYS_pidfd_getfd, pidfd, (int)req->data.args[0], 0),
		      "pidfd_getfd of the socket");

	port_range(fd, 40000, 40009);
	close(fd);
	must(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp), "SECCOMP_IOCTL_NOTIF_SEND");
}

static void answer_socket(int listener, const struct seccomp_notif *req)
{
	struct seccomp_notif_addfd add = { .id = req->id,
					   .flags = SECCOMP_ADDFD_FLAG_SEND,
					   .newfd_flags = O_CLOEXEC };
	int fd = tcp4();

	port_range(fd, 41000, 41009);
	add.srcfd = (uint32_t)fd;
	must(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), "SECCOMP_IOCTL_NOTIF_ADDFD");
	close(fd);
}

static void supervise(void *arg)
{
	struct seccomp_notif req;
	int pipe_fds[2], number, pidfd, listener, status, calls;
	pid_t pid;

	(void)arg;
	/* setresuid has cleared this; an exec would set it again. */
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE");
	must(pipe2(pipe_fds, O_CLOEXEC), "pipe2");
	pid = must(fork(), "fork");
	if (pid == 0) {
		supervised(pipe_fds[1]);
		_exit(HOLDS);
	}
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &number, sizeof(number)) != sizeof(number)) {
		must(waitpid(pid, &status, 0), "waitpid");
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : FAILS);
	}
	pidfd = must((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open");
	listener = must((int)syscall(SYS_pidfd_getfd, pidfd, number, 0),
			"pidfd_getfd of the listener");

	/* A child that fails says so and ends: poll shows that, too. */
	for (calls = 0; calls < 2; calls++) {
		struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
				       { .fd = pidfd, .events = POLLIN } };

		must(poll(p, 2, -1), "poll");
		if (!(p[0].revents & POLLIN))
			break;
		memset(&req, 0, sizeof(req));
		must(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req), "SECCOMP_IOCTL_NOTIF_RECV");
		if (req.data.nr == SYS_connect)
			answer_connect(listener, pidfd, &req);
		else
			answer_socket(listener, &req);
	}
	must(waitpid(pid, &status, 0), "waitpid");
	check(WIFEXITED(status), "the supervised child was killed by signal %d", WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

int main(void)
{
	int server;

	begin();
	ephemeral_range(32768, 60999);
	server = open_server("127.0.0.1", 30000);
	as_nobody(supervise, NULL);
	close(server);
	return HOLDS;
}
