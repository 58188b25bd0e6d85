/*
 * Fact: when the kernel chooses a port, it does not use a tuple in TIME_WAIT, of a
 * port that it had chosen itself, until tcp_tw_reuse_delay is over (a second unless
 * set); with tcp_tw_reuse=0 it never does. It never uses a tuple in TIME_WAIT of a
 * port that was bound by hand.
 *
 * Source: tcp_twsk_unique(), net/ipv4/tcp_ipv4.c; __inet_hash_connect(),
 * net/ipv4/inet_hashtables.c; Documentation/networking/ip-sysctl.rst. Linux
 * before 6.14 has the second built in.
 *
 * So under the kernel engine, a range of N ports serves N short connections per
 * second to one destination. To do as well, the bind engine uses a tuple in TIME_WAIT
 * once sock_diag says that it is that old.
 */
#include "platform.h"

static int try_chosen(int server, unsigned int port)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	int fd = tcp4(), ret;

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), "SO_LINGER");
	confine(fd, port, port);
	ret = try_connect(fd, "127.0.0.1", 30000);
	if (ret == 0)
		close(accept_one(server));
	close(fd);
	return ret;
}

static void leave_time_wait(int server, unsigned int port, bool by_hand)
{
	int fd = tcp4();

	if (by_hand)
		expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	else
		confine(fd, port, port);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect_port("connect", port_of(fd), port, port);
	close_in_order(fd, accept_one(server));
}

/*
 * The one event that only the kernel's clock brings about. Tried until it
 * comes; alarm(2), set by begin(), is the bound.
 */
static void comes_free(int server, unsigned int port)
{
	int ret;

	while ((ret = try_chosen(server, port)) == -EADDRNOTAVAIL)
		sched_yield();
	expect("connect once the delay has passed", ret, 0);
}

int main(void)
{
	char delay[32];
	bool settable;
	int server;

	begin();
	ephemeral_range(32768, 60999);
	server = open_server("127.0.0.1", 30000);

	/* If the delay can be set, the test does not wait for a clock. */
	settable = try_sysctl_read("ipv4/tcp_tw_reuse_delay", delay, sizeof(delay)) == 0;
	if (settable) {
		check(strtol(delay, NULL, 10) == 1000, "expected a delay of 1000 ms, found %s",
		      delay);
		sysctl_write("ipv4/tcp_tw_reuse_delay", "59000");
	}

	/* 40002 is the last, so that the delay has passed for all once it has for that. */
	sysctl_write("ipv4/tcp_tw_reuse", "2");
	leave_time_wait(server, 40000, true);
	leave_time_wait(server, 40001, false);
	leave_time_wait(server, 40002, false);
	expect("before the delay has passed", try_chosen(server, 40002), -EADDRNOTAVAIL);
	if (settable)
		sysctl_write("ipv4/tcp_tw_reuse_delay", "1");
	comes_free(server, 40002);

	expect("bound by hand, after the delay", try_chosen(server, 40000), -EADDRNOTAVAIL);
	sysctl_write("ipv4/tcp_tw_reuse", "0");
	expect("tcp_tw_reuse=0, after the delay", try_chosen(server, 40001), -EADDRNOTAVAIL);
	sysctl_write("ipv4/tcp_tw_reuse", "2");
	expect("tcp_tw_reuse=2, after the delay", try_chosen(server, 40001), 0);
	close(server);
	return HOLDS;
}
