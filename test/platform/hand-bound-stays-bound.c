/*
 * Fact: a socket that was bound to a port by hand keeps it: after a refused
 * connect, after connect(AF_UNSPEC), and against a second bind (EINVAL). The
 * port is really held, and the next connect leaves from it.
 *
 * Source: SOCK_BINDPORT_LOCK, set by __inet_bind() for a port other than 0,
 * net/ipv4/af_inet.c; tcp_set_state() and __udp_disconnect() put back only a
 * port without that lock.
 *
 * So the bind engine must have the right port before connect is called, and a
 * retry after ECONNREFUSED finds the socket bound.
 */
#include "platform.h"

static void still_bound(int fd, int type, int protocol, unsigned int port, const char *when)
{
	int other = open_socket(AF_INET, type, protocol);

	expect_port(when, port_of(fd), port, port);
	expect(when, try_bind(other, "127.0.0.1", port), -EADDRINUSE);
	expect(when, try_bind(fd, "127.0.0.1", port), -EINVAL);
	expect(when, try_bind(fd, "127.0.0.1", port + 1), -EINVAL);
	expect(when, try_bind(fd, "127.0.0.1", 0), -EINVAL);
	close(other);
}

static void stays_bound(int type, int protocol, unsigned int port)
{
	int fd = open_socket(AF_INET, type, protocol);
	int refused = type == SOCK_STREAM ? -ECONNREFUSED : 0;

	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	still_bound(fd, type, protocol, port, "after bind");
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), refused);
	still_bound(fd, type, protocol, port, "after a refused connect");
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	still_bound(fd, type, protocol, port, "after connect(AF_UNSPEC)");
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	still_bound(fd, type, protocol, port, "after the next connect");
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	still_bound(fd, type, protocol, port, "after connect(AF_UNSPEC) of a connected socket");
	close(fd);
}

int main(void)
{
	int server;

	begin();
	server = open_server("127.0.0.1", 30000);
	stays_bound(SOCK_STREAM, 0, 20000);
	stays_bound(SOCK_DGRAM, 0, 20000);
	close(server);
	return HOLDS;
}
