/*
 * Fact: SO_NOFCS, which is for packet sockets, can be set on a TCP, UDP or UDP-Lite socket by anybody, is kept,
 * whatever its calls are, and changes none of them. An MPTCP socket takes it without keeping it, but keeps
 * SO_INCOMING_CPU: -1 at first, and then any number, also a negative one, which is no processor's.
 *
 * Source: sk_setsockopt() in net/core/sock.c; packet_snd() in net/packet/af_packet.c, where alone SOCK_NOFCS
 * is read; mptcp_setsockopt_sol_socket_int() in net/mptcp/sockopt.c.
 *
 * So the supervisor marks a socket by it that has an option from the supervisor.
 */
#include "platform.h"

static void expect_option(int fd, int option, int expected, const char *when)
{
	const int found = get_option(fd, SOL_SOCKET, option);

	check(found == expected, "option %d, %s: expected %d, found %d", option, when, expected,
	      found);
}

static void keeps(int type, int protocol, int option, int off, int on)
{
	int fd = open_socket(AF_INET, type, protocol);

	expect_option(fd, option, off, "at first");
	set_option(fd, SOL_SOCKET, option, on);
	expect_option(fd, option, on, "once it is set");
	expect("bind to a foreign address", try_bind(fd, "192.0.2.1", 20000), -EADDRNOTAVAIL);
	if (type == SOCK_STREAM)
		expect("connect to nobody", try_connect(fd, "127.0.0.1", 30001), -ECONNREFUSED);
	expect_option(fd, option, on, "after calls that failed");
	expect("bind", try_bind(fd, "127.0.0.1", 0), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	close(fd);
	fd = open_socket(AF_INET, type, protocol);
	set_option(fd, SOL_SOCKET, option, on);
	set_option(fd, SOL_SOCKET, option, off);
	expect_option(fd, option, off, "once it is taken back");
	close(fd);
}

static void as_anybody(void *arg)
{
	(void)arg;
	keeps(SOCK_STREAM, 0, SO_NOFCS, 0, 1);
	keeps(SOCK_DGRAM, 0, SO_NOFCS, 0, 1);
	keeps(SOCK_DGRAM, IPPROTO_UDPLITE, SO_NOFCS, 0, 1);
	keeps(SOCK_STREAM, IPPROTO_MPTCP, SO_INCOMING_CPU, -1, -24);
}

int main(void)
{
	int server, fd;

	begin();
	server = open_server("127.0.0.1", 30000);
	as_nobody(as_anybody, NULL);
	fd = open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	set_option(fd, SOL_SOCKET, SO_NOFCS, 1);
	expect_option(fd, SO_NOFCS, 0, "of MPTCP");
	close(fd);
	close(server);
	return HOLDS;
}
