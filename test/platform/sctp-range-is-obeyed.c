/*
 * Fact: SCTP takes IP_LOCAL_PORT_RANGE and keeps to it if it lies inside the
 * ephemeral range, however the port is assigned, over IPv4 and IPv6. Outside, the
 * option is ignored in silence.
 *
 * Source: sctp_get_port_local(), net/sctp/socket.c, asks
 * inet_sk_get_local_port_range().
 *
 * So the kernel engine serves SCTP, too.
 */
#include "sctp.h"

static void judge(int family, int type, const char *ip)
{
	int fd[6], i;

	for (i = 0; i < 6; i++) {
		fd[i] = open_socket(family, type, IPPROTO_SCTP);
		port_range(fd[i], 40000, 40099);
	}
	expect("bind to 0", try_bind(fd[0], ip, 0), 0);
	expect("connect", try_connect(fd[1], ip, 7000), 0);
	expect("listen", try_listen(fd[2], 1), 0);
	expect("send", try_sendto(fd[3], ip, 7000, 0), 0);
	expect("bindx of 0", try_bindx(fd[4], ip, 0, NULL, 0), 0);
	expect("connectx", try_connectx(fd[5], ip, 7000, NULL), 0);
	for (i = 0; i < 6; i++) {
		expect_port("a range inside", port_of(fd[i]), 40000, 40099);
		close(fd[i]);
	}
	fd[0] = open_socket(family, type, IPPROTO_SCTP);
	port_range(fd[0], 20000, 20009);
	expect("bind to 0", try_bind(fd[0], ip, 0), 0);
	expect_port("a range outside", port_of(fd[0]), 32768, 60999);
	close(fd[0]);
}

int main(void)
{
	int server;

	begin();
	ephemeral_range(32768, 60999);
	server = open_sctp_server("::", 7000);
	judge(AF_INET, SOCK_STREAM, "127.0.0.1");
	judge(AF_INET, SOCK_SEQPACKET, "127.0.0.1");
	judge(AF_INET6, SOCK_STREAM, "::1");
	judge(AF_INET6, SOCK_SEQPACKET, "::1");
	close(server);
	return HOLDS;
}
