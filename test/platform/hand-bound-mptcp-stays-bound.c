/*
 * Fact: an MPTCP socket bound by hand keeps its port after a refused connect
 * and after connect(AF_UNSPEC), and a second bind is EINVAL, as over TCP.
 *
 * Source: mptcp_bind() and mptcp_disconnect(), net/mptcp/protocol.c.
 *
 * So the bind engine treats MPTCP as TCP.
 */
#include "platform.h"

static void still_bound(int fd, const char *when)
{
	int other = tcp4();

	expect_port(when, port_of(fd), 20000, 20000);
	expect(when, try_bind(other, "127.0.0.1", 20000), -EADDRINUSE);
	expect(when, try_bind(fd, "127.0.0.1", 20001), -EINVAL);
	close(other);
}

int main(void)
{
	int server, fd;

	begin();
	server = open_server("127.0.0.1", 30000);
	fd = open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	expect("bind", try_bind(fd, "127.0.0.1", 20000), 0);
	still_bound(fd, "after bind");
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	still_bound(fd, "after a refused connect");
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	still_bound(fd, "after connect(AF_UNSPEC)");
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	still_bound(fd, "after the next connect");
	close(fd);
	close(server);
	return HOLDS;
}
