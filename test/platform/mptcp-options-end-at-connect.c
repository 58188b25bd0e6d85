/*
 * Fact: an MPTCP socket takes SO_REUSEADDR and IP_LOCAL_PORT_RANGE before
 * connect, bound or not. From the start of connect on it refuses both with EINVAL.
 * What was set before stays, and shares the port as over TCP.
 * (Fallen back to TCP, it takes the range again, but never SO_REUSEADDR.)
 * sock_diag finds its 4-tuple as a TCP socket's.
 *
 * Source: mptcp_setsockopt_sol_socket_int(), mptcp_setsockopt_v4(),
 * net/mptcp/sockopt.c: __mptcp_nmpc_sk() gives the first subflow only while the
 * socket is neither connecting nor connected.
 *
 * So for MPTCP the bind engine must open the port to sharing between bind and
 * connect; over TCP it may do so after connect.
 */
#include "platform.h"

#include "diag.h"

static int mptcp4(int flags)
{
	return open_socket(AF_INET, SOCK_STREAM | flags, IPPROTO_MPTCP);
}

static int try_reuse(int fd, int value)
{
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int try_range(int fd)
{
	unsigned int value = 40009U << 16 | 40000U;

	return setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value)) < 0 ? -errno
											  : 0;
}

static int try_share(unsigned int port)
{
	int fd = mptcp4(0), ret;

	expect("SO_REUSEADDR, unbound", try_reuse(fd, 1), 0);
	ret = try_bind(fd, "127.0.0.1", port);
	close(fd);
	return ret;
}

int main(void)
{
	union addr src = addr("127.0.0.1", 20000), dst = addr("127.0.0.1", 30000);
	struct inet_diag_msg msg;
	int server, mptcp_server, full, first, late, early, connecting;

	begin();
	server = open_server("127.0.0.1", 30000);
	mptcp_server = mptcp4(0);
	reuse_addr(mptcp_server, 1);
	port_range(mptcp_server, 40000, 40009);
	expect("bind", try_bind(mptcp_server, "127.0.0.1", 30002), 0);
	expect("listen", try_listen(mptcp_server, 8), 0);

	/* To a server that speaks TCP only: the connection falls back. */
	late = mptcp4(0);
	expect("bind", try_bind(late, "127.0.0.1", 20000), 0);
	expect("connect", try_connect(late, "127.0.0.1", 30000), 0);
	expect("sock_diag", try_diag(&src, &dst, &msg), 0);
	expect("SO_REUSEADDR, fallen back", try_reuse(late, 1), -EINVAL);
	expect("IP_LOCAL_PORT_RANGE, fallen back", try_range(late), 0);
	expect("bind of a port not opened", try_share(20000), -EADDRINUSE);

	early = mptcp4(0);
	expect("bind", try_bind(early, "127.0.0.1", 20001), 0);
	expect("IP_LOCAL_PORT_RANGE, bound", try_range(early), 0);
	expect("SO_REUSEADDR, bound", try_reuse(early, 1), 0);
	expect("bind of a port opened", try_share(20001), 0);
	expect("connect", try_connect(early, "127.0.0.1", 30002), 0);
	expect("IP_LOCAL_PORT_RANGE, connected", try_range(early), -EINVAL);
	expect("bind of a port opened, connected", try_share(20001), 0);
	expect("SO_REUSEADDR cleared, connected", try_reuse(early, 0), -EINVAL);

	/* A backlog of 0 takes one connection and drops the SYN of the next. */
	full = tcp4();
	expect("bind", try_bind(full, "127.0.0.1", 30001), 0);
	expect("listen", try_listen(full, 0), 0);
	first = tcp4();
	expect("connect", try_connect(first, "127.0.0.1", 30001), 0);
	connecting = mptcp4(SOCK_NONBLOCK);
	expect("bind", try_bind(connecting, "127.0.0.1", 20002), 0);
	expect("connect", try_connect(connecting, "127.0.0.1", 30001), -EINPROGRESS);
	expect("SO_REUSEADDR, connecting", try_reuse(connecting, 1), -EINVAL);
	expect("IP_LOCAL_PORT_RANGE, connecting", try_range(connecting), -EINVAL);

	close(connecting);
	close(first);
	close(full);
	close(early);
	close(late);
	close(mptcp_server);
	close(server);
	return HOLDS;
}
