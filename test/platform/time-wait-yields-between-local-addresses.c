/*
 * Fact: it is the connection in TIME_WAIT that must have had timestamps for a
 * connect from a port bound by hand to take over its 4-tuple at once, and that
 * holds for every address of this machine, over IPv4, IPv6 and v4-mapped. A
 * connection that was made without them keeps its tuple, whatever tcp_timestamps has
 * been set to since, and whichever form of the address is used.
 *
 * Source: tcp_twsk_unique(), net/ipv4/tcp_ipv4.c, "ts_recent_stamp"; called by
 * __inet_check_established() and by __inet6_check_established().
 *
 * So if both ends are on this machine, the sysctl tells whether there were timestamps. A remote
 * peer may have refused timestamps, and sock_diag does not say.
 */
#include "platform.h"

#include <sys/ioctl.h>

/* Return: 0 or -errno of the connect; the connection, if any, is in TIME_WAIT on its own side */
static int connect_once(int server, const char *ip, unsigned int port)
{
	int fd = open_socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0), rc;

	reuse_addr(fd, 1);
	expect("bind", try_bind(fd, ip, port), 0);
	rc = try_connect(fd, ip, 30000);
	if (rc == 0)
		close_in_order(fd, accept_one(server));
	else
		close(fd);
	return rc;
}

static void add_address(const char *ip)
{
	union addr a = addr(ip, 0);
	struct ifreq request = { .ifr_name = "lo:1" };
	int fd = udp4();

	memcpy(&request.ifr_addr, &a.in, sizeof(a.in));
	must(ioctl(fd, SIOCSIFADDR, &request), "SIOCSIFADDR");
	close(fd);
}

int main(void)
{
	static const struct {
		const char *server;
		const char *ip;
		const char *same; /* the same address in another form */
	} ways[] = {
		{ "0.0.0.0", "127.0.0.1", "::ffff:127.0.0.1" },
		{ "0.0.0.0", "10.9.9.9", "::ffff:10.9.9.9" },
		{ "::", "::1", "::1" },
		{ "::", "::ffff:127.0.0.1", "127.0.0.1" },
	};
	unsigned int i, port = 20000;
	int server;

	begin();
	add_address("10.9.9.9");
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++, port += 2) {
		server = open_server(ways[i].server, 30000);
		sysctl_write("ipv4/tcp_timestamps", "1");
		expect(ways[i].ip, connect_once(server, ways[i].ip, port), 0);
		expect("at once", connect_once(server, ways[i].ip, port), 0);
		expect("in another way", connect_once(server, ways[i].same, port), 0);

		sysctl_write("ipv4/tcp_timestamps", "0");
		expect("without timestamps", connect_once(server, ways[i].ip, port + 1), 0);
		sysctl_write("ipv4/tcp_timestamps", "1");
		expect("with them again", connect_once(server, ways[i].ip, port + 1),
		       -EADDRNOTAVAIL);
		expect("in another way", connect_once(server, ways[i].same, port + 1),
		       -EADDRNOTAVAIL);
		close(server);
	}
	return HOLDS;
}
