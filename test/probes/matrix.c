/*
 * matrix: every call that makes the kernel choose a port, one after the other.
 *
 *   matrix serve PORT            accept and swallow, on IPv4 and IPv6: TCP, MPTCP, UDP, UDP-Lite
 *   matrix PROTO FAMILY PORT     make the calls towards the server; a line for each:
 *                                "CALL PROTO FAMILY LOCAL-PORT ERRNO"; then wait for the end of
 *                                standard input, so that the sockets can be looked at
 *
 * PROTO is tcp, mptcp, udp or udplite; FAMILY is 4, 6 or mapped (IPv6 sockets
 * to an IPv4 destination).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static struct {
	const char *name;
	int type;
	int protocol;
} protos[] = {
	{ "tcp", SOCK_STREAM, IPPROTO_TCP },
	{ "mptcp", SOCK_STREAM, IPPROTO_MPTCP },
	{ "udp", SOCK_DGRAM, IPPROTO_UDP },
	{ "udplite", SOCK_DGRAM, IPPROTO_UDPLITE },
};

static int proto, family;
static const char *family_name;
static struct sockaddr_storage peer, any;
static socklen_t len;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int new_socket(void)
{
	int fd = socket(family, protos[proto].type, protos[proto].protocol);

	if (fd < 0)
		die("socket");
	return fd;
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		die("setsockopt");
}

static int local_port(int fd)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_storage any;
	} local;
	socklen_t size = sizeof(local);

	if (getsockname(fd, &local.sa, &size))
		die("getsockname");
	return ntohs(local.sa.sa_family == AF_INET ? local.in4.sin_port : local.in6.sin6_port);
}

static void report(const char *call, int fd, int failed)
{
	int error = failed ? errno : 0;

	printf("%s %s %s %d %s\n", call, protos[proto].name, family_name, local_port(fd),
	       error ? strerrorname_np(error) : "0");
}

static void try_bind(void)
{
	struct sockaddr_storage addr = any;
	struct sockaddr_in *in4 = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
	int fd = new_socket();

	report("bind", fd, bind(fd, (struct sockaddr *)&addr, len));
	if (memcmp(&addr, &any, sizeof(addr)))
		puts("bind wrote into the program's address");
	fd = new_socket();
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	report("bind-reuseaddr", fd, bind(fd, (struct sockaddr *)&addr, len));
	fd = new_socket();
	if (family == AF_INET)
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		in6->sin6_addr = in6addr_loopback;
	report("bind-address", fd, bind(fd, (struct sockaddr *)&addr, len));
	if (family != AF_INET)
		return;
	addr = any;
	addr.ss_family = AF_UNSPEC;
	fd = new_socket();
	report("bind-unspec", fd, bind(fd, (struct sockaddr *)&addr, len));
	fd = new_socket();
	report("bindresvport", fd, bindresvport(fd, NULL));
}

static void try_connect_no_port(void)
{
	struct sockaddr_storage addr = any;
	int fd = new_socket(), on = 1;

	/* MPTCP has the option since Linux 6.8 */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) &&
	    protos[proto].protocol == IPPROTO_MPTCP)
		return;
	if (!strcmp(family_name, "4"))
		((struct sockaddr_in *)&addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&addr, len) || local_port(fd))
		puts("IP_BIND_ADDRESS_NO_PORT did not keep the port off");
	report("connect-no-port", fd, connect(fd, (struct sockaddr *)&peer, len));
}

static void try_connect(void)
{
	struct sockaddr_storage addr;
	int fd = new_socket();

	if (protos[proto].type != SOCK_STREAM) {
		report("connect", fd, connect(fd, (struct sockaddr *)&peer, len));
		return;
	}
	/*
	 * Refused, then again with the same socket. First of all, as it cannot be bound again: another
	 * connection from its port to the server would be in its way.
	 */
	addr = peer;
	*(in_port_t *)((char *)&addr + 2) = htons(1);
	if (!connect(fd, (struct sockaddr *)&addr, len) || errno != ECONNREFUSED)
		puts("connect to a closed port was not refused");
	report("connect-refused", fd, 0);
	report("connect-again", fd, connect(fd, (struct sockaddr *)&peer, len));
	fd = new_socket();
	report("connect", fd, connect(fd, (struct sockaddr *)&peer, len));
	try_connect_no_port();
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, protos[proto].protocol);
	connect(fd, (struct sockaddr *)&peer, len);
	report("connect-nonblock", fd, 0);
}

static void try_listen(void)
{
	int fd;

	if (protos[proto].type != SOCK_STREAM)
		return;
	fd = new_socket();
	report("listen", fd, listen(fd, 5));
	fd = new_socket();
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	report("listen-reuseaddr", fd, listen(fd, 5));
}

