/*
 * Fact: SO_REUSEPORT and SO_REUSEADDR, cleared while a socket is bound and
 * restored afterwards, open the port as if they had been there: another socket
 * of the same user with SO_REUSEPORT, or with SO_REUSEADDR, binds the same port,
 * over TCP and UDP, and both TCP sockets can listen under SO_REUSEPORT. Another
 * user's cannot share through SO_REUSEPORT.
 *
 * Source: inet_bind_conflict(), net/ipv4/inet_connection_sock.c, and
 * udp_lib_lport_inuse(), net/ipv4/udp.c, read the flags of the socket that
 * holds the port at that moment; socket(7).
 *
 * So portfence may clear both while it chooses a port for bind to 0. (What is
 * lost on UDP: reuseport-restored-late-has-no-group.)
 */
#include "platform.h"

static int type_of_socket;

static int bound_exclusively(int option, unsigned int port)
{
	int fd = open_socket(AF_INET, type_of_socket, 0);

	set_option(fd, SOL_SOCKET, option, 1);
	set_option(fd, SOL_SOCKET, option, 0);
	expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	return fd;
}

static int try_join(int option, unsigned int port, int *ret_fd)
{
	*ret_fd = open_socket(AF_INET, type_of_socket, 0);
	set_option(*ret_fd, SOL_SOCKET, option, 1);
	return try_bind(*ret_fd, "127.0.0.1", port);
}

static void join_as_other_user(void *arg)
{
	int fd;

	(void)arg;
	expect("another user's bind", try_join(SO_REUSEPORT, 20000, &fd), -EADDRINUSE);
	close(fd);
}

static void restored(int type)
{
	int first, second;

	type_of_socket = type;
	first = bound_exclusively(SO_REUSEPORT, 20000);
	expect("while cleared", try_join(SO_REUSEPORT, 20000, &second), -EADDRINUSE);
	close(second);
	set_option(first, SOL_SOCKET, SO_REUSEPORT, 1);
	as_nobody(join_as_other_user, NULL);
	expect("once restored", try_join(SO_REUSEPORT, 20000, &second), 0);
	if (type == SOCK_STREAM) {
		expect("first listen", try_listen(first, 1), 0);
		expect("second listen", try_listen(second, 1), 0);
	}
	close(second);
	close(first);

	first = bound_exclusively(SO_REUSEADDR, 20001);
	expect("while cleared", try_join(SO_REUSEADDR, 20001, &second), -EADDRINUSE);
	close(second);
	reuse_addr(first, 1);
	expect("once restored", try_join(SO_REUSEADDR, 20001, &second), 0);
	close(second);
	close(first);
}

int main(void)
{
	begin();
	restored(SOCK_STREAM);
	restored(SOCK_DGRAM);
	return HOLDS;
}
