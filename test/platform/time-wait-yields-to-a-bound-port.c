/*
 * Fact: a connect from a port bound by hand takes over a TIME_WAIT of the same
 * 4-tuple at once, whatever tcp_tw_reuse says, so long as timestamps are on;
 * without them it is EADDRNOTAVAIL. (Bind needs SO_REUSEADDR on both sockets.)
 *
 * Source: tcp_twsk_unique(), net/ipv4/tcp_ipv4.c: "if (ts_recent_stamp && (!twp
 * || (reuse && ...". __inet_hash_connect() passes no twp for a port that is
 * given: tcp_tw_reuse and its second are for the kernel's own choice.
 *
 * So EADDRNOTAVAIL at connect does not protect a TIME_WAIT. To wait for as long as the
 * kernel does when it chooses, ask sock_diag how old the TIME_WAIT is.
 */
#include "platform.h"

static void leave_time_wait(int server, unsigned int port)
{
	int fd = tcp4();

	reuse_addr(fd, 1);
	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	close_in_order(fd, accept_one(server));
}

static void reconnect(int server, const char *what, unsigned int port, int want)
{
	int exclusive = tcp4(), fd = tcp4();

	leave_time_wait(server, port);
	expect("exclusive bind", try_bind(exclusive, "127.0.0.1", port), -EADDRINUSE);
	reuse_addr(fd, 1);
	expect("shared bind", try_bind(fd, "127.0.0.1", port), 0);
	expect(what, try_connect(fd, "127.0.0.1", 30000), want);
	expect_port(what, port_of(fd), port, port);
	if (want == 0)
		close(accept_one(server));
	close(fd);
	close(exclusive);
}

int main(void)
{
	int server;

	begin();
	server = open_server("127.0.0.1", 30000);

	sysctl_write("ipv4/tcp_tw_reuse", "2");
	reconnect(server, "tcp_tw_reuse=2", 20000, 0);
	sysctl_write("ipv4/tcp_tw_reuse", "1");
	reconnect(server, "tcp_tw_reuse=1", 20001, 0);
	sysctl_write("ipv4/tcp_tw_reuse", "0");
	reconnect(server, "tcp_tw_reuse=0", 20002, 0);

	sysctl_write("ipv4/tcp_timestamps", "0");
	sysctl_write("ipv4/tcp_tw_reuse", "2");
	reconnect(server, "no timestamps", 20003, -EADDRNOTAVAIL);
	close(server);
	return HOLDS;
}
