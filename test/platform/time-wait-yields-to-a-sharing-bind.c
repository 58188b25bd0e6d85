/*
 * Fact: a bind() with SO_REUSEADDR takes a port on which connections in
 * TIME_WAIT stand, and can listen there, if their socket had SO_REUSEADDR, too:
 * a connection that was accepted has it from its listener. Otherwise it is
 * EADDRINUSE until they are gone. A second socket can be bound beside the first
 * in the same way, before that listens, and the later listen() of the two fails.
 *
 * Source: inet_bind_conflict(), net/ipv4/inet_connection_sock.c; tw_reuse of
 * tcp_time_wait(), net/ipv4/tcp_minisocks.c.
 *
 * So a port that only TIME_WAIT holds can be given to a server again, but only after
 * checking that no other socket is bound to it.
 */
#include "platform.h"

static void leave_time_wait(unsigned int port, int reuse)
{
	int server = tcp4(), client = tcp4();

	reuse_addr(server, reuse);
	expect("bind", try_bind(server, "127.0.0.1", port), 0);
	expect("listen", try_listen(server, 8), 0);
	expect("connect", try_connect(client, "127.0.0.1", port), 0);
	close_in_order(accept_one(server), client);
	close(server);
}

int main(void)
{
	int exclusive, first, second;

	begin();
	leave_time_wait(20000, 1);
	exclusive = tcp4();
	expect("exclusive bind", try_bind(exclusive, "127.0.0.1", 20000), -EADDRINUSE);
	first = tcp4();
	reuse_addr(first, 1);
	expect("sharing bind", try_bind(first, "127.0.0.1", 20000), 0);
	second = tcp4();
	reuse_addr(second, 1);
	expect("sharing bind beside it", try_bind(second, "127.0.0.1", 20000), 0);
	expect("listen", try_listen(first, 8), 0);
	expect("listen beside it", try_listen(second, 8), -EADDRINUSE);
	close(second);
	close(first);

	/* the option was cleared and set again meanwhile */
	first = tcp4();
	reuse_addr(first, 1);
	expect("sharing bind", try_bind(first, "127.0.0.1", 20000), 0);
	reuse_addr(first, 0);
	second = tcp4();
	reuse_addr(second, 1);
	expect("sharing bind beside an exclusive one", try_bind(second, "127.0.0.1", 20000),
	       -EADDRINUSE);
	reuse_addr(first, 1);
	expect("listen", try_listen(first, 8), 0);
	close(second);
	close(first);

	leave_time_wait(20001, 0);
	first = tcp4();
	reuse_addr(first, 1);
	expect("sharing bind, not shared before", try_bind(first, "127.0.0.1", 20001), -EADDRINUSE);
	return HOLDS;
}
