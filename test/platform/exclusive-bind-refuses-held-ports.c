/*
 * Fact: without SO_REUSEADDR, bind fails with EADDRINUSE on any port that a
 * socket holds: bound, listening, connected or in TIME_WAIT, with SO_REUSEADDR
 * on the holder or not, bound by hand or chosen by the kernel.
 *
 * Source: inet_csk_bind_conflict(), net/ipv4/inet_connection_sock.c; socket(7).
 *
 * So a port that the bind engine takes exclusively cannot clash at connect.
 */
#include "platform.h"

static void held(const char *what, unsigned int port)
{
	int fd = tcp4();

	expect(what, try_bind(fd, "127.0.0.1", port), -EADDRINUSE);
	expect(what, try_bind(fd, "0.0.0.0", port), -EADDRINUSE);
	close(fd);
}

static void holder(int server, int shares)
{
	int fd, peer;
	unsigned int port;

	fd = tcp4();
	reuse_addr(fd, shares);
	expect("bind", try_bind(fd, "127.0.0.1", 0), 0);
	held("a bound port", port_of(fd));
	expect("listen", try_listen(fd, 1), 0);
	held("a listening port", port_of(fd));
	close(fd);

	fd = tcp4();
	reuse_addr(fd, shares);
	expect("bind", try_bind(fd, "127.0.0.1", shares ? 20000 : 20001), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	peer = accept_one(server);
	port = port_of(fd);
	held("a connected port", port);
	close_in_order(fd, peer);
	held("a port in TIME_WAIT", port);

	fd = tcp4();
	reuse_addr(fd, shares);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	peer = accept_one(server);
	port = port_of(fd);
	held("a connected port of the kernel's choice", port);
	close_in_order(fd, peer);
	held("a port of the kernel's choice in TIME_WAIT", port);
}

int main(void)
{
	int server;

	begin();
	server = open_server("127.0.0.1", 30000);
	holder(server, 0);
	holder(server, 1);
	close(server);
	return HOLDS;
}
