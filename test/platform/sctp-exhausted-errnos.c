/*
 * Fact: with no port left, SCTP's bind to 0 fails with EADDRINUSE and its
 * connect with EAGAIN. (The ephemeral range itself is narrowed here, so that
 * kernels without IP_LOCAL_PORT_RANGE are judged too.)
 *
 * Source: sctp_get_port_local(), sctp_autobind() and its caller
 * sctp_connect_new_asoc(), net/sctp/socket.c.
 *
 * So the bind engine returns the same.
 */
#include "platform.h"

int main(void)
{
	int hold[2], fd, i;

	begin();
	ephemeral_range(40000, 40001);
	for (i = 0; i < 2; i++) {
		hold[i] = open_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
		expect("SCTP bind", try_bind(hold[i], "127.0.0.1", 40000U + (unsigned int)i), 0);
	}
	fd = open_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	expect("SCTP bind to 0", try_bind(fd, "127.0.0.1", 0), -EADDRINUSE);
	expect("SCTP connect", try_connect(fd, "127.0.0.1", 30000), -EAGAIN);
	close(fd);
	for (i = 0; i < 2; i++)
		close(hold[i]);
	return HOLDS;
}
