/*
 * Fact: the kernel never chooses a port of ip_local_reserved_ports, with or
 * without IP_LOCAL_PORT_RANGE; a range that is reserved wholly is exhausted
 * from the start.
 *
 * Source: inet_is_local_reserved_port() in __inet_hash_connect(),
 * inet_csk_find_open_port() and udp_lib_get_port();
 * Documentation/networking/ip-sysctl.rst.
 *
 * So the kernel engine is of no use for a range that holds a reserved port.
 */
#include "platform.h"

static void wholly_reserved(bool with_option)
{
	int server = open_server("127.0.0.1", 30000);
	int tcp[3] = { tcp4(), tcp4(), tcp4() }, udp[3] = { udp4(), udp4(), udp4() };
	unsigned int i;

	if (with_option) {
		for (i = 0; i < 3; i++) {
			port_range(tcp[i], 40000, 40003);
			port_range(udp[i], 40000, 40003);
		}
	}
	expect("connect", try_connect(tcp[0], "127.0.0.1", 30000), -EADDRNOTAVAIL);
	expect("bind to 0", try_bind(tcp[1], "127.0.0.1", 0), -EADDRINUSE);
	expect("listen", try_listen(tcp[2], 1), -EADDRINUSE);
	expect("UDP connect", try_connect(udp[0], "127.0.0.1", 30000), -EAGAIN);
	expect("UDP bind to 0", try_bind(udp[1], "127.0.0.1", 0), -EADDRINUSE);
	expect("UDP send", try_sendto(udp[2], "127.0.0.1", 30000, 0), -EAGAIN);
	for (i = 0; i < 3; i++) {
		close(tcp[i]);
		close(udp[i]);
	}
	close(server);
}

static void one_is_left(void)
{
	int server = open_server("127.0.0.1", 30000);
	int connected = tcp4(), bound = tcp4(), sent = udp4();

	confine(connected, 40000, 40003);
	expect("connect", try_connect(connected, "127.0.0.1", 30000), 0);
	expect_port("connect", port_of(connected), 40002, 40002);
	close(connected);
	close(server);

	/* 40002 may now be in TIME_WAIT; a bind to 0 needs another. */
	sysctl_write("ipv4/ip_local_reserved_ports", "40000,40002,40003");
	confine(bound, 40000, 40003);
	expect("bind to 0", try_bind(bound, "127.0.0.1", 0), 0);
	expect_port("bind to 0", port_of(bound), 40001, 40001);
	confine(sent, 40000, 40003);
	expect("UDP send", try_sendto(sent, "127.0.0.1", 30000, 0), 0);
	expect_port("UDP send", port_of(sent), 40001, 40001);
	close(bound);
	close(sent);
}

int main(void)
{
	begin();
	ephemeral_range(32768, 60999);
	sysctl_write("ipv4/ip_local_reserved_ports", "40000-40001,40003");
	one_is_left();
	sysctl_write("ipv4/ip_local_reserved_ports", "40000-40003");
	if (has_port_range())
		wholly_reserved(true);
	ephemeral_range(40000, 40003);
	wholly_reserved(false);
	return HOLDS;
}
