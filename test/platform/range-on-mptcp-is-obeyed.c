/*
 * Fact: an MPTCP socket takes IP_LOCAL_PORT_RANGE and keeps to it, whether the
 * port comes from connect, from bind to 0 or from listen. (Linux 6.1 has the
 * option, but refuses it on MPTCP sockets.)
 *
 * Source: mptcp_setsockopt_v4(), net/mptcp/sockopt.c.
 *
 * So portfence probes the option on the socket itself, once for each protocol,
 * and falls back to the bind engine.
 */
#include "platform.h"

#include "obeys.h"

int main(void)
{
	begin();
	obeys_range(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	obeys_range(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);
	return HOLDS;
}
