/*
 * Fact: IP_LOCAL_PORT_RANGE outside the ephemeral range is accepted, read back
 * as set, and ignored in silence: the kernel chooses from its own range.
 *
 * Source: inet_sk_get_local_port_range(), net/ipv4/inet_connection_sock.c;
 * IP_LOCAL_PORT_RANGE in ip(7).
 *
 * So portfence takes the kernel engine only for a range that lies wholly
 * inside net.ipv4.ip_local_port_range, and must check that itself.
 */
#include "platform.h"

static void ignored(unsigned int lo, unsigned int hi)
{
	int bound = tcp4(), connected = udp4();

	port_range(bound, lo, hi);
	check((unsigned int)get_option(bound, IPPROTO_IP, IP_LOCAL_PORT_RANGE) == (hi << 16 | lo),
	      "expected the range %u-%u to be read back as set", lo, hi);
	expect("bind to 0", try_bind(bound, "127.0.0.1", 0), 0);
	expect_port("bind to 0", port_of(bound), 40000, 40999);
	close(bound);

	port_range(connected, lo, hi);
	expect("UDP connect", try_connect(connected, "127.0.0.1", 30000), 0);
	expect_port("UDP connect", port_of(connected), 40000, 40999);
	close(connected);
}

int main(void)
{
	begin();
	ephemeral_range(40000, 40999);
	ignored(20000, 20009);
	ignored(50000, 50009);
	return HOLDS;
}
