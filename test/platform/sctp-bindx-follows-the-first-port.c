/*
 * Fact: the first address of sctp_bindx decides on the port: later addresses with
 * port 0 get the same one, and a later address with another port is EINVAL. On a
 * socket that is bound already, its port decides in the same way. If a later address
 * is refused, the call fails, but the socket keeps its port, and nothing unbinds it.
 *
 * Source: sctp_setsockopt_bindx(), sctp_bindx_add(), sctp_do_bind() and
 * sctp_bindx_rem(), net/sctp/socket.c.
 *
 * So portfence writes a port into (a copy of) the first address only, and first
 * makes sure that the port is free at all addresses.
 */
#include "sctp.h"

int main(void)
{
	int fd, other;
	unsigned int port;

	begin();
	ephemeral_range(40000, 40999);
	fd = one_to_one(AF_INET);
	expect("bindx 0, 0", try_bindx(fd, "127.0.0.1", 0, "127.0.0.2", 0), 0);
	port = port_of(fd);
	expect_port("bindx 0, 0", port, 40000, 40999);
	expect("bindx of 0 on a bound socket", try_bindx(fd, "127.0.0.3", 0, NULL, 0), 0);
	expect("bindx of its port", try_bindx(fd, "127.0.0.4", port, NULL, 0), 0);
	expect("bindx of another", try_bindx(fd, "127.0.0.5", 20000, NULL, 0), -EINVAL);
	expect_port("all of them", port_of(fd), port, port);
	close(fd);

	fd = one_to_one(AF_INET);
	expect("bindx 20000, 0", try_bindx(fd, "127.0.0.1", 20000, "127.0.0.2", 0), 0);
	expect_port("bindx 20000, 0", port_of(fd), 20000, 20000);
	other = one_to_one(AF_INET);
	expect("bindx beside it", try_bindx(other, "127.0.0.3", 20000, "127.0.0.2", 0),
	       -EADDRINUSE);
	expect_port("the refused", port_of(other), 20000, 20000);
	expect("its way out", try_bind(other, "127.0.0.3", 20001), -EINVAL);
	close(other);
	other = one_to_one(AF_INET);
	expect("bindx 0, 20000", try_bindx(other, "127.0.0.3", 0, "127.0.0.2", 20000), -EINVAL);
	expect_port("bindx 0, 20000", port_of(other), 40000, 40999);
	close(other);
	close(fd);
	return HOLDS;
}
