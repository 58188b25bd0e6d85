/*
 * Fact: getsockname of a raw socket shows its protocol number where a port
 * would be, unbound or bound, and a bind's port is ignored; that of a ping
 * socket bound to 0 shows an ICMP id of the kernel's choice, which heeds
 * neither the ephemeral range nor IP_LOCAL_PORT_RANGE.
 *
 * Source: "inet->inet_num = protocol" for SOCK_RAW, inet_create(),
 * net/ipv4/af_inet.c; raw(7); ping_get_port(), net/ipv4/ping.c; icmp(7).
 *
 * So the "port" of a socket means nothing until its type is known. Such sockets are
 * left alone.
 */
#include "platform.h"

int main(void)
{
	int fd, i;

	begin();
	fd = open_socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	expect_port("raw TCP", port_of(fd), IPPROTO_TCP, IPPROTO_TCP);
	expect("bind", try_bind(fd, "127.0.0.1", 1234), 0);
	expect_port("raw TCP, bound", port_of(fd), IPPROTO_TCP, IPPROTO_TCP);
	close(fd);
	fd = open_socket(AF_INET6, SOCK_RAW, IPPROTO_UDP);
	expect_port("raw UDP", port_of(fd), IPPROTO_UDP, IPPROTO_UDP);
	close(fd);

	sysctl_write("ipv4/ping_group_range", "0 2147483647");
	ephemeral_range(40000, 40001);
	for (i = 0; i < 8; i++) {
		/* Held until exit: more of them than the range has ports. */
		fd = open_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
		confine(fd, 40000, 40001);
		expect_port("ping, unbound", port_of(fd), 0, 0);
		expect("bind to 0", try_bind(fd, "127.0.0.1", 0), 0);
		expect_port("ping, bound", port_of(fd), 1, 65535);
	}
	return HOLDS;
}
