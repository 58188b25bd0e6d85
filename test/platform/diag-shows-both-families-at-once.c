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

static void expect_both(void *unused)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req req;
	} ask;
	union {
		struct nlmsghdr nlh;
		char buf[32768];
	} answer;
	unsigned int found4 = 0, found6 = 0, waiting = 0;
	bool done = false;
	int fd = open_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);

	(void)unused;
	memset(&ask, 0, sizeof(ask));
	ask.nlh.nlmsg_len = sizeof(ask);
	ask.nlh.nlmsg_type = TCPDIAG_GETSOCK;
	ask.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ask.req.idiag_family = AF_INET;
	ask.req.idiag_states = ~0U;
	ask.req.id.idiag_dport = htons(30000);
	must((int)send(fd, &ask, sizeof(ask), 0), "send");
	while (!done) {
		int left = must((int)recv(fd, &answer, sizeof(answer), 0), "recv");
		struct nlmsghdr *head = &answer.nlh;

		for (; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			const struct inet_diag_msg *one = NLMSG_DATA(head);

			done = head->nlmsg_type != TCPDIAG_GETSOCK;
			if (done)
				break;
			check(ntohs(one->id.idiag_dport) == 30000, "found a socket to port %u",
			      ntohs(one->id.idiag_dport));
			found4 += one->idiag_family == AF_INET;
			found6 += one->idiag_family == AF_INET6;
			waiting += one->idiag_state == TIME_WAIT;
		}
	}
	close(fd);
	check(found4 == 1 && found6 == 2 && waiting == 1,
	      "expected 1 IPv4 socket, 2 IPv6 sockets, 1 of them in TIME_WAIT; found %u, %u and %u",
	      found4, found6, waiting);
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
