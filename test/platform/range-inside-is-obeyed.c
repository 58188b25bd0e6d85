/*
 * Fact: TCP and UDP, over IPv4 and IPv6, keep to an IP_LOCAL_PORT_RANGE inside
 * the ephemeral range, whether the port comes from connect, from bind to 0,
 * from listen or from a first send.
 *
 * Source: inet_sk_get_local_port_range() and its callers, in
 * net/ipv4/inet_connection_sock.c, inet_hashtables.c and udp.c. The option is
 * IPPROTO_IP's, for AF_INET6 sockets as well.
 *
 * So one setsockopt is the whole kernel engine.
 */
#include "platform.h"

#include "obeys.h"

int main(void)
{
	begin();
	obeys_range(AF_INET, SOCK_STREAM, 0);
	obeys_range(AF_INET6, SOCK_STREAM, 0);
	obeys_range(AF_INET, SOCK_DGRAM, 0);
	obeys_range(AF_INET6, SOCK_DGRAM, 0);
	return HOLDS;
}
