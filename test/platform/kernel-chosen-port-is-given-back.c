/*
 * Fact: a socket does not keep a port that the kernel chose for bind to 0, as it
 * keeps one bound by hand: TCP gives it back when a connect is refused,
 * and the next connect takes another; UDP gives it back at connect(AF_UNSPEC),
 * and can be bound anew.
 *
 * Source: SOCK_BINDPORT_LOCK, which __inet_bind() sets for a port other than 0
 * only, net/ipv4/af_inet.c; tcp_set_state(), __udp_disconnect().
 *
 * So under the kernel engine the range must stay set on the socket: it serves
 * the second choice, too. Under the bind engine the socket simply keeps its port.
 */
#include "platform.h"

int main(void)
{
	int fd, other;
	unsigned int port;

	begin();
	ephemeral_range(32768, 60999);

	fd = tcp4();
	confine(fd, 40000, 40099);
	expect("bind to 0", try_bind(fd, "127.0.0.1", 0), 0);
	port = port_of(fd);
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	expect_port("TCP after a refused connect", port_of(fd), port, port);
	other = tcp4();
	expect("bind of the port given back", try_bind(other, "127.0.0.1", port), 0);
	expect("connect", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	expect_port("the second connect", port_of(fd), 40000, 40099);
	check(port_of(fd) != port, "expected another port than %u", port);
	close(other);
	close(fd);

	fd = udp4();
	expect("bind to 0", try_bind(fd, "127.0.0.1", 0), 0);
	port = port_of(fd);
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	expect_port("UDP after connect(AF_UNSPEC)", port_of(fd), 0, 0);
	other = udp4();
	expect("bind of the port given back", try_bind(other, "127.0.0.1", port), 0);
	expect("second bind", try_bind(fd, "127.0.0.1", 20000), 0);
	close(other);
	close(fd);
	return HOLDS;
}
