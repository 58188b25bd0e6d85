/*
 * repeats: takes many ports one after the other, each of which depends on all before it, and prints
 * them, one a line. Every connection is over before the next call: which end closes first takes
 * turns, and that one is left in TIME_WAIT.
 *
 *	repeats [OPTION...] ADDRESS CONNECTS SERVERS DATAGRAMS
 *
 * ADDRESS is the peer of all clients, 127.0.0.1 or ::1 or ::ffff:127.0.0.1, where a server of its
 * own listens on port 30000. --fork: each kind of socket comes from a child of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static const char *host;
static bool forks;

__attribute__((noreturn)) static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int must(int rc, const char *what)
{
	if (rc < 0)
		fail(what);
	return rc;
}

static socklen_t make_address(unsigned port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (strchr(host, ':')) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons((uint16_t)port);
		inet_pton(AF_INET6, host, &ret->in6.sin6_addr);
		return sizeof(ret->in6);
	}
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons((uint16_t)port);
	inet_pton(AF_INET, host, &ret->in.sin_addr);
	return sizeof(ret->in);
}

static unsigned port_of(int fd)
{
	union address local;
	socklen_t len = sizeof(local);

	must(getsockname(fd, &local.sa, &len), "getsockname");
	return ntohs(local.sa.sa_family == AF_INET6 ? local.in6.sin6_port : local.in.sin_port);
}

static int make_socket(int type)
{
	return must(socket(strchr(host, ':') ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0),
		    "socket");
}

static void say(const char *what, int fd)
{
	printf("%s %u\n", what, port_of(fd));
}

static int make_server(unsigned port, bool reuse)
{
	int fd = make_socket(SOCK_STREAM), one = 1;
	union address local;
	socklen_t len = make_address(port, &local);

	if (reuse)
		must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "setsockopt");
	must(bind(fd, &local.sa, len), "bind");
	must(listen(fd, 16), "listen");
	return fd;
}

static int make_client(unsigned port)
{
	int fd = make_socket(SOCK_STREAM);
	union address peer;
	socklen_t len = make_address(port, &peer);

	must(connect(fd, &peer.sa, len), "connect");
	return fd;
}

static void hear_end(int fd)
{
	char byte;

	if (must((int)read(fd, &byte, 1), "read"))
		fail("more than the end");
}

/* Leaves the first one in TIME_WAIT. */
static void close_both(int first, int second)
{
	must(shutdown(first, SHUT_WR), "shutdown");
	hear_end(second);
	close(second);
	hear_end(first);
	close(first);
}

static void use_clients(unsigned turns)
{
	int server = make_server(30000, true), client, accepted;
	unsigned i;

	for (i = 0; i < turns; i++) {
		client = make_client(30000);
		say("connect", client);
		accepted = must(accept(server, NULL, NULL), "accept");
		if (i % 2)
			close_both(client, accepted);
		else
			close_both(accepted, client);
	}
	close(server);
}

static void use_servers(unsigned turns)
{
	int server, client, accepted;
	unsigned i;

	for (i = 0; i < turns; i++) {
		server = make_server(0, true);
		say("listen", server);
		client = make_client(port_of(server));
		say("visit", client);
		accepted = must(accept(server, NULL, NULL), "accept");
		if (i % 2)
			close_both(client, accepted);
		else
			close_both(accepted, client);
		close(server);
	}
}

static void use_datagrams(unsigned turns)
{
	union address peer;
	socklen_t len = make_address(9, &peer);
	unsigned i;
	int fd;

	for (i = 0; i < turns; i++) {
		fd = make_socket(SOCK_DGRAM);
		if (i % 3 == 0) {
			union address local;
			socklen_t size = make_address(0, &local);

			must(bind(fd, &local.sa, size), "bind");
		} else if (i % 3 == 1) {
			must(connect(fd, &peer.sa, len), "connect");
		} else {
			must((int)sendto(fd, "x", 1, 0, &peer.sa, len), "sendto");
		}
		say("datagram", fd);
		close(fd);
	}
}

static void use(void (*part)(unsigned turns), const char *turns)
{
	pid_t pid = 0;
	int status;

	if (forks) {
		fflush(stdout);
		pid = must(fork(), "fork");
	}
	if (!pid)
		part((unsigned)strtoul(turns, NULL, 10));
	if (forks && !pid)
		exit(EXIT_SUCCESS);
	if (forks && (waitpid(pid, &status, 0) != pid || status))
		exit(EXIT_FAILURE);
}

int main(int argc, char *argv[])
{
	forks = argc == 6 && !strcmp(argv[1], "--fork");
	argv += forks;
	if (argc != 5 + forks) {
		fprintf(stderr, "usage: repeats [--fork] ADDRESS CONNECTS SERVERS DATAGRAMS\n");
		return 2;
	}
	host = argv[1];
	use(use_clients, argv[2]);
	use(use_servers, argv[3]);
	use(use_datagrams, argv[4]);
	return EXIT_SUCCESS;
}
