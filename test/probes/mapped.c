/*
 * Everything that tells a program which port a socket has, and everything by which it names one,
 * around a server that insists on a port. One line for each, with "own" in the place of a port that
 * the system chose: so what is printed with a map is what is printed without one.
 *
 *	mapped tcp|udp PORT ADDRESS [TO]	serve at ADDRESS, and be the client that goes to TO
 *	mapped bind|connect|listen PORT ADDRESS	one call
 *	mapped serve PORT ADDRESS		bind, listen, print a line and wait to be killed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union any {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

static int port;

static socklen_t parse(const char *text, union any *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &ret->in4.sin_addr) == 1) {
		ret->sa.sa_family = AF_INET;
		ret->in4.sin_port = htons((uint16_t)port);
		return sizeof(ret->in4);
	}
	if (inet_pton(AF_INET6, text, &ret->in6.sin6_addr) != 1) {
		fprintf(stderr, "no address: %s\n", text);
		exit(2);
	}
	ret->sa.sa_family = AF_INET6;
	ret->in6.sin6_port = htons((uint16_t)port);
	return sizeof(ret->in6);
}

static int check(const char *what, int result)
{
	if (result >= 0)
		return result;
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

/* A call that has filled in an address of so many bytes, into room for so many. */
static void show(const char *what, const union any *addr, socklen_t room, socklen_t len)
{
	uint16_t got =
		ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in4.sin_port);
	char text[64] = "cut", number[8];

	if (room >= len)
		inet_ntop(addr->sa.sa_family,
			  addr->sa.sa_family == AF_INET6 ? (const void *)&addr->in6.sin6_addr
							 : (const void *)&addr->in4.sin_addr,
			  text, sizeof(text));
	snprintf(number, sizeof(number), "%d", got);
	printf("%s %s %s %u\n", what, text, got == port ? number : "own", len);
}

static void show_names(const char *whose, int fd, bool connected)
{
	/* the last two have no room for an address, but for a port */
	static const socklen_t rooms[] = { sizeof(union any), sizeof(struct sockaddr_in), 4 };
	union any addr;
	char what[64];
	size_t i;

	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		socklen_t len = rooms[i];

		memset(&addr, 0xff, sizeof(addr));
		snprintf(what, sizeof(what), "%s getsockname", whose);
		check(what, getsockname(fd, &addr.sa, &len));
		show(what, &addr, rooms[i], len);
		if (!connected || rooms[i] < len)
			continue;
		len = rooms[i];
		snprintf(what, sizeof(what), "%s getpeername", whose);
		check(what, getpeername(fd, &addr.sa, &len));
		show(what, &addr, rooms[i], len);
	}
}

static int make(const union any *addr, int type)
{
	int fd = check("socket", socket(addr->sa.sa_family, type, 0)), one = 1;

	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static void tcp(const char *at, const char *to)
{
	union any addr, peer;
	socklen_t len = parse(at, &addr), peer_len = parse(to, &peer), got;
	int server = make(&addr, SOCK_STREAM), client, one, i;
	union any from;

	check("bind", bind(server, &addr.sa, len));
	show_names("bound", server, false);
	check("listen", listen(server, 5));
	show_names("listening", server, false);
	for (i = 0; i < 3; i++) {
		client = make(&peer, SOCK_STREAM);
		check("connect", connect(client, &peer.sa, peer_len));
		show_names("client", client, true);
		got = sizeof(from);
		one = check("accept", i == 0   ? accept(server, &from.sa, &got)
				      : i == 1 ? accept4(server, &from.sa, &got, SOCK_CLOEXEC)
					       : accept(server, NULL, NULL));
		if (i < 2)
			show(i ? "accept4" : "accept", &from, sizeof(from), got);
		show_names("accepted", one, true);
		close(client);
		close(one);
	}
	/* one that comes from a port that the program names, too, is seen as that by the other end */
	port++;
	client = make(&peer, SOCK_STREAM);
	len = parse(strchr(to, ':') ? "::" : "0.0.0.0", &from);
	check("bind source", bind(client, &from.sa, len));
	check("connect", connect(client, &peer.sa, peer_len));
	got = sizeof(from);
	one = check("accept", accept(server, &from.sa, &got));
	show("accept from a port of the map", &from, sizeof(from), got);
	show_names("client on a port of the map", client, false);
}

static void show_message(const char *what, int fd, bool many)
{
	union any from;
	char data[16];
	struct iovec part = { data, sizeof(data) };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &from,
						.msg_namelen = sizeof(from),
						.msg_iov = &part,
						.msg_iovlen = 1 } };

	if (many)
		check(what, recvmmsg(fd, &message, 1, 0, NULL));
	else
		check(what, (int)recvmsg(fd, &message.msg_hdr, 0));
	show(what, &from, sizeof(from), message.msg_hdr.msg_namelen);
}

