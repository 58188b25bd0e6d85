/*
 * own_filter: a program that forbids itself what it does not need, by a seccomp filter of its own; then
 * it makes one call. Forbidden is what it never calls: getsockname, getsockopt, rt_sigprocmask, fcntl,
 * rt_sigpending, getpid, madvise, mremap, ppoll, pwritev2 and netlink sockets.
 *
 *   own_filter ACTION SET CALL [PORT]    prints "CALL", and a local port where the socket has one
 *
 * ACTION:	kill		the filter ends the process
 *		errno		it answers EPERM
 * SET:		prctl		the filter is set by prctl(2)
 *		seccomp		it is set by seccomp(2), without libc
 * CALL:	connect		to PORT of this host, over TCP; connect-reuse: with SO_REUSEADDR,
 *				connect-reuseport: with SO_REUSEPORT
 *		sendto		a datagram to PORT; sendmsg: the same
 *		listen		on a socket without a port
 *		closed		connect() in a process without a filter that nobody may look into
 *		ipc		sendmsg() over a UNIX socket pair that was made before
 *		ipc-forked	the pair was made by the parent
 *		ipc-thread	a thread sets the filter and sends
 *		ipc-closed	no filter is set, but a thread of a process that nobody may look into
 *				(PR_SET_DUMPABLE) sends
 *		ipc-named	a datagram to a UNIX address
 *
 * All messages and addresses are in static memory. The local port is read by a raw system call before
 * the process ends, if the filter lets it: it does for getsockname on descriptor 99.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN 99 /* getsockname() may be called on this descriptor */

static struct sockaddr_in peer = { .sin_family = AF_INET };
static struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "own_filter.sock" };
static char byte = 'x';
static struct iovec part = { &byte, 1 };
static struct msghdr unnamed = { .msg_iov = &part, .msg_iovlen = 1 };
static struct msghdr to_peer = { &peer, sizeof(peer), &part, 1, NULL, 0, 0 };
static int pair[2], result;
static char **arguments;

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)

static void set_filter(unsigned action, int raw)
{
	struct sock_filter code[] = {
		LOAD(nr),
		IS(SYS_madvise, 14, 0),
		IS(SYS_mremap, 13, 0),
		IS(SYS_getsockopt, 12, 0),
		IS(SYS_rt_sigprocmask, 11, 0),
		IS(SYS_ppoll, 10, 0),
		IS(SYS_pwritev2, 9, 0),
		IS(SYS_rt_sigpending, 8, 0),
		IS(SYS_fcntl, 7, 0),
		IS(SYS_getpid, 6, 0),
		IS(SYS_getsockname, 2, 0),
		IS(SYS_socket, 0, 5),
		LOAD(args[0]),
		IS(AF_NETLINK, 2, 3),
		LOAD(args[0]),
		IS(SHOWN, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("no_new_privs");
	if (raw ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
		: prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		fail("filter");
}

/* Prints the call, and the port that the socket has. */
static void show(const char *call, int fd)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	if (result < 0)
		fail(call);
	syscall(SYS_dup3, fd, SHOWN, 0);
	if (syscall(SYS_getsockname, SHOWN, &local, &len))
		fail("getsockname");
	printf("%s %d\n", call, local.sin_family == AF_INET ? ntohs(local.sin_port) : 0);
}

static void send_unnamed(void)
{
	result = (int)sendmsg(pair[0], &unnamed, MSG_NOSIGNAL);
}

static void forbid(void)
{
	set_filter(!strcmp(arguments[1], "kill") ? SECCOMP_RET_KILL_PROCESS
						 : SECCOMP_RET_ERRNO | EPERM,
		   !strcmp(arguments[2], "seccomp"));
}

/* The end of a thread would take calls that are forbidden. */
static void *in_thread(void *unused)
{
	if (!strcmp(arguments[3], "ipc-closed"))
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	else
		forbid();
	send_unnamed();
	show(arguments[3], pair[0]);
	fflush(stdout);
	_exit(0);
	return unused;
}

static int make_call(const char *call)
{
	int datagram = !strncmp(call, "send", 4), one = 1, fd;

	fd = socket(AF_INET, datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (fd < 0)
		fail("socket");
	if (!strcmp(call, "connect-reuse"))
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!strcmp(call, "connect-reuseport"))
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (!strcmp(call, "sendto"))
		result = (int)sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
	else if (!strcmp(call, "sendmsg"))
		result = (int)sendmsg(fd, &to_peer, 0);
	else if (!strcmp(call, "listen"))
		result = listen(fd, 1);
	else
		result = connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	return fd;
}

static int make_unix_sockets(void)
{
	int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		fail("socketpair");
	if (bind(datagram, (struct sockaddr *)&name, sizeof(name)))
		fail("bind");
	unlink(name.sun_path);
	return datagram;
}

int main(int argc, char *argv[])
{
	int forked, datagram = -1, fd;
	pthread_t thread;

	if (argc < 4)
		return 2;
	arguments = argv;
	forked = !strcmp(argv[3], "ipc-forked");
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons((uint16_t)(argc > 4 ? atoi(argv[4]) : 0));
	/* the others have no socket before the filter */
	if (!strncmp(argv[3], "ipc", 3))
		datagram = make_unix_sockets();
	if (forked && fork()) {
		wait(&result);
		return WIFEXITED(result) ? WEXITSTATUS(result) : 1;
	}
	if (!strcmp(argv[3], "ipc-thread") || !strcmp(argv[3], "ipc-closed")) {
		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
		return 1;
	}
	if (!strcmp(argv[3], "closed"))
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	else
		forbid();
	if (strncmp(argv[3], "ipc", 3)) {
		fd = make_call(argv[3]);
	} else if (!strcmp(argv[3], "ipc-named")) {
		/* nobody has that name any more */
		fd = pair[0];
		result = (int)sendto(datagram, "x", 1, 0, (struct sockaddr *)&name, sizeof(name));
		if (result < 0 && errno == ENOENT)
			result = 0;
	} else {
		fd = pair[0];
		send_unnamed();
	}
	show(argv[3], fd);
	return 0;
}