static void try_send(int flags, const char *suffix)
{
	struct iovec data = { .iov_base = (char *)"x", .iov_len = 1 };
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { .msg_name = &peer,
			       .msg_namelen = len,
			       .msg_iov = &data,
			       .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_name = &peer,
			       .msg_namelen = len,
			       .msg_iov = &data,
			       .msg_iovlen = 1 } },
	};
	char call[32];
	int fd = new_socket();

	snprintf(call, sizeof(call), "sendto%s", suffix);
	report(call, fd, sendto(fd, "x", 1, flags, (struct sockaddr *)&peer, len) < 0);
	fd = new_socket();
	snprintf(call, sizeof(call), "sendmsg%s", suffix);
	report(call, fd, sendmsg(fd, &messages[0].msg_hdr, flags) < 0);
	fd = new_socket();
	snprintf(call, sizeof(call), "sendmmsg%s", suffix);
	report(call, fd, sendmmsg(fd, messages, flags ? 1 : 2, flags) != (flags ? 1 : 2));
	if (flags)
		return;
	/* fails for want of a destination, and must not leave a port of the kernel's behind */
	fd = new_socket();
	if (send(fd, "x", 1, 0) >= 0 || errno != EDESTADDRREQ)
		puts("send without destination did not fail with EDESTADDRREQ");
	report("send-then-sendto", fd, sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, len) < 0);
	/* too short an address: the kernel refuses the send, but has chosen a port by then */
	fd = new_socket();
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, 4) >= 0 || errno != EINVAL)
		puts("send to a short address did not fail with EINVAL");
	report("send-short-then-sendto", fd,
	       sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, len) < 0);
}

/* An MPTCP listener takes TCP, too. Linux 5.10 may have none, and before 6.2 it knows no TCP_FASTOPEN. */
static int stream_server(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP), queue = 16;

	if (fd >= 0 && !setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)))
		return fd;
	close(fd);
	fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
	set(fd, IPPROTO_TCP, TCP_FASTOPEN, queue);
	return fd;
}

__attribute__((noreturn)) static void serve(int port)
{
	struct pollfd fds[512];
	nfds_t count = 0, listeners, i;
	size_t p;

	for (p = 0; p < sizeof(protos) / sizeof(protos[0]); p++) {
		struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
					     .sin6_port = htons((in_port_t)port) };
		int fd;

		if (protos[p].protocol == IPPROTO_TCP)
			continue;
		fd = protos[p].type == SOCK_STREAM
			     ? stream_server()
			     : socket(AF_INET6, protos[p].type, protos[p].protocol);
		if (fd < 0) {
			perror(protos[p].name);
			continue;
		}
		if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
			die("bind");
		if (protos[p].type == SOCK_STREAM && listen(fd, 128))
			die("listen");
		fds[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	listeners = count;
	for (;;) {
		if (poll(fds, count, -1) < 0)
			die("poll");
		for (i = 0; i < count; i++) {
			char buffer[64];

			if (!(fds[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			if (i == 0 && count < 512)
				fds[count++] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL),
								.events = POLLIN };
			else if (read(fds[i].fd, buffer, sizeof(buffer)) <= 0 && i >= listeners) {
				close(fds[i].fd);
				fds[i--] = fds[--count];
			}
		}
	}
}

int main(int argc, char *argv[])
{
	struct sockaddr_in *peer4 = (struct sockaddr_in *)&peer;
	struct sockaddr_in6 *peer6 = (struct sockaddr_in6 *)&peer;
	char byte;

	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc != 4)
		return 2;
	while (strcmp(protos[proto].name, argv[1]))
		proto++;
	family_name = argv[2];
	family = strcmp(family_name, "4") ? AF_INET6 : AF_INET;
	any.ss_family = peer.ss_family = (sa_family_t)family;
	len = family == AF_INET ? sizeof(*peer4) : sizeof(*peer6);
	if (family == AF_INET) {
		peer4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		peer4->sin_port = htons((in_port_t)atoi(argv[3]));
	} else {
		inet_pton(AF_INET6, strcmp(family_name, "6") ? "::ffff:127.0.0.1" : "::1",
			  &peer6->sin6_addr);
		peer6->sin6_port = htons((in_port_t)atoi(argv[3]));
	}
	try_bind();
	try_connect();
	try_listen();
	if (protos[proto].type == SOCK_DGRAM)
		try_send(0, "");
	else if (protos[proto].protocol == IPPROTO_TCP)
		try_send(MSG_FASTOPEN, "-fastopen");
	puts("end");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
