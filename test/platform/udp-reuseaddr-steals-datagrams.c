/*
 * Fact: with SO_REUSEADDR on both, two UDP sockets hold one port, and the one
 * bound last gets every datagram. Without it on either, bind is EADDRINUSE.
 *
 * Source: udp_lib_get_port(), udp4_lib_lookup2(), net/ipv4/udp.c.
 *
 * So portfence never sets SO_REUSEADDR on UDP, and clears the program's own
 * while it chooses a port.
 */
#include "platform.h"

/* Which of the two gets the datagram: 0 or 1. */
static int receiver(int sender, int first, int second)
{
	struct pollfd p[2] = { { .fd = first, .events = POLLIN },
			       { .fd = second, .events = POLLIN } };
	char c;

	expect("send", try_sendto(sender, "127.0.0.1", 20000, 0), 0);
	must(poll(p, 2, -1), "poll");
	check(!(p[0].revents && p[1].revents), "expected one receiver, found two");
	must((int)recv(p[0].revents ? first : second, &c, 1, 0), "recv");
	return p[0].revents ? 0 : 1;
}

int main(void)
{
	int sender, victim, thief, polite;

	begin();
	sender = udp4();
	victim = udp4();
	thief = udp4();
	polite = udp4();
	reuse_addr(victim, 1);
	reuse_addr(thief, 1);

	expect("bind", try_bind(victim, "127.0.0.1", 20000), 0);
	expect("exclusive bind", try_bind(polite, "127.0.0.1", 20000), -EADDRINUSE);
	expect("shared bind", try_bind(thief, "127.0.0.1", 20000), 0);
	check(receiver(sender, victim, thief) == 1, "expected the socket bound last to receive");
	close(thief);
	close(victim);
	close(polite);
	close(sender);
	return HOLDS;
}
