#include "server.h"

#include "place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 65535
#define SINKS_MAX 64

struct pile {
	int *fd;
	size_t count, room;
};

static int open_socket(int family, int type, const void *addr, socklen_t len)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, addr, len) || (type == SOCK_STREAM && listen(fd, BACKLOG))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_inet(int type, uint16_t port)
{
	const struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port),
	};

	return open_socket(AF_INET, type, &addr, sizeof(addr));
}

static int open_inet6(uint16_t port)
{
	const struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons(port),
	};

	return open_socket(AF_INET6, SOCK_STREAM, &addr, sizeof(addr));
}

static int open_unix(void)
{
	const struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "\0" PLACE_UNIX };

	return open_socket(AF_UNIX, SOCK_DGRAM, &addr,
			   offsetof(struct sockaddr_un, sun_path) + sizeof(PLACE_UNIX));
}

static void put(struct pile *pile, int fd)
{
	if (pile->count == pile->room) {
		size_t room = pile->room ? 2 * pile->room : 1024;
		int *grown = realloc(pile->fd, room * sizeof(*grown));

		if (!grown) {
			close(fd);
			return;
		}
		pile->fd = grown;
		pile->room = room;
	}
	pile->fd[pile->count++] = fd;
}

static void empty(struct pile *pile)
{
	while (pile->count)
		close(pile->fd[--pile->count]);
}

static void drain_listener(int listener, bool keep, struct pile *kept)
{
	int fd;

	while (listener >= 0 && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (keep)
			put(kept, fd);
		else
			close(fd);
	}
}

static void drain_sinks(int listener, struct pile *sinks)
{
	static char waste[1 << 16];
	size_t i;

	drain_listener(listener, true, sinks);
	for (i = 0; i < sinks->count; i++) {
		ssize_t n;

		/* on TCP, MSG_TRUNC throws away without copying (tcp(7)) */
		do {
			n = recv(sinks->fd[i], waste, sizeof(waste), MSG_TRUNC | MSG_DONTWAIT);
		} while (n > 0);
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			close(sinks->fd[i]);
			sinks->fd[i--] = sinks->fd[--sinks->count];
		}
	}
}

int server_main(void)
{
	int near4 = open_inet(SOCK_STREAM, PLACE_NEAR), near6 = open_inet6(PLACE_NEAR);
	int far4 = open_inet(SOCK_STREAM, PLACE_FAR), sink = open_inet(SOCK_STREAM, PLACE_SINK);
	int udp = open_inet(SOCK_DGRAM, PLACE_UDP), local = open_unix(), smallest = 0;
	struct pollfd commands = { .fd = STDIN_FILENO, .events = POLLIN };
	struct pile kept = { .count = 0 }, sinks = { .count = 0 };
	char line[PLACE_LINE];
	bool keep = false;

	/* no IPv6, or no abstract UNIX sockets under a wrapper: rows that need them count errors */
	if (near4 < 0 || far4 < 0 || sink < 0 || udp < 0) {
		perror("bench: server");
		return 1;
	}
	(void)local;
	setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest));
	for (;;) {
		int n = poll(&commands, 1, 1);

		drain_listener(near4, keep, &kept);
		drain_listener(near6, keep, &kept);
		drain_listener(far4, keep, &kept);
		drain_sinks(sink, &sinks);
		if (n <= 0)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		if (!strcmp(line, "keep\n"))
			keep = true;
		else if (!strcmp(line, "drop\n"))
			keep = false;
		else if (!strcmp(line, "release\n"))
			empty(&kept);
		printf("ok %zu\n", kept.count);
		fflush(stdout);
	}
}
