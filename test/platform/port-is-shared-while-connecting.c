/*
 * Fact: a port bound exclusively, then opened with SO_REUSEADDR, can be shared
 * while the first socket is still in SYN_SENT: another with SO_REUSEADDR binds
 * it and connects elsewhere, while the same 4-tuple is EADDRNOTAVAIL.
 *
 * Source: inet_bind_conflict(), net/ipv4/inet_connection_sock.c: no state but
 * LISTEN refuses to share; tcp_v4_connect() hashes the tuple before the SYN
 * goes out.
 *
 * So a non-blocking connect needs no waiting: the port is opened as soon as
 * connect has returned EINPROGRESS.
 */
#include "platform.h"

#define SYN_SENT 2

static int try_share(int *ret_fd)
{
	*ret_fd = tcp4();
	reuse_addr(*ret_fd, 1);
	return try_bind(*ret_fd, "0.0.0.0", 20000);
}

int main(void)
{
	int server, full, first, connecting, second, third;

	begin();
	server = open_server("127.0.0.1", 30000);

	/* A backlog of 0 takes one connection and drops the SYN of the next. */
	full = tcp4();
	expect("bind", try_bind(full, "127.0.0.1", 30001), 0);
	expect("listen", try_listen(full, 0), 0);
	first = tcp4();
	expect("connect", try_connect(first, "127.0.0.1", 30001), 0);

	connecting = open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	expect("bind", try_bind(connecting, "0.0.0.0", 20000), 0);
	expect("connect", try_connect(connecting, "127.0.0.1", 30001), -EINPROGRESS);
	expect("bind before it is opened", try_share(&second), -EADDRINUSE);
	close(second);
	reuse_addr(connecting, 1);
	expect("bind once it is opened", try_share(&second), 0);
	expect("connect elsewhere", try_connect(second, "127.0.0.1", 30000), 0);
	expect_port("the shared port", port_of(second), 20000, 20000);

	expect("bind once more", try_share(&third), 0);
	expect("the same 4-tuple", try_connect(third, "127.0.0.1", 30001), -EADDRNOTAVAIL);
	check(tcp_state(connecting) == SYN_SENT, "expected SYN_SENT throughout, found state %d",
	      tcp_state(connecting));

	close(third);
	close(second);
	close(connecting);
	close(first);
	close(full);
	close(server);
	return HOLDS;
}
