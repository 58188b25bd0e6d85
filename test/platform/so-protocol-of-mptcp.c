/*
 * Fact: SO_PROTOCOL of an MPTCP socket is 262, also of one that fell back to
 * TCP; its SO_TYPE is SOCK_STREAM.
 *
 * Source: net/mptcp/protocol.c; SO_PROTOCOL in sk_getsockopt(), net/core/sock.c.
 *
 * So portfence knows an MPTCP socket when it meets one.
 */
#include "platform.h"

int main(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	begin();
	for (i = 0; i < 2; i++) {
		const char *here = loopback(families[i]);
		int server = open_server(here, 30000);
		int fd = open_socket(families[i], SOCK_STREAM, IPPROTO_MPTCP);

		check(get_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP,
		      "expected SO_PROTOCOL 262, found %d",
		      get_option(fd, SOL_SOCKET, SO_PROTOCOL));
		check(get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM, "expected SOCK_STREAM");
		expect("connect to a TCP server", try_connect(fd, here, 30000), 0);
		check(get_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP,
		      "fallen back: expected SO_PROTOCOL 262, found %d",
		      get_option(fd, SOL_SOCKET, SO_PROTOCOL));
		close(fd);
		close(server);
	}
	return HOLDS;
}
