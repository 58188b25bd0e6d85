/*
 * fresh: a socket is given what matters to the choice of its port in a way that is easily overlooked,
 * or a number comes to mean a socket that is less new than it seems. One line:
 *
 *   fresh WAY FAMILY PORT    "WAY FAMILY" and what became of it, see there; PORT of this host is free
 *   fresh list               the ways
 *
 * FAMILY is 4 or 6. The ways with SO_REUSEADDR need a range of one port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static int family;
static struct sockaddr_storage peer;
static socklen_t len;

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(2);
	}
	return result;
}

static int new_socket(int type)
{
	return check(socket(family, type, 0), "socket");
}

static struct sockaddr_storage host(int port)
{
	struct sockaddr_storage addr = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *in4 = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

	if (family == AF_INET)
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		in6->sin6_addr = in6addr_loopback;
	/* at one place in both families */
	in4->sin_port = htons((uint16_t)port);
	return addr;
}

static int local_port(int fd)
{
	struct sockaddr_storage local;
	socklen_t size = sizeof(local);

	check(getsockname(fd, (struct sockaddr *)&local, &size), "getsockname");
	return ntohs(((const struct sockaddr_in *)&local)->sin_port);
}

static int bind_to(int fd, int port)
{
	struct sockaddr_storage local = host(port);

	return bind(fd, (struct sockaddr *)&local, len);
}

static void set(int fd, int level, int option)
{
	int one = 1;

	check(setsockopt(fd, level, option, &one, sizeof(one)), "setsockopt");
}

static void say_error(int result)
{
	printf(" %s", result < 0 ? strerrorname_np(errno) : "0");
}

/* ---- second numbers ---- */

static int by_dup(int fd)
{
	return dup(fd);
}

static int by_dup2(int fd)
{
	return dup2(fd, 50);
}

static int by_dup3(int fd)
{
	return dup3(fd, 51, O_CLOEXEC);
}

static int by_fcntl(int fd)
{
	return fcntl(fd, F_DUPFD, 52);
}

static int by_message(int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	char byte = 'x';
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int pair[2], got;

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	check((int)sendmsg(pair[0], &message, 0), "sendmsg");
	check((int)recvmsg(pair[1], &message, 0), "recvmsg");
	memcpy(&got, CMSG_DATA(&control.head), sizeof(got));
	return got;
}

static const struct twin {
	const char *name;
	int (*make)(int fd);
} twins[] = {
	{ "dup", by_dup },
	{ "dup2", by_dup2 },
	{ "dup3", by_dup3 },
	{ "fcntl", by_fcntl },
};

/* ---- ways ---- */

/* "0 PORT": the port is put off, and comes with listen() */
static void put_off(int fd, int by)
{
	set(by, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	check(bind_to(fd, 0), "bind");
	printf(" %d", local_port(fd));
	check(listen(fd, 1), "listen");
	printf(" %d", local_port(fd));
	close(fd);
	if (by != fd)
		close(by);
}

static void way_put_off(void)
{
	int fd = new_socket(SOCK_STREAM);

	put_off(fd, fd);
}

/* By another number, and seen by the first; and the other way round. */
static void way_put_off_twin(void)
{
	size_t i;

	for (i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
		int fd = new_socket(SOCK_STREAM);

		put_off(fd, check(twins[i].make(fd), twins[i].name));
		fd = new_socket(SOCK_STREAM);
		put_off(check(twins[i].make(fd), twins[i].name), fd);
	}
}

/* "0 EADDRINUSE": no port is chosen that another socket holds, even if both would share it */
static void share(int option, int (*make)(int fd))
{
	int first = new_socket(SOCK_DGRAM), second = new_socket(SOCK_DGRAM);
	int by = make ? check(make(second), "twin") : second;

	set(first, SOL_SOCKET, option);
	set(by, SOL_SOCKET, option);
	say_error(bind_to(first, 0));
	say_error(bind_to(second, 0));
	close(first);
	close(second);
	if (make)
		close(by);
}

static void way_reuseaddr(void)
{
	share(SO_REUSEADDR, NULL);
}

static void way_reuseport(void)
{
	share(SO_REUSEPORT, NULL);
}

static void way_reuseaddr_twin(void)
{
	size_t i;

	for (i = 0; i < sizeof(twins) / sizeof(twins[0]); i++)
		share(SO_REUSEADDR, twins[i].make);
}

/* "PORT 0": bound by the program to PORT, through a number that nobody knows to be a second one */
static void way_bound_by_message(void)
{
	int fd = new_socket(SOCK_DGRAM), other = by_message(fd);

	check(bind_to(other, ntohs(((struct sockaddr_in *)&peer)->sin_port)), "bind");
	errno = 0;
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, len) < 0)
		perror("sendto");
	printf(" %d", local_port(fd));
	say_error(errno ? -1 : 0);
}

/* "0 1": a connection comes under the number of a socket that was never used, and can be sent through */
static void way_accept(void)
{
	int listener = new_socket(SOCK_STREAM), client = new_socket(SOCK_STREAM), closed, fd;
	struct sockaddr_storage to = peer;
	char byte;

	set(listener, SOL_SOCKET, SO_REUSEADDR);
	check(bind_to(listener, ntohs(((struct sockaddr_in *)&peer)->sin_port)), "bind");
	check(listen(listener, 1), "listen");
	check(connect(client, (struct sockaddr *)&to, len), "connect");
	closed = new_socket(SOCK_DGRAM);
	close(closed);
	fd = check(accept(listener, NULL, NULL), "accept");
	if (fd != closed)
		exit(2);
	say_error((int)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len));
	printf(" %d", (int)recv(client, &byte, 1, 0));
}

/* "PORT": where a child that shares memory has made a socket of the other family for itself */
static void way_vfork_family(void)
{
	int listener = new_socket(SOCK_STREAM), fd = new_socket(SOCK_STREAM);
	pid_t pid;

	set(listener, SOL_SOCKET, SO_REUSEADDR);
	check(bind_to(listener, ntohs(((struct sockaddr_in *)&peer)->sin_port)), "bind");
	check(listen(listener, 1), "listen");
	pid = vfork();
	if (!pid) {
		close(fd);
		_exit(socket(family == AF_INET ? AF_INET6 : AF_INET, SOCK_STREAM, 0) != fd);
	}
	check(waitpid(pid, NULL, 0), "vfork");
	check(connect(fd, (struct sockaddr *)&peer, len), "connect");
	printf(" %d", local_port(fd));
}

static const struct way {
	const char *name;
	void (*go)(void);
} ways[] = {
	{ "accept", way_accept },       { "bound-by-message", way_bound_by_message },
	{ "put-off", way_put_off },     { "put-off-twin", way_put_off_twin },
	{ "reuseaddr", way_reuseaddr }, { "reuseaddr-twin", way_reuseaddr_twin },
	{ "reuseport", way_reuseport }, { "vfork-family", way_vfork_family },
};

int main(int argc, char *argv[])
{
	size_t i;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
			puts(ways[i].name);
		return 0;
	}
	if (argc != 4)
		return 2;
	family = argv[2][0] == '6' ? AF_INET6 : AF_INET;
	len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	peer = host(atoi(argv[3]));
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]))
			continue;
		printf("%s %s", argv[1], argv[2]);
		ways[i].go();
		puts("");
		return 0;
	}
	return 2;
}
