/*
 * Fact: a dump of sock_diag that is asked for in the old form, TCPDIAG_GETSOCK, shows the TCP sockets of both
 * families in one pass, whichever family it names, and only those towards the port that it names. It shows
 * ESTABLISHED and TIME_WAIT, even to other users.
 *
 * Source: inet_diag_dump_compat(), net/ipv4/inet_diag.c.
 *
 * So a full range is looked through once, though IPv6 sockets may have IPv4 peers.
 */
#include "platform.h"

#include "diag.h"

enum { TIME_WAIT = 6 };

struct found {
	unsigned int four, six, waiting;
};

static void count_socket(const struct inet_diag_msg *one, void *context)
{
	struct found *found = context;

	check(ntohs(one->id.idiag_dport) == 30000, "found a socket to port %u",
	      ntohs(one->id.idiag_dport));
	found->four += one->idiag_family == AF_INET;
	found->six += one->idiag_family == AF_INET6;
	found->waiting += one->idiag_state == TIME_WAIT;
}

static void expect_both(void *unused)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req req;
	} ask;
	struct found found = { 0 };

	(void)unused;
	memset(&ask, 0, sizeof(ask));
	ask.nlh.nlmsg_len = sizeof(ask);
	ask.nlh.nlmsg_type = TCPDIAG_GETSOCK;
	ask.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ask.req.idiag_family = AF_INET;
	ask.req.idiag_states = ~0U;
	ask.req.id.idiag_dport = htons(30000);
	dump_diag(&ask.nlh, count_socket, &found);
	check(found.four == 1 && found.six == 2 && found.waiting == 1,
	      "expected 1 IPv4 socket, 2 IPv6 sockets, 1 of them in TIME_WAIT; found %u, %u and %u",
	      found.four, found.six, found.waiting);
}

static int connect_from(int family, const char *here, unsigned int port, const char *to,
			unsigned int to_port)
{
	int fd = open_socket(family, SOCK_STREAM, 0);

	expect("bind", try_bind(fd, here, port), 0);
	expect("connect", try_connect(fd, to, to_port), 0);
	return fd;
}

int main(void)
{
	int server4, server6, other, closed;

	begin();
	server4 = open_server("127.0.0.1", 30000);
	server6 = open_server("::1", 30000);
	other = open_server("127.0.0.1", 30001);
	connect_from(AF_INET, "127.0.0.1", 20000, "127.0.0.1", 30000);
	accept_one(server4);
	connect_from(AF_INET6, "::", 20001, "::ffff:127.0.0.1", 30000);
	accept_one(server4);
	closed = connect_from(AF_INET6, "::1", 20002, "::1", 30000);
	close_in_order(closed, accept_one(server6));
	connect_from(AF_INET, "127.0.0.1", 20003, "127.0.0.1", 30001);
	accept_one(other);
	as_nobody(expect_both, NULL);
	return HOLDS;
}
