/*
 * Fact: listen on an unbound TCP socket assigns a port, on the wildcard
 * address; a second listen keeps it. On a UDP socket listen is EOPNOTSUPP and
 * assigns nothing.
 *
 * Source: inet_csk_listen_start(), net/ipv4/inet_connection_sock.c: "There is
 * race window here: we announce ourselves listening, but this transition is
 * still not validated by get_port()"; sock_no_listen(); listen(2).
 *
 * So listen is hooked, as an implicit assignment.
 */
#include "platform.h"

static void expect_wildcard(int fd, int family)
{
	union addr got = name_of(fd), want = addr(wildcard(family), port_of(fd));

	check(memcmp(&got, &want, addr_len(&want)) == 0, "expected the wildcard address");
}

static void assigns(int family)
{
	int fd = open_socket(family, SOCK_STREAM, 0);
	unsigned int port;

	expect_port("before listen", port_of(fd), 0, 0);
	expect("listen", try_listen(fd, 1), 0);
	expect_wildcard(fd, family);
	port = port_of(fd);
	expect_port("listen", port, 40000, 40099);
	expect("second listen", try_listen(fd, 8), 0);
	expect_port("second listen", port_of(fd), port, port);
	close(fd);

	fd = open_socket(family, SOCK_DGRAM, 0);
	expect("UDP listen", try_listen(fd, 1), -EOPNOTSUPP);
	expect_port("UDP listen", port_of(fd), 0, 0);
	close(fd);
}

int main(void)
{
	begin();
	ephemeral_range(40000, 40099);
	assigns(AF_INET);
	assigns(AF_INET6);
	return HOLDS;
}
