/*
 * Fact: when the kernel chooses at connect, it takes no port that was bound by
 * hand, not even towards another destination, with SO_REUSEADDR on both sockets
 * or not. But several connects to different destinations share one chosen port.
 * In the other direction, an explicit bind takes a port that the kernel chose if
 * SO_REUSEADDR is set on both sockets, and only then.
 *
 * Source: __inet_hash_connect(), net/ipv4/inet_hashtables.c: "if (tb->fastreuse
 * >= 0 || tb->fastreuseport >= 0) goto next_port"; inet_bind_conflict(),
 * net/ipv4/inet_connection_sock.c.
 *
 * So one range has one way of choosing for TCP connect: if they were mixed, each
 * would use up ports of the other.
 */
#include "platform.h"

static int connect_chosen(int fd, unsigned int port, unsigned int dport)
{
	confine(fd, port, port);
	return try_connect(fd, "127.0.0.1", dport);
}

static void bound_first(int server, int shares, unsigned int port)
{
	int bound = tcp4(), chosen = tcp4(), peer;

	reuse_addr(bound, shares);
	reuse_addr(chosen, shares);
	expect("bind", try_bind(bound, "127.0.0.1", port), 0);
	expect("port bound", connect_chosen(chosen, port, 30001), -EADDRNOTAVAIL);
	expect("connect", try_connect(bound, "127.0.0.1", 30000), 0);
	peer = accept_one(server);
	expect("port connected", connect_chosen(chosen, port, 30001), -EADDRNOTAVAIL);
	close_in_order(bound, peer);
	expect("port in TIME_WAIT", connect_chosen(chosen, port, 30001), -EADDRNOTAVAIL);
	close(chosen);
}

static void chosen_first(int shares, unsigned int port, int want)
{
	int chosen = tcp4(), second = tcp4(), bound = tcp4();

	reuse_addr(chosen, shares);
	reuse_addr(second, shares);
	reuse_addr(bound, 1);
	expect("connect", connect_chosen(chosen, port, 30000), 0);
	expect("connect to another destination", connect_chosen(second, port, 30001), 0);
	close(second);
	expect("bind of a chosen port", try_bind(bound, "127.0.0.1", port), want);
	close(bound);
	close(chosen);
}

int main(void)
{
	int server, other;

	begin();
	ephemeral_range(32768, 60999);
	server = open_server("127.0.0.1", 30000);
	other = open_server("127.0.0.1", 30001);
	bound_first(server, 0, 40000);
	bound_first(server, 1, 40001);
	chosen_first(0, 40002, -EADDRINUSE);
	chosen_first(1, 40003, 0);
	close(other);
	close(server);
	return HOLDS;
}
