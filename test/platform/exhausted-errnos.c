/*
 * Fact: with no port left, connect over TCP fails with EADDRNOTAVAIL, bind to 0
 * and listen with EADDRINUSE, UDP connect and send with EAGAIN; the same for
 * IPv6, with IP_LOCAL_PORT_RANGE and with the ephemeral range.
 *
 * Source: __inet_hash_connect(), net/ipv4/inet_hashtables.c; __inet_bind(),
 * inet_autobind(), net/ipv4/af_inet.c; inet_csk_listen_start(). bind(2),
 * connect(2), udp(7).
 *
 * So the bind engine returns the same.
 */
#include "platform.h"

#define LO 40000
#define HI 40001
#define PORTS (HI - LO + 1)

enum way { CONNECT, BIND, LISTEN, SEND };

static int assign(int fd, enum way way, const char *here)
{
	switch (way) {
	case CONNECT:
		return try_connect(fd, here, 30000);
	case BIND:
		return try_bind(fd, here, 0);
	case LISTEN:
		return try_listen(fd, 1);
	case SEND:
		return try_sendto(fd, here, 30000, 0);
	}
	return -EINVAL;
}

static void exhaust(int family, int type, int protocol, enum way way, bool with_option, int want)
{
	static const char *const words[] = { "connect", "bind to 0", "listen", "send" };
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	int fds[PORTS + 1];
	char what[64];
	int i;

	snprintf(what, sizeof(what), "%s, family %d, type %d, protocol %d", words[way], family,
		 type, protocol);
	for (i = 0; i <= PORTS; i++) {
		fds[i] = open_socket(family, type, protocol);
		/* No TIME_WAIT may be left for the next run. */
		must(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), "SO_LINGER");
		if (with_option)
			port_range(fds[i], LO, HI);
		expect(what, assign(fds[i], way, loopback(family)), i < PORTS ? 0 : want);
	}
	check(port_of(fds[PORTS]) == 0, "%s: expected no port after failure, found %u", what,
	      port_of(fds[PORTS]));
	for (i = 0; i <= PORTS; i++)
		close(fds[i]);
}

static void exhaust_all(int family, bool with_option)
{
	int server = open_server(loopback(family), 30000);

	exhaust(family, SOCK_STREAM, 0, CONNECT, with_option, -EADDRNOTAVAIL);
	exhaust(family, SOCK_STREAM, 0, BIND, with_option, -EADDRINUSE);
	exhaust(family, SOCK_STREAM, 0, LISTEN, with_option, -EADDRINUSE);
	exhaust(family, SOCK_DGRAM, 0, CONNECT, with_option, -EAGAIN);
	exhaust(family, SOCK_DGRAM, 0, BIND, with_option, -EADDRINUSE);
	exhaust(family, SOCK_DGRAM, 0, SEND, with_option, -EAGAIN);
	close(server);
}

int main(void)
{
	begin();
	ephemeral_range(32768, 60999);
	if (has_port_range()) {
		exhaust_all(AF_INET, true);
		exhaust_all(AF_INET6, true);
	}
	ephemeral_range(LO, HI);
	exhaust_all(AF_INET, false);
	exhaust_all(AF_INET6, false);
	return HOLDS;
}
