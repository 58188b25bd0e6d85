/*
 * Fact: with no port left, SCTP's bind to 0 and sctp_bindx of port 0 fail with
 * EADDRINUSE; connect, sctp_connectx, listen and sends with EAGAIN, on both
 * kinds of sockets. The socket is as unbound as before. (The ephemeral range
 * itself is narrowed here, so that kernels without IP_LOCAL_PORT_RANGE are
 * tested, too.)
 *
 * Source: sctp_get_port_local(), sctp_autobind() and its callers
 * sctp_connect_new_asoc() and sctp_listen_start(), net/sctp/socket.c.
 *
 * So the bind engine returns the same.
 */
#include "sctp.h"

static void judge(int fd, const char *ip)
{
	expect("bind to 0", try_bind(fd, ip, 0), -EADDRINUSE);
	expect("bindx of 0", try_bindx(fd, ip, 0, NULL, 0), -EADDRINUSE);
	expect("connect", try_connect(fd, ip, 30000), -EAGAIN);
	expect("connectx", try_connectx(fd, ip, 30000, NULL), -EAGAIN);
	expect("send", try_sendto(fd, ip, 30000, 0), -EAGAIN);
	expect("listen", try_listen(fd, 1), -EAGAIN);
	check(port_of(fd) == 0, "expected no port, found %u", port_of(fd));
	close(fd);
}

int main(void)
{
	int hold[2], i;

	begin();
	ephemeral_range(40000, 40001);
	for (i = 0; i < 2; i++) {
		hold[i] = one_to_one(AF_INET);
		expect("bind", try_bind(hold[i], "127.0.0.1", 40000U + (unsigned int)i), 0);
	}
	judge(one_to_one(AF_INET), "127.0.0.1");
	judge(one_to_many(AF_INET), "127.0.0.1");
	judge(one_to_one(AF_INET6), "::1");
	judge(one_to_many(AF_INET6), "::1");
	for (i = 0; i < 2; i++)
		close(hold[i]);
	return HOLDS;
}
