/*
 * Fact: with SO_REUSEADDR on all of them, sockets bound to one port connect to
 * as many destinations; the same 4-tuple twice is EADDRNOTAVAIL at connect, and
 * the socket that failed stays bound and can go elsewhere.
 *
 * Source: __inet_hash_connect() and __inet_check_established(),
 * net/ipv4/inet_hashtables.c.
 *
 * So sharing gives the bind engine N ports for each destination, as when the
 * kernel chooses. But a clash shows only at connect, and then the socket can no
 * longer be bound anew: ask sock_diag first.
 */
#include "platform.h"

static int bound_and_shared(void)
{
	int fd = tcp4();

	reuse_addr(fd, 1);
	expect("bind", try_bind(fd, "127.0.0.1", 20000), 0);
	return fd;
}

int main(void)
{
	int server[3], client[3], clash;
	unsigned int i;

	begin();
	for (i = 0; i < 3; i++)
		server[i] = open_server("127.0.0.1", 30000 + i);
	for (i = 0; i < 2; i++) {
		client[i] = bound_and_shared();
		expect("connect", try_connect(client[i], "127.0.0.1", 30000 + i), 0);
		expect_port("the shared port", port_of(client[i]), 20000, 20000);
	}
	clash = bound_and_shared();
	expect("the same 4-tuple", try_connect(clash, "127.0.0.1", 30001), -EADDRNOTAVAIL);
	expect_port("after the clash", port_of(clash), 20000, 20000);
	expect("bind after the clash", try_bind(clash, "127.0.0.1", 20001), -EINVAL);
	expect("another destination", try_connect(clash, "127.0.0.1", 30002), 0);
	expect_port("after all", port_of(clash), 20000, 20000);

	for (i = 0; i < 2; i++)
		close(client[i]);
	close(clash);
	for (i = 0; i < 3; i++)
		close(server[i]);
	return HOLDS;
}
