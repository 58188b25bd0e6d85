/*
 * Fact: connect(AF_UNSPEC) on a UDP socket releases a port that was assigned
 * implicitly, by a send or a connect: getsockname says 0, another socket can
 * take the port, this one can be bound anew. A port bound by hand is kept, with
 * its address. On an unbound socket it assigns nothing.
 *
 * Source: __udp_disconnect(), net/ipv4/udp.c: "if (!(sk->sk_userlocks &
 * SOCK_BINDPORT_LOCK))".
 *
 * So a remembered "this descriptor has its port" is stale after
 * connect(AF_UNSPEC), and a port assigned in the wrong way can be given back.
 */
#include "platform.h"

static void released(int fd, const char *what)
{
	unsigned int port = port_of(fd);
	int other = udp4();

	expect_port(what, port, 32768, 60999);
	expect("bind while held", try_bind(other, "0.0.0.0", port), -EADDRINUSE);
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	expect_port(what, port_of(fd), 0, 0);
	expect("bind once released", try_bind(other, "0.0.0.0", port), 0);
	expect("bind anew", try_bind(fd, "127.0.0.1", 20000), 0);
	expect_port("bind anew", port_of(fd), 20000, 20000);
	close(other);
	close(fd);
}

int main(void)
{
	union addr name;
	int fd;

	begin();
	ephemeral_range(32768, 60999);

	fd = udp4();
	check(send(fd, "x", 1, 0) < 0 && errno == EDESTADDRREQ, "expected EDESTADDRREQ");
	released(fd, "after a failed send");

	fd = udp4();
	expect("sendto", try_sendto(fd, "127.0.0.1", 30000, 0), 0);
	released(fd, "after sendto");

	fd = udp4();
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	released(fd, "after connect");

	fd = udp4();
	expect("connect, no route", try_connect(fd, "198.51.100.1", 9), -ENETUNREACH);
	released(fd, "after a failed connect");

	fd = udp4();
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	expect_port("unbound", port_of(fd), 0, 0);
	close(fd);

	fd = udp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20001), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	name = name_of(fd);
	expect_port("bound by hand", port_of(fd), 20001, 20001);
	check(name.in.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "expected the address to stay");
	close(fd);
	return HOLDS;
}
