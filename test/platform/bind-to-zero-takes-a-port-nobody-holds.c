/*
 * Fact: bind to 0 and listen on an unbound socket take only a port that no
 * socket holds, with or without SO_REUSEADDR and SO_REUSEPORT. An explicit bind
 * with these options shares a port with sockets that also have them set. (With
 * ip_autobind_reuse=1 the kernel also shares, once no free port is left.)
 *
 * Source: inet_csk_find_open_port(), net/ipv4/inet_connection_sock.c, which
 * calls inet_csk_bind_conflict() with relax and reuseport_ok false; udp(7).
 *
 * So the bind engine clears both options while it chooses for bind to 0, then
 * restores them; the kernel engine need not.
 */
#include "platform.h"

static int assign(int option, bool by_listen)
{
	int fd = tcp4(), ret;

	set_option(fd, SOL_SOCKET, option, 1);
	confine(fd, 40000, 40000);
	ret = by_listen ? try_listen(fd, 1) : try_bind(fd, "127.0.0.1", 0);
	close(fd);
	return ret;
}

static void exclusive(int option)
{
	int holder = tcp4(), fd = tcp4();

	set_option(holder, SOL_SOCKET, option, 1);
	expect("bind", try_bind(holder, "127.0.0.1", 40000), 0);
	expect("bind to 0", assign(option, false), -EADDRINUSE);
	expect("listen", assign(option, true), -EADDRINUSE);
	set_option(fd, SOL_SOCKET, option, 1);
	expect("explicit bind", try_bind(fd, "127.0.0.1", 40000), 0);
	close(fd);
	close(holder);
}

int main(void)
{
	int holder;

	begin();
	ephemeral_range(32768, 60999);
	exclusive(SO_REUSEADDR);
	exclusive(SO_REUSEPORT);

	holder = tcp4();
	reuse_addr(holder, 1);
	expect("bind", try_bind(holder, "127.0.0.1", 40000), 0);
	sysctl_read("ipv4/ip_autobind_reuse");
	sysctl_write("ipv4/ip_autobind_reuse", "1");
	expect("bind to 0, ip_autobind_reuse", assign(SO_REUSEADDR, false), 0);
	close(holder);
	return HOLDS;
}
