/*
 * Fact: an SCTP socket keeps its port, whether it was bound by hand or the kernel
 * chose: after a refused connect (a second one starts from the same port), and
 * after shutdown. It cannot be bound again, and connect(AF_UNSPEC) is EOPNOTSUPP.
 *
 * Source: sctp_bind(), sctp_connect_new_asoc(), sctp_inet_connect(),
 * net/sctp/socket.c.
 *
 * So a socket that shows a port in getsockname needs none, and a port outside the
 * range cannot be taken back: it has to be right before the call.
 */
#include "sctp.h"

int main(void)
{
	int server, fd;
	unsigned int port;

	begin();
	server = open_sctp_server("127.0.0.1", 7000);
	fd = one_to_one(AF_INET);
	expect("connect to nobody", try_connect(fd, "127.0.0.1", closed_port()), -ECONNREFUSED);
	port = port_of(fd);
	check(port != 0, "expected a port");
	expect("bind of the refused", try_bind(fd, "127.0.0.1", 40000), -EINVAL);
	expect("connect(AF_UNSPEC)", try_disconnect(fd), -EOPNOTSUPP);
	expect("connect to the server", try_connect(fd, "127.0.0.1", 7000), 0);
	expect_port("the second connect", port_of(fd), port, port);
	must(shutdown(fd, SHUT_RDWR), "shutdown");
	expect_port("shutdown", port_of(fd), port, port);
	expect("bind of the shut down", try_bind(fd, "127.0.0.1", 40000), -EINVAL);
	close(fd);
	close(server);
	return HOLDS;
}
