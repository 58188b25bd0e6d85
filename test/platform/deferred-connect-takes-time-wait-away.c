/*
 * Fact: connect() on a socket that is bound to a port, with TCP_FASTOPEN_CONNECT and
 * TCP_FASTOPEN_NO_COOKIE, tells whether the 4-tuple is free: 0 or EADDRNOTAVAIL, and no segment
 * leaves. But where a connection in TIME_WAIT has the tuple, and had timestamps, the kernel hands it
 * over at once: the answer is 0, and TIME_WAIT is gone when the asking socket is closed. It is no
 * question without consequences. Without the client's bit in sysctl tcp_fastopen the option fails
 * with EOPNOTSUPP.
 *
 * Source: tcp_v4_connect() and tcp_twsk_unique(), net/ipv4/tcp_ipv4.c; __inet_check_established(),
 * net/ipv4/inet_hashtables.c; tcp_fastopen_defer_connect(), net/ipv4/tcp_fastopen.c, which
 * sends a SYN all the same while sysctl tcp_fastopen_blackhole_timeout_sec is in force.
 *
 * So a port that is to be shared is looked up with sock_diag(7), which leaves TIME_WAIT where it is.
 * It takes fewer calls, too: socket, send, receive, close, against three options, bind and connect.
 */
#include "platform.h"

#include "diag.h"

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

#define TIME_WAIT 6 /* include/net/tcp_states.h */

static int sharing_socket(const char *ip, unsigned int port)
{
	int fd = open_socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	reuse_addr(fd, 1);
	expect("bind", try_bind(fd, ip, port), 0);
	return fd;
}

/* @ret_fd: the socket that asks; NULL: it is closed. Return: as connect() */
static int ask(const char *ip, unsigned int from, unsigned int to, int *ret_fd)
{
	int fd = sharing_socket(ip, from), rc;

	set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	rc = try_connect(fd, ip, to);
	if (ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return rc;
}

/* Segments that TCP has sent in this network namespace: the 11th number of /proc/net/snmp's line. */
static long segments_sent(void)
{
	FILE *file = fopen("/proc/net/snmp", "re");
	char line[1024];
	long sent = -1;

	if (!file)
		skip("cannot read /proc/net/snmp: %s", strerror(errno));
	while (sent < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "Tcp: %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %ld", &sent);
	fclose(file);
	return sent;
}

/* Return: state of the socket that has the tuple, or -errno */
static int find_state(const char *ip, unsigned int from, unsigned int to)
{
	const union addr src = addr(ip, from), dst = addr(ip, to);
	struct inet_diag_msg found;
	int rc = try_diag(&src, &dst, &found);

	return rc ? rc : found.idiag_state;
}

static void leave_time_wait(const char *ip, int server, unsigned int from, unsigned int to)
{
	int client = sharing_socket(ip, from);

	expect("connect", try_connect(client, ip, to), 0);
	close_in_order(client, accept_one(server));
	check(find_state(ip, from, to) == TIME_WAIT, "expected TIME_WAIT");
}

static void try_family(const char *ip)
{
	int server = open_server(ip, 7000), other = open_server(ip, 7001);
	int client = sharing_socket(ip, 20000), asking, real;
	long before;

	expect("connect", try_connect(client, ip, 7000), 0);
	before = segments_sent();
	expect("a tuple in use", ask(ip, 20000, 7000, NULL), -EADDRNOTAVAIL);
	expect("another destination", ask(ip, 20000, 7001, &asking), 0);
	real = sharing_socket(ip, 20000);
	expect("while the asking socket has the tuple", try_connect(real, ip, 7001),
	       -EADDRNOTAVAIL);
	close(asking);
	expect("once it is closed", ask(ip, 20000, 7001, NULL), 0);
	check(segments_sent() == before, "expected no segment, found %ld",
	      segments_sent() - before);
	expect("connect", try_connect(real, ip, 7001), 0);
	close_in_order(client, accept_one(server));

	sysctl_write("ipv4/tcp_timestamps", "1");
	leave_time_wait(ip, server, 20001, 7000);
	expect("a tuple in TIME_WAIT", ask(ip, 20001, 7000, NULL), 0);
	expect("TIME_WAIT afterwards", find_state(ip, 20001, 7000), -ENOENT);
	sysctl_write("ipv4/tcp_timestamps", "0");
	leave_time_wait(ip, server, 20002, 7000);
	expect("a tuple in TIME_WAIT, without timestamps", ask(ip, 20002, 7000, NULL),
	       -EADDRNOTAVAIL);
	check(find_state(ip, 20002, 7000) == TIME_WAIT, "expected TIME_WAIT");
	close(real);
	close(other);
	close(server);
}

int main(void)
{
	int one = 1, fd;

	begin();
	sysctl_write("ipv4/tcp_fastopen", "1");
	try_family("127.0.0.1");
	try_family("::1");
	sysctl_write("ipv4/tcp_fastopen", "0");
	fd = tcp4();
	check(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) &&
		      errno == EOPNOTSUPP,
	      "expected EOPNOTSUPP where the client may not");
	return HOLDS;
}