static void udp(const char *at, const char *to)
{
	union any addr, peer, from;
	socklen_t len = parse(at, &addr), peer_len = parse(to, &peer), got = sizeof(from);
	int server = make(&addr, SOCK_DGRAM), client = make(&peer, SOCK_DGRAM), i;
	struct iovec part = { (char[]){ 'x' }, 1 };
	struct msghdr message = {
		.msg_name = &peer, .msg_namelen = peer_len, .msg_iov = &part, .msg_iovlen = 1
	};
	struct mmsghdr many[20];
	char data[16];

	check("bind", bind(server, &addr.sa, len));
	show_names("bound", server, false);
	check("sendto", (int)sendto(client, "x", 1, 0, &peer.sa, peer_len));
	check("sendmsg", (int)sendmsg(client, &message, 0));
	for (i = 0; i < 20; i++)
		many[i] = (struct mmsghdr){ .msg_hdr = message };
	for (i = 0; i < 20;)
		i += check("sendmmsg", sendmmsg(client, many + i, (unsigned)(20 - i), 0));
	for (i = 0; i < 20; i++)
		if (many[i].msg_len != 1)
			printf("sendmmsg has sent %u bytes\n", many[i].msg_len);
	for (i = 0; i < 22; i++)
		check("recvfrom", (int)recvfrom(server, data, sizeof(data), 0, &from.sa, &got));
	show("recvfrom", &from, sizeof(from), got);
	/* and back */
	for (i = 0; i < 3; i++)
		check("answer", (int)sendto(server, "y", 1, 0, &from.sa, got));
	got = sizeof(from);
	check("recvfrom", (int)recvfrom(client, data, sizeof(data), 0, &from.sa, &got));
	show("answer by recvfrom", &from, sizeof(from), got);
	show_message("answer by recvmsg", client, false);
	show_message("answer by recvmmsg", client, true);
	/* connected, it takes answers from there alone */
	check("connect", connect(client, &peer.sa, peer_len));
	show_names("client", client, true);
	check("send", (int)send(client, "z", 1, 0));
	got = sizeof(from);
	check("recvfrom", (int)recvfrom(server, data, sizeof(data), 0, &from.sa, &got));
	check("answer", (int)sendto(server, "y", 1, 0, &from.sa, got));
	check("recv", (int)recv(client, data, sizeof(data), 0));
}

int main(int argc, char *argv[])
{
	union any addr;
	socklen_t len;
	int fd;

	if (argc < 4)
		return 2;
	port = atoi(argv[2]);
	if (!strcmp(argv[1], "tcp")) {
		tcp(argv[3], argc > 4 ? argv[4] : argv[3]);
		return 0;
	}
	if (!strcmp(argv[1], "udp")) {
		udp(argv[3], argc > 4 ? argv[4] : argv[3]);
		return 0;
	}
	len = parse(argv[3], &addr);
	fd = make(&addr, SOCK_STREAM);
	if (!strcmp(argv[1], "connect")) {
		check("connect", connect(fd, &addr.sa, len));
		show_names("client", fd, true);
		printf("connected\n");
		return 0;
	}
	check("bind", bind(fd, &addr.sa, len));
	if (strcmp(argv[1], "bind") != 0)
		check("listen", listen(fd, 5));
	show_names("server", fd, false);
	fflush(stdout);
	if (!strcmp(argv[1], "serve"))
		for (;;)
			pause();
	return 0;
}
