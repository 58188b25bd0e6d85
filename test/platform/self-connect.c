/*
 * Fact: a TCP or UDP socket whose source and destination are the same loopback
 * address and port connects to itself, whether the port was bound by hand or
 * chosen by the kernel.
 *
 * Source: TCP's simultaneous open, tcp_rcv_synsent_state_process(),
 * net/ipv4/tcp_input.c; RFC 9293, 3.5.
 *
 * So portfence skips the destination's port when the peer is local.
 */
#include "platform.h"

static void talks_to_itself(int fd)
{
	char c = 0;

	expect_port("self-connect", port_of(fd), 40000, 40000);
	check(write(fd, "s", 1) == 1, "cannot write to oneself: %s", strerror(errno));
	wait_readable(fd);
	check(read(fd, &c, 1) == 1 && c == 's', "expected to read one's own byte");
	close(fd);
}

int main(void)
{
	int fd;

	begin();
	ephemeral_range(32768, 60999);

	fd = udp4();
	expect("bind", try_bind(fd, "127.0.0.1", 40000), 0);
	expect("UDP connect to oneself", try_connect(fd, "127.0.0.1", 40000), 0);
	talks_to_itself(fd);

	fd = tcp4();
	confine(fd, 40000, 40000);
	expect("TCP connect, chosen port", try_connect(fd, "127.0.0.1", 40000), 0);
	talks_to_itself(fd);

	fd = open_socket(AF_INET6, SOCK_STREAM, 0);
	expect("bind", try_bind(fd, "::1", 40000), 0);
	expect("TCP connect, bound port", try_connect(fd, "::1", 40000), 0);
	talks_to_itself(fd);
	return HOLDS;
}
