/*
 * Fact: SO_REUSEADDR set after an exclusive bind lets later binders with
 * SO_REUSEADDR share the port, whatever state the first socket is in short of
 * LISTEN; cleared again, it closes the port again.
 *
 * Source: inet_bind_conflict(), net/ipv4/inet_connection_sock.c, which reads
 * sk_reuse of the sockets that hold the port at that moment.
 *
 * So the bind engine takes a port exclusively first and opens it afterwards.
 */
#include "platform.h"

static int try_share(unsigned int port)
{
	int fd = tcp4(), ret;

	reuse_addr(fd, 1);
	ret = try_bind(fd, "127.0.0.1", port);
	close(fd);
	return ret;
}

int main(void)
{
	int server, fd, peer;

	begin();
	server = open_server("127.0.0.1", 30000);

	fd = tcp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20000), 0);
	expect("bound exclusively", try_share(20000), -EADDRINUSE);
	reuse_addr(fd, 1);
	expect("bound, opened", try_share(20000), 0);
	reuse_addr(fd, 0);
	expect("bound, closed again", try_share(20000), -EADDRINUSE);

	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	peer = accept_one(server);
	expect("connected exclusively", try_share(20000), -EADDRINUSE);
	reuse_addr(fd, 1);
	expect("connected, opened", try_share(20000), 0);
	close_in_order(fd, peer);
	expect("opened, in TIME_WAIT", try_share(20000), 0);

	fd = tcp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20001), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	peer = accept_one(server);
	close_in_order(fd, peer);
	expect("never opened, in TIME_WAIT", try_share(20001), -EADDRINUSE);

	fd = tcp4();
	expect("bind", try_bind(fd, "127.0.0.1", 20002), 0);
	reuse_addr(fd, 1);
	expect("listen", try_listen(fd, 1), 0);
	expect("opened, listening", try_share(20002), -EADDRINUSE);
	close(fd);

	close(server);
	return HOLDS;
}
