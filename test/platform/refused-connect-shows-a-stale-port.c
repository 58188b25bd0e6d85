/*
 * Fact: after a refused connect from a port that the kernel chose, getsockname
 * still shows that port, but the socket does not hold it: another socket can
 * bind it, the next connect takes another, and this socket itself can be bound
 * explicitly, to the very port shown or to any other. The same after
 * connect(AF_UNSPEC) of a TCP connection.
 *
 * Source: tcp_done() calls tcp_set_state(TCP_CLOSE) and so inet_put_port(),
 * which clears inet_num; getsockname reads inet_sport, net/ipv4/af_inet.c.
 *
 * So a port in getsockname proves nothing on a socket that the kernel bound:
 * portfence sets the range, or binds, whatever it shows.
 */
#include "platform.h"

int main(void)
{
	unsigned int first, second;
	int fd, other, server;

	begin();
	ephemeral_range(32768, 60999);

	fd = tcp4();
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	first = port_of(fd);
	expect_port("the stale port", first, 32768, 60999);

	other = tcp4();
	expect("bind of the stale port", try_bind(other, "127.0.0.1", first), 0);
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	second = port_of(fd);
	check(second != first, "expected another port than %u", first);
	close(other);

	/* The range is set only now, and obeyed: the socket had no port. */
	confine(fd, 40000, 40009);
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	expect_port("connect with the range", port_of(fd), 40000, 40009);

	expect("explicit bind", try_bind(fd, "127.0.0.1", port_of(fd)), 0);
	expect("second bind", try_bind(fd, "127.0.0.1", 20000), -EINVAL);
	close(fd);

	fd = tcp4();
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	expect("explicit bind", try_bind(fd, "127.0.0.1", 20000), 0);
	expect_port("explicit bind", port_of(fd), 20000, 20000);
	close(fd);

	server = open_server("127.0.0.1", 30000);
	fd = tcp4();
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	first = port_of(fd);
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	expect_port("after connect(AF_UNSPEC)", port_of(fd), first, first);
	expect("explicit bind", try_bind(fd, "127.0.0.1", 20001), 0);
	expect_port("explicit bind", port_of(fd), 20001, 20001);
	close(fd);
	close(server);
	return HOLDS;
}
