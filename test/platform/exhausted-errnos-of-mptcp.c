/*
 * Fact: with no port left, an MPTCP socket fails as a TCP socket does: connect
 * with EADDRNOTAVAIL, bind to 0 and listen with EADDRINUSE.
 *
 * Source: mptcp_connect(), mptcp_bind(), mptcp_listen(), net/mptcp/protocol.c,
 * which pass on what the first subflow, a TCP socket, returned.
 *
 * So the bind engine returns the same errors for both.
 */
#include "platform.h"

int main(void)
{
	int server, hold[2], fd, i;

	begin();
	ephemeral_range(32768, 60999);
	server = open_server("127.0.0.1", 30000);

	for (i = 0; i < 2; i++) {
		hold[i] = tcp4();
		expect("bind", try_bind(hold[i], "127.0.0.1", 40000U + (unsigned int)i), 0);
	}
	fd = open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	port_range(fd, 40000, 40001);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), -EADDRNOTAVAIL);
	close(fd);
	fd = open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	port_range(fd, 40000, 40001);
	expect("bind to 0", try_bind(fd, "127.0.0.1", 0), -EADDRINUSE);
	close(fd);
	fd = open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	port_range(fd, 40000, 40001);
	expect("listen", try_listen(fd, 1), -EADDRINUSE);
	close(fd);

	for (i = 0; i < 2; i++)
		close(hold[i]);
	close(server);
	return HOLDS;
}
