/*
 * Fact: when SCTP chooses a port, it takes none that is held at any address. An
 * explicit bind to an address fails only if the port is held at that address or at
 * the wildcard. A bind to the wildcard fails if the port is held at any address,
 * IPv4 or IPv6.
 *
 * Source: sctp_get_port_local(), sctp_bind_addr_conflict(), net/sctp.
 *
 * So the bind engine holds a port at the wildcard before it binds a socket to
 * it elsewhere.
 */
#include "sctp.h"

static int bound(int family, const char *ip, unsigned int port)
{
	int fd = one_to_one(family);

	expect("bind", try_bind(fd, ip, port), 0);
	return fd;
}

int main(void)
{
	int first, second, any, six;

	begin();
	ephemeral_range(40000, 40001);
	first = bound(AF_INET, "127.0.0.1", 40000);
	second = bound(AF_INET, "127.0.0.2", 40000);
	any = one_to_one(AF_INET);
	expect("bind to the IPv4 wildcard", try_bind(any, "0.0.0.0", 40000), -EADDRINUSE);
	six = one_to_one(AF_INET6);
	expect("bind to the IPv6 wildcard", try_bind(six, "::", 40000), -EADDRINUSE);
	expect("bind to 0", try_bind(six, "::1", 0), 0);
	expect_port("bind to 0", port_of(six), 40001, 40001);
	expect("bind to 0, all held elsewhere", try_bind(any, "127.0.0.3", 0), -EADDRINUSE);
	expect("the IPv4 wildcard, held at ::1", try_bind(any, "0.0.0.0", 40001), -EADDRINUSE);
	close(first);
	close(second);
	close(any);
	close(six);
	return HOLDS;
}
