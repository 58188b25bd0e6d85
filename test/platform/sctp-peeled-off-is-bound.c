/*
 * Fact: a call that peels an association off returns the new descriptor, besides
 * filling in a struct. The new socket has the port of the old one, and a socket from
 * accept has the port of its server.
 *
 * Source: sctp_getsockopt_peeloff(), sctp_copy_sock() and sctp_sock_migrate(),
 * net/sctp/socket.c.
 *
 * So a new descriptor of an SCTP socket never needs a port, and a hook of the call
 * sees it.
 */
#include "sctp.h"

int main(void)
{
	sctp_peeloff_arg_t arg;
	socklen_t len = sizeof(arg);
	int server, listener, fd, peeled;

	begin();
	server = open_sctp_server("127.0.0.1", 7000);
	fd = one_to_many(AF_INET);
	expect("connectx", try_connectx(fd, "127.0.0.1", 7000, &arg.associd), 0);
	peeled = must(getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &arg, &len), "peeloff");
	check(peeled > 2 && peeled == arg.sd, "expected %d, found %d", arg.sd, peeled);
	expect_port("the peeled off", port_of(peeled), port_of(fd), port_of(fd));
	expect("bind of it", try_bind(peeled, "127.0.0.1", 0), -EINVAL);
	close(peeled);
	close(fd);
	close(server);

	listener = one_to_one(AF_INET);
	expect("bind", try_bind(listener, "127.0.0.1", 7001), 0);
	expect("listen", try_listen(listener, 1), 0);
	fd = one_to_one(AF_INET);
	expect("connect", try_connect(fd, "127.0.0.1", 7001), 0);
	peeled = accept_one(listener);
	expect_port("the accepted", port_of(peeled), 7001, 7001);
	close(peeled);
	close(fd);
	close(listener);
	return HOLDS;
}
