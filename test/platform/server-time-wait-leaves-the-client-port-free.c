/*
 * Fact: when the server closes first, the TIME_WAIT is on the server's
 * port. The client's port can be bound exclusively at once, and can connect to the
 * same server again at once, with or without timestamps.
 *
 * Source: inet_twsk_bind_unhash() and the bind buckets are by local port; a SYN
 * to a TIME_WAIT: tcp_timewait_state_process(), net/ipv4/tcp_minisocks.c; RFC
 * 9293, 3.6.1.
 *
 * So only connections that the program itself closes first wear out a range.
 */
#include "platform.h"

#include "diag.h"

#define TIME_WAIT 6

static void comes_back(unsigned int port)
{
	union addr src = addr("127.0.0.1", 30000), dst = addr("127.0.0.1", port);
	int server = open_server("127.0.0.1", 30000), fd;
	struct inet_diag_msg msg;

	fd = tcp4();
	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	close_in_order(accept_one(server), fd);
	expect("sock_diag", try_diag(&src, &dst, &msg), 0);
	check(msg.idiag_state == TIME_WAIT, "expected the server in TIME_WAIT, found state %d",
	      msg.idiag_state);
	expect("sock_diag, the client", try_diag(&dst, &src, &msg), -ENOENT);

	fd = tcp4();
	expect("exclusive bind", try_bind(fd, "127.0.0.1", port), 0);
	expect("connect again", try_connect(fd, "127.0.0.1", 30000), 0);
	close_in_order(accept_one(server), fd);
	close(server);
}

int main(void)
{
	begin();
	comes_back(20000);
	sysctl_write("ipv4/tcp_timestamps", "0");
	comes_back(20001);
	return HOLDS;
}
