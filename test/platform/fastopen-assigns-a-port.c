/*
 * Fact: sendto with MSG_FASTOPEN on an unbound TCP socket assigns a port, and
 * keeps to IP_LOCAL_PORT_RANGE; so does connect with TCP_FASTOPEN_CONNECT, also
 * where the cookie is known and connect only pretends, and sends nothing. With
 * no destination, MSG_FASTOPEN is EINVAL and assigns nothing.
 *
 * Source: tcp_sendmsg_fastopen(), net/ipv4/tcp.c, which connects;
 * tcp_fastopen_defer_connect(), called after inet_hash_connect() in
 * tcp_v4_connect(); tcp(7).
 *
 * So a send with MSG_FASTOPEN is an implicit assignment, to be fenced as a
 * connect to the same address is.
 */
#include "platform.h"

static unsigned int segments_in_flight(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), "TCP_INFO");
	return info.tcpi_unacked;
}

int main(void)
{
	int server, fd, peer;
	char c;

	begin();
	ephemeral_range(32768, 60999);
	sysctl_write("ipv4/tcp_fastopen", "3");
	server = open_server("127.0.0.1", 30000);
	set_option(server, IPPROTO_TCP, TCP_FASTOPEN, 16);

	fd = tcp4();
	confine(fd, 40000, 40099);
	check(send(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL) < 0 && errno == EINVAL,
	      "expected EINVAL for MSG_FASTOPEN with no destination");
	expect_port("MSG_FASTOPEN, no destination", port_of(fd), 0, 0);
	expect("MSG_FASTOPEN", try_sendto(fd, "127.0.0.1", 30000, MSG_FASTOPEN), 0);
	expect_port("MSG_FASTOPEN", port_of(fd), 40000, 40099);
	close(accept_one(server));
	close(fd);

	/* The cookie is known by now: the second such send carries its data in the SYN. */
	fd = tcp4();
	confine(fd, 40000, 40099);
	expect("MSG_FASTOPEN", try_sendto(fd, "127.0.0.1", 30000, MSG_FASTOPEN), 0);
	expect_port("MSG_FASTOPEN", port_of(fd), 40000, 40099);
	close(accept_one(server));
	close(fd);

	fd = tcp4();
	confine(fd, 40000, 40099);
	set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	expect("deferred connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect_port("deferred connect", port_of(fd), 40000, 40099);
	check(segments_in_flight(fd) == 0, "expected a deferred connect to have sent nothing");
	check(write(fd, "d", 1) == 1, "cannot write: %s", strerror(errno));
	expect_port("deferred connect, sent", port_of(fd), 40000, 40099);
	peer = accept_one(server);
	wait_readable(peer);
	check(read(peer, &c, 1) == 1 && c == 'd', "expected the byte written");
	close(peer);
	close(fd);
	close(server);
	return HOLDS;
}
