/*
 * Fact: SO_PROTOCOL reports 6 for TCP, 17 for UDP, 1 and 58 for the ICMP "ping"
 * sockets, whose SO_TYPE is a UDP socket's, and 6 for a raw socket of protocol
 * TCP, which SO_TYPE alone tells from a TCP socket.
 *
 * Source: SO_PROTOCOL in sk_getsockopt(), net/core/sock.c; socket(7), icmp(7).
 *
 * So portfence looks at SO_TYPE and SO_PROTOCOL, both, to know what to fence.
 */
#include "platform.h"

static void is(int family, int type, int protocol, int want)
{
	int fd = open_socket(family, type, protocol);
	int got = get_option(fd, SOL_SOCKET, SO_PROTOCOL);

	check(got == want, "socket(%d, %d, %d): expected SO_PROTOCOL %d, found %d", family, type,
	      protocol, want, got);
	got = get_option(fd, SOL_SOCKET, SO_TYPE);
	check(got == type, "socket(%d, %d, %d): expected SO_TYPE %d, found %d", family, type,
	      protocol, type, got);
	close(fd);
}

int main(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	begin();
	sysctl_write("ipv4/ping_group_range", "0 2147483647");
	for (i = 0; i < 2; i++) {
		is(families[i], SOCK_STREAM, 0, IPPROTO_TCP);
		is(families[i], SOCK_STREAM, IPPROTO_TCP, IPPROTO_TCP);
		is(families[i], SOCK_DGRAM, 0, IPPROTO_UDP);
		is(families[i], SOCK_RAW, IPPROTO_TCP, IPPROTO_TCP);
		is(families[i], SOCK_RAW, IPPROTO_UDP, IPPROTO_UDP);
	}
	is(AF_INET, SOCK_DGRAM, IPPROTO_ICMP, IPPROTO_ICMP);
	is(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, IPPROTO_ICMPV6);
	return HOLDS;
}
