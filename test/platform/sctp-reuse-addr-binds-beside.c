/*
 * Fact: an SCTP socket can bind to a port that another one holds if both have
 * SO_REUSEADDR at that moment, even if the other set it after its own bind. Once the
 * option is cleared, other sockets are kept out again. SCTP_REUSE_PORT shares a port
 * in the same way, but cannot be changed once the socket is bound.
 *
 * Source: sctp_get_port_local() and sctp_setsockopt_reuse_port(),
 * net/sctp/socket.c.
 *
 * So one socket can hold a port for another until that one is bound to it, and the
 * port is never free in between. And SCTP_REUSE_PORT cannot be cleared while a port
 * is chosen.
 */
#include "sctp.h"

static int try_reuse_port(int fd)
{
	int on = 1;

	return setsockopt(fd, IPPROTO_SCTP, SCTP_REUSE_PORT, &on, sizeof(on)) ? -errno : 0;
}

int main(void)
{
	int guard, fd, other;

	begin();
	guard = one_to_one(AF_INET);
	fd = one_to_one(AF_INET);
	other = one_to_one(AF_INET);
	expect("bind of the guard", try_bind(guard, "0.0.0.0", 40000), 0);
	reuse_addr(fd, 1);
	expect("bind beside it", try_bind(fd, "127.0.0.1", 40000), -EADDRINUSE);
	reuse_addr(guard, 1);
	expect("bind beside it now", try_bind(fd, "127.0.0.1", 40000), 0);
	reuse_addr(fd, 0);
	close(guard);
	reuse_addr(other, 1);
	expect("bind of another", try_bind(other, "127.0.0.1", 40000), -EADDRINUSE);
	expect("listen", try_listen(fd, 1), 0);
	expect("SCTP_REUSE_PORT of a bound socket", try_reuse_port(fd), -EFAULT);
	close(fd);
	close(other);

	fd = one_to_one(AF_INET);
	other = one_to_one(AF_INET);
	expect("SCTP_REUSE_PORT", try_reuse_port(fd), 0);
	expect("SCTP_REUSE_PORT", try_reuse_port(other), 0);
	expect("bind", try_bind(fd, "127.0.0.1", 40000), 0);
	expect("bind beside it", try_bind(other, "127.0.0.1", 40000), 0);
	close(fd);
	close(other);
	return HOLDS;
}
