/*
 * Fact: a bind, connect or sendto with an address that is shorter than a sockaddr_in
 * chooses no port for a TCP, MPTCP or SCTP socket. A UDP socket gets none by
 * bind; by connect and sendto it gets the port that it gets by a send without a destination, and the
 * call fails, but for AF_UNSPEC.
 *
 * Source: net/ipv4/af_inet.c, inet_bind_sk() and inet_dgram_connect(); tcp_v4_connect();
 * tcp_v6_connect(); udp_sendmsg(); net/sctp/socket.c, sctp_connect().
 *
 * So such a bind need not be trapped, nor a netlink call: a netlink address has 12 bytes.
 */
#include "platform.h"

#define SHORTEST_IPV4 sizeof(struct sockaddr_in)

/* What an address says: of the socket's own family, of IPv4's, or of none */
static union addr named(int family)
{
	union addr a = addr(family == AF_INET6 ? "::1" : "127.0.0.1", 30000);

	a.sa.sa_family = (sa_family_t)family;
	return a;
}

static void chooses_none(const char *what, int family, int type, int protocol, int named_family)
{
	const union addr a = named(named_family);
	socklen_t len;
	int fd;

	for (len = 0; len < SHORTEST_IPV4; len++) {
		fd = socket(family, type | SOCK_CLOEXEC, protocol);
		/* not every kernel has each protocol */
		if (fd < 0)
			return;
		check(bind(fd, &a.sa, len) < 0 || !port_of(fd), "%s: bind took %u bytes", what,
		      len);
		expect_port(what, port_of(fd), 0, 0);
		if (type != SOCK_DGRAM) {
			check(connect(fd, &a.sa, len) < 0 || named_family == AF_UNSPEC,
			      "%s: connect took %u bytes", what, len);
			expect_port(what, port_of(fd), 0, 0);
			check(sendto(fd, "x", 1, MSG_NOSIGNAL, &a.sa, len) < 0,
			      "%s: sendto took %u bytes", what, len);
			expect_port(what, port_of(fd), 0, 0);
			check(sendto(fd, "x", 1, MSG_NOSIGNAL | MSG_FASTOPEN, &a.sa, len) < 0,
			      "%s: a sendto with MSG_FASTOPEN took %u bytes", what, len);
			expect_port(what, port_of(fd), 0, 0);
		} else {
			check(sendto(fd, "x", 1, 0, &a.sa, len) < 0, "%s: sendto took %u bytes",
			      what, len);
		}
		close(fd);
	}
}

static void udp_fails(int family, int named_family)
{
	const union addr a = named(named_family);
	socklen_t len;
	int fd;

	for (len = 0; len < SHORTEST_IPV4; len++) {
		fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return;
		check(connect(fd, &a.sa, len) < 0, "a UDP connect took %u bytes", len);
		check(write(fd, "x", 1) < 0 && errno != EBADF,
		      "a UDP socket is connected by %u bytes", len);
		close(fd);
	}
}

int main(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const int named_families[] = { AF_INET, AF_INET6, AF_UNSPEC };
	size_t i, k;

	begin();
	for (i = 0; i < 2; i++)
		for (k = 0; k < 3; k++) {
			chooses_none("tcp", families[i], SOCK_STREAM, 0, named_families[k]);
			chooses_none("mptcp", families[i], SOCK_STREAM, IPPROTO_MPTCP,
				     named_families[k]);
			chooses_none("sctp", families[i], SOCK_STREAM, IPPROTO_SCTP,
				     named_families[k]);
			chooses_none("sctp", families[i], SOCK_SEQPACKET, IPPROTO_SCTP,
				     named_families[k]);
			chooses_none("udp", families[i], SOCK_DGRAM, 0, named_families[k]);
			if (named_families[k] != AF_UNSPEC)
				udp_fails(families[i], named_families[k]);
		}
	return HOLDS;
}
