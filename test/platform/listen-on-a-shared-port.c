/*
 * Fact: two sockets bound to one port with SO_REUSEADDR cannot both listen: the
 * second listen is EADDRINUSE, and the socket stays bound there. A client on
 * the shared port is no obstacle to one listener; but once there is a listener,
 * no other socket can bind the port.
 *
 * Source: inet_csk_listen_start() checks the port again, and
 * inet_bind_conflict() shares with no socket in LISTEN,
 * net/ipv4/inet_connection_sock.c.
 *
 * So a server that asked for port 0 must never get a port that another socket
 * holds: its listen could fail, long after its bind succeeded.
 */
#include "platform.h"

static int bound_and_shared(unsigned int port)
{
	int fd = tcp4();

	reuse_addr(fd, 1);
	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	return fd;
}

int main(void)
{
	int server, first, second, third;

	begin();
	server = open_server("127.0.0.1", 30000);

	first = bound_and_shared(20000);
	second = bound_and_shared(20000);
	expect("first listen", try_listen(first, 1), 0);
	expect("second listen", try_listen(second, 1), -EADDRINUSE);
	expect_port("after the failed listen", port_of(second), 20000, 20000);
	close(first);
	close(second);

	first = bound_and_shared(20001);
	expect("connect", try_connect(first, "127.0.0.1", 30000), 0);
	second = bound_and_shared(20001);
	expect("listen beside a client", try_listen(second, 1), 0);
	third = tcp4();
	reuse_addr(third, 1);
	expect("bind beside a listener", try_bind(third, "127.0.0.1", 20001), -EADDRINUSE);
	close(first);
	close(second);
	close(third);
	close(server);
	return HOLDS;
}
