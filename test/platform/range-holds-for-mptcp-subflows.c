/*
 * Fact: the kernel's further subflows of an MPTCP connection leave from a port of
 * its own choice, whatever the first one is bound to. If IP_LOCAL_PORT_RANGE is
 * set on the socket before connect, they keep to it, also on a socket bound by
 * hand before or after. A connection that was accepted has the listening
 * socket's range, also one set after listen. Outside the ephemeral range the
 * kernel ignores it here, too.
 *
 * Source: mptcp_pm_create_subflow_or_signal_addr() and __mptcp_subflow_connect(),
 * net/mptcp: a subflow is bound to port 0, after sync_socket_options().
 *
 * So portfence sets the option on every MPTCP socket, and where the kernel would
 * not keep to it the rule decides whether there may be such a socket.
 */
#include "platform.h"

#define SOL_MPTCP 284
#define MPTCP_SUBFLOW_ADDRS 3 /* include/uapi/linux/mptcp.h, since Linux 5.16 */
#define SUBFLOWS 4

struct subflows {
	uint32_t size_data, count, size_kernel, size_user;
	struct {
		union addr local, remote;
	} of[SUBFLOWS];
};

static void add_endpoint(void)
{
	if (system("ip mptcp limits set subflows 2 2>&1 && "
		   "ip mptcp endpoint add 127.0.0.2 subflow 2>&1"))
		skip("'ip mptcp' can set no endpoint here");
}

/* Waits for the second subflow. Return: its port, host byte order */
static unsigned int second_port(int fd)
{
	struct subflows got;
	socklen_t len;

	do {
		memset(&got, 0, sizeof(got));
		got.size_data = 16;
		got.size_user = sizeof(got.of[0]);
		len = sizeof(got);
		if (getsockopt(fd, SOL_MPTCP, MPTCP_SUBFLOW_ADDRS, &got, &len))
			skip("the kernel does not tell an MPTCP socket's subflows");
	} while (got.count < 2);
	return ntohs(got.of[1].local.in.sin_port);
}

static int mptcp4(void)
{
	return open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static bool takes_range(void)
{
	int value = 40009 << 16 | 40000, fd = mptcp4();
	bool takes = !setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value));

	close(fd);
	return takes;
}

/* The kernel adds subflows once data has come from both ends. */
static void exchange(int a, int b)
{
	char c = 'x';

	must((int)write(a, &c, 1), "write");
	must((int)read(b, &c, 1), "read");
	must((int)write(b, &c, 1), "write");
	must((int)read(a, &c, 1), "read");
}

/* Return: the second subflow's port */
static unsigned int connect_from(int client, int server)
{
	int accepted;
	unsigned int port;

	expect("connect", try_connect(client, "127.0.0.1", 30000), 0);
	accepted = must(accept(server, NULL, NULL), "accept");
	exchange(client, accepted);
	port = second_port(client);
	close(client);
	close(accepted);
	return port;
}

int main(void)
{
	int server, client, accepted;
	unsigned int port;

	begin();
	if (!takes_range())
		skip("the kernel has no IP_LOCAL_PORT_RANGE for MPTCP");
	ephemeral_range(32768, 60999);
	server = mptcp4();
	expect("bind", try_bind(server, "127.0.0.1", 30000), 0);
	expect("listen", try_listen(server, 8), 0);
	add_endpoint();

	client = mptcp4();
	expect("bind", try_bind(client, "127.0.0.1", 20000), 0);
	port = connect_from(client, server);
	expect_port("the second subflow without a range", port, 32768, 60999);

	client = mptcp4();
	port_range(client, 40000, 40009);
	expect("bind", try_bind(client, "127.0.0.1", 20001), 0);
	port = connect_from(client, server);
	expect_port("the second subflow with a range, bound after", port, 40000, 40009);

	client = mptcp4();
	expect("bind", try_bind(client, "127.0.0.1", 20002), 0);
	port_range(client, 40000, 40009);
	port = connect_from(client, server);
	expect_port("the second subflow with a range, bound before", port, 40000, 40009);

	client = mptcp4();
	port_range(client, 20010, 20019);
	port = connect_from(client, server);
	expect_port("the second subflow with a range outside", port, 32768, 60999);

	port_range(server, 40010, 40019);
	client = mptcp4();
	expect("connect", try_connect(client, "127.0.0.1", 30000), 0);
	accepted = must(accept(server, NULL, NULL), "accept");
	check(get_option(accepted, IPPROTO_IP, IP_LOCAL_PORT_RANGE) == (40019 << 16 | 40010),
	      "an accepted connection has not the listening socket's range");
	close(accepted);
	close(client);
	close(server);
	return HOLDS;
}
