/*
 * Fact: UDP-Lite keeps to IP_LOCAL_PORT_RANGE as UDP does.
 *
 * Source: udp_lib_get_port(), net/ipv4/udp.c, which serves both.
 *
 * So portfence treats UDP-Lite as UDP.
 */
#include "platform.h"

#include "obeys.h"

int main(void)
{
	begin();
	obeys_range(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
	obeys_range(AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE);
	return HOLDS;
}
