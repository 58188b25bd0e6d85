/*
 * Fact: a bind of the dual-stack wildcard [::] to a port conflicts with any
 * IPv4 socket on that port, and the reverse; one with IPV6_V6ONLY, or of an
 * address that is IPv6 alone, does not.
 *
 * Source: ipv6_rcv_saddr_equal(), net/ipv4/inet_connection_sock.c; ipv6(7).
 *
 * So portfence has nothing to do: EADDRINUSE, next candidate.
 */
#include "platform.h"

static void conflicts(int type)
{
	int v4 = open_socket(AF_INET, type, 0), v6, only;

	expect("IPv4 bind", try_bind(v4, "127.0.0.1", 20000), 0);
	v6 = open_socket(AF_INET6, type, 0);
	set_option(v6, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	expect("dual-stack bind", try_bind(v6, "::", 20000), -EADDRINUSE);
	expect("mapped bind", try_bind(v6, "::ffff:127.0.0.1", 20000), -EADDRINUSE);
	expect("mapped bind of another address", try_bind(v6, "::ffff:127.0.0.2", 20000), 0);
	close(v6);

	only = open_socket(AF_INET6, type, 0);
	set_option(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	expect("IPV6_V6ONLY bind", try_bind(only, "::", 20000), 0);
	close(only);
	close(v4);

	v6 = open_socket(AF_INET6, type, 0);
	set_option(v6, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	expect("dual-stack bind", try_bind(v6, "::", 20001), 0);
	v4 = open_socket(AF_INET, type, 0);
	expect("IPv4 bind", try_bind(v4, "127.0.0.1", 20001), -EADDRINUSE);
	close(v4);
	close(v6);
}

int main(void)
{
	begin();
	conflicts(SOCK_STREAM);
	conflicts(SOCK_DGRAM);
	return HOLDS;
}
