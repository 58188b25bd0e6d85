/*
 * Fact: of a range with an odd number of ports, bind to 0 over TCP never gives
 * the last one, and neither does a plain connect. A connect with
 * IP_LOCAL_PORT_RANGE set does, and so does UDP.
 *
 * Source: inet_csk_find_open_port(), net/ipv4/inet_connection_sock.c, and
 * __inet_hash_connect(), net/ipv4/inet_hashtables.c: both walk one parity, then
 * the other, and round with "remaining &= ~1U"; connect does so only
 * "if (!local_ports)".
 *
 * So the kernel engine holds one port less than the range for bind to 0 when
 * the range is odd; the bind engine gives them all.
 */
#include "platform.h"

static int bind_to_zero(int fd)
{
	return try_bind(fd, "127.0.0.1", 0);
}

static int connect_there(int fd)
{
	return try_connect(fd, "127.0.0.1", 30000);
}

/* How many ports @assign gets out of three, before it fails with @errno_when_full. */
static void gives(const char *what, int type, bool with_option, int (*assign)(int),
		  unsigned int want, int full)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	unsigned int count = 0;
	int fds[4], ret;

	for (;;) {
		fds[count] = open_socket(AF_INET, type, 0);
		/* No TIME_WAIT may be left for the next run. */
		must(setsockopt(fds[count], SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), "SO_LINGER");
		if (with_option)
			port_range(fds[count], 40000, 40002);
		ret = assign(fds[count]);
		if (ret < 0)
			break;
		expect_port(what, port_of(fds[count]), 40000, 40000 + want - 1);
		count++;
	}
	expect(what, ret, full);
	check(count == want, "%s: expected %u ports out of 3, found %u", what, want, count);
	do
		close(fds[count]);
	while (count-- > 0);
}

int main(void)
{
	int server;

	begin();
	server = open_server("127.0.0.1", 30000);

	ephemeral_range(32768, 60999);
	gives("bind to 0 with the option", SOCK_STREAM, true, bind_to_zero, 2, -EADDRINUSE);
	gives("connect with the option", SOCK_STREAM, true, connect_there, 3, -EADDRNOTAVAIL);
	gives("UDP bind to 0 with the option", SOCK_DGRAM, true, bind_to_zero, 3, -EADDRINUSE);
	gives("UDP connect with the option", SOCK_DGRAM, true, connect_there, 3, -EAGAIN);

	ephemeral_range(40000, 40002);
	gives("plain bind to 0", SOCK_STREAM, false, bind_to_zero, 2, -EADDRINUSE);
	gives("plain connect", SOCK_STREAM, false, connect_there, 2, -EADDRNOTAVAIL);
	gives("plain UDP bind to 0", SOCK_DGRAM, false, bind_to_zero, 3, -EADDRINUSE);
	gives("plain UDP connect", SOCK_DGRAM, false, connect_there, 3, -EAGAIN);
	close(server);
	return HOLDS;
}
