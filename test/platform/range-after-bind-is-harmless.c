/*
 * Fact: IP_LOCAL_PORT_RANGE set on a socket that already has its port is
 * accepted and changes nothing: not the port, not a later connect or listen.
 *
 * Source: IP_LOCAL_PORT_RANGE in do_ip_setsockopt(), net/ipv4/ip_sockglue.c:
 * the value is only looked at when the kernel chooses a port.
 *
 * So portfence may set the range without asking first whether the socket is
 * bound.
 */
#include "platform.h"

int main(void)
{
	int server, fd;

	begin();
	ephemeral_range(32768, 60999);
	server = open_server("127.0.0.1", 30000);

	fd = tcp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20000), 0);
	port_range(fd, 40000, 40009);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect_port("TCP connect after the range", port_of(fd), 20000, 20000);
	port_range(fd, 41000, 41009);
	expect_port("TCP, range set once connected", port_of(fd), 20000, 20000);
	close(fd);

	fd = tcp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20001), 0);
	port_range(fd, 40000, 40009);
	expect("listen", try_listen(fd, 1), 0);
	expect_port("TCP listen after the range", port_of(fd), 20001, 20001);
	close(fd);

	fd = udp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20002), 0);
	port_range(fd, 40000, 40009);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect("sendto", try_sendto(fd, "127.0.0.1", 30001, 0), 0);
	expect_port("UDP connect and send after the range", port_of(fd), 20002, 20002);
	close(fd);

	close(server);
	return HOLDS;
}
