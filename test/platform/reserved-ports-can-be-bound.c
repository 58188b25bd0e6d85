/*
 * Fact: a port of ip_local_reserved_ports can be bound explicitly, by anyone,
 * and connected from.
 *
 * Source: "explicit port allocation requests are not affected",
 * Documentation/networking/ip-sysctl.rst.
 *
 * So "reserve the range for others, bind explicitly for ours" is the strongest
 * isolation, and the bind engine serves it.
 */
#include "platform.h"

static void bind_and_connect(void *arg)
{
	int tcp = tcp4(), udp = udp4();

	(void)arg;
	expect("TCP bind", try_bind(tcp, "127.0.0.1", 40001), 0);
	expect("TCP connect", try_connect(tcp, "127.0.0.1", 30000), 0);
	expect_port("TCP", port_of(tcp), 40001, 40001);
	expect("UDP bind", try_bind(udp, "127.0.0.1", 40001), 0);
	expect("UDP connect", try_connect(udp, "127.0.0.1", 30000), 0);
	expect_port("UDP", port_of(udp), 40001, 40001);
	close(tcp);
	close(udp);
}

int main(void)
{
	int server;

	begin();
	ephemeral_range(40000, 40003);
	sysctl_write("ipv4/ip_local_reserved_ports", "40000-40003");
	server = open_server("127.0.0.1", 30000);
	as_nobody(bind_and_connect, NULL);
	close(server);
	return HOLDS;
}
