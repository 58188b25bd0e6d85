/*
 * unborn: what a program could notice of a supervisor that makes its sockets and keeps a duplicate of
 * each until it has a port.
 *
 *   unborn WHAT... [then how it goes on: fork, vfork, spawn, daemon]    a line for each: "WHAT RESULT..."
 *
 *   zero       bind() to port 0, TCP and UDP: "zero PORT PORT", as getsockname() tells
 *   named      bind() to port 7777, close, and the same at once, TCP and UDP: "named 0 0", or errnos
 *   moved      bind() to port 7777 twice, and the second one to 7778 instead: "moved 0 EADDRINUSE 0 7778"
 *   late       bind() to port 0, write() without a destination, sendto: "late EDESTADDRREQ PORT"
 *   drawn      write() without a destination draws a port; then getsockname(), an epoll set or bind(), and
 *              sendto: "drawn PORT PORT PORT"
 *   listen     listen() on a fresh socket: "listen PORT"
 *   option     is IP_BIND_ADDRESS_NO_PORT as it was after a bind() to port 0? "option 0 0"
 *   closed     events of an epoll set whose socket was closed before its first use, TCP and UDP: "closed 0 0"
 *   watched    a socket in an epoll set connects to port 7000: "watched PORT"
 *   early      a socket in an epoll set binds to port 7779: "early ERRNO"
 *   dups       a duplicate, a child, and a socket that came by a UNIX socket, UDP: "dups PORT PORT PORT"
 *   fork, vfork, spawn, daemon: goes on with the rest in a child that is made that way
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

extern char **environ;

static const char *name_of(int rc)
{
	return rc >= 0 ? "0" : strerrorname_np(errno);
}

static int new_socket(int type)
{
	return socket(AF_INET, type | SOCK_CLOEXEC, 0);
}

static struct sockaddr_in to(unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((in_port_t)port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static int bind_to(int fd, unsigned port)
{
	const struct sockaddr_in addr = to(port);

	return bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
}

static int send_to(int fd, unsigned port)
{
	const struct sockaddr_in addr = to(port);

	return (int)sendto(fd, "x", 1, 0, (const struct sockaddr *)&addr, sizeof(addr));
}

static unsigned port_of(int fd)
{
	struct sockaddr_in addr = { .sin_port = 0 };
	socklen_t len = sizeof(addr);

	getsockname(fd, (struct sockaddr *)&addr, &len);
	return ntohs(addr.sin_port);
}

static int option_of(int fd)
{
	socklen_t len = sizeof(int);
	int value = -1;

	getsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &value, &len);
	return value;
}

static void zero(void)
{
	int tcp = new_socket(SOCK_STREAM), udp = new_socket(SOCK_DGRAM);

	bind_to(tcp, 0);
	bind_to(udp, 0);
	printf("zero %u %u\n", port_of(tcp), port_of(udp));
	close(tcp);
	close(udp);
}

static void named(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	int i, fd, rc;

	printf("named");
	for (i = 0; i < 2; i++) {
		fd = new_socket(types[i]);
		rc = bind_to(fd, 7777);
		close(fd);
		fd = new_socket(types[i]);
		rc = rc ? rc : bind_to(fd, 7777);
		printf(" %s", name_of(rc));
		close(fd);
	}
	printf("\n");
}

static void moved(void)
{
	int one = new_socket(SOCK_STREAM), two = new_socket(SOCK_STREAM);

	printf("moved %s", name_of(bind_to(one, 7777)));
	printf(" %s", name_of(bind_to(two, 7777)));
	printf(" %s", name_of(bind_to(two, 7778)));
	printf(" %u\n", port_of(two));
	close(one);
	close(two);
}

static void late(void)
{
	int fd = new_socket(SOCK_DGRAM);

	bind_to(fd, 0);
	printf("late %s", name_of((int)write(fd, "x", 1)));
	send_to(fd, 7000);
	printf(" %u\n", port_of(fd));
	close(fd);
}

static int watch(int set, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

static void drawn(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), i, fd;

	printf("drawn");
	for (i = 0; i < 3; i++) {
		fd = new_socket(SOCK_DGRAM);
		if (write(fd, "x", 1) >= 0)
			printf(" written");
		if (i == 0)
			port_of(fd);
		else if (i == 1)
			watch(set, fd);
		else
			bind_to(fd, 0);
		send_to(fd, 7000);
		printf(" %u", port_of(fd));
		close(fd);
	}
	close(set);
	printf("\n");
}

static void listens(void)
{
	int fd = new_socket(SOCK_STREAM);

	listen(fd, 1);
	printf("listen %u\n", port_of(fd));
	close(fd);
}

static void option(void)
{
	int fd = new_socket(SOCK_STREAM);

	printf("option %d", option_of(fd));
	bind_to(fd, 0);
	port_of(fd);
	printf(" %d\n", option_of(fd));
	close(fd);
}

static int events_after(int type)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = new_socket(type), n;
	struct epoll_event event;

	watch(set, fd);
	close(fd);
	n = epoll_wait(set, &event, 1, 20);
	close(set);
	return n;
}

static void closed(void)
{
	printf("closed %d", events_after(SOCK_STREAM));
	printf(" %d\n", events_after(SOCK_DGRAM));
}

static void watched(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = new_socket(SOCK_STREAM);
	const struct sockaddr_in addr = to(7000);

	watch(set, fd);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		printf("watched %s\n", name_of(-1));
	else
		printf("watched %u\n", port_of(fd));
	close(fd);
	close(set);
}

static void early(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = new_socket(SOCK_STREAM);

	watch(set, fd);
	printf("early %s\n", name_of(bind_to(fd, 7779)));
	close(fd);
	close(set);
}

static int pass_on(int fd)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int ends[2];

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) || sendmsg(ends[0], &message, 0) < 0 ||
	    recvmsg(ends[1], &message, 0) < 0)
		return -1;
	close(fd);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	close(ends[0]);
	close(ends[1]);
	return fd;
}

static void dups(void)
{
	int one = new_socket(SOCK_DGRAM), two = dup(one), three = new_socket(SOCK_DGRAM), four;

	close(one);
	send_to(two, 7000);
	if (!fork()) {
		send_to(three, 7000);
		_exit(0);
	}
	wait(NULL);
	four = pass_on(new_socket(SOCK_DGRAM));
	send_to(four, 7000);
	printf("dups %u %u %u\n", port_of(two), port_of(three), port_of(four));
}

/* Goes on with the rest of the arguments. Return: the exit status of the one who does not */
static int go_on(const char *how, char *argv[])
{
	char *arguments[32] = { argv[0] };
	int i, status = 1;
	pid_t pid;

	for (i = 1; argv[i]; i++)
		arguments[i] = argv[i];
	if (!strcmp(how, "spawn"))
		posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ);
	else if (!vfork()) {
		execv("/proc/self/exe", arguments);
		_exit(1);
	}
	wait(&status);
	return status ? 1 : 0;
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{ "zero", zero },      { "named", named },   { "moved", moved },   { "late", late },
	{ "listen", listens }, { "option", option }, { "closed", closed }, { "watched", watched },
	{ "early", early },    { "dups", dups },     { "drawn", drawn },
};

int main(int argc, char *argv[])
{
	size_t k;
	int i, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (!strcmp(argv[i], kinds[k].name))
				kinds[k].run();
		if (!strcmp(argv[i], "spawn") || !strcmp(argv[i], "vfork")) {
			const char *how = argv[i];

			argv[i] = argv[0];
			return go_on(how, argv + i);
		}
		if (!strcmp(argv[i], "fork") || !strcmp(argv[i], "daemon")) {
			int done[2];
			char byte;

			if (pipe(done))
				return 1;
			if (fork()) {
				close(done[1]);
				/* the daemon ends later than its parent */
				return read(done[0], &byte, 1) < 0 || wait(&status) < 0;
			}
			close(done[0]);
			if (!strcmp(argv[i], "daemon") && (setsid() < 0 || fork()))
				_exit(0);
		}
	}
	return 0;
}
