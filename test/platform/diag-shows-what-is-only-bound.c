/*
 * Fact: a dump of sock_diag that asks for TCP_BOUND_INACTIVE shows the TCP
 * sockets that are only bound, each in state CLOSE, even to other users. It shows
 * all of them on a port, whatever other sockets hold that port. It may also show
 * those of other ports.
 *
 * Source: inet_diag_dump_icsk(), net/ipv4/inet_diag.c, since Linux 6.8.
 *
 * So a process that has bound a socket and sees it in the dump sees all others, too.
 */
#include "platform.h"

#include "diag.h"

#define BOUND_INACTIVE 13

struct bound {
	unsigned int port, found;
};

static void count_socket(const struct inet_diag_msg *one, void *context)
{
	struct bound *bound = context;

	check(one->idiag_state == TCP_CLOSE, "expected CLOSE, found state %d", one->idiag_state);
	bound->found += ntohs(one->id.idiag_sport) == bound->port;
}

/* Return: how many sockets on a port are only bound */
static unsigned int count_bound(int family, unsigned int port)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} ask;
	struct bound bound = { .port = port };

	memset(&ask, 0, sizeof(ask));
	ask.nlh.nlmsg_len = sizeof(ask);
	ask.nlh.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	ask.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ask.req.sdiag_family = (uint8_t)family;
	ask.req.sdiag_protocol = IPPROTO_TCP;
	ask.req.idiag_states = 1U << BOUND_INACTIVE;
	dump_diag(&ask.nlh, count_socket, &bound);
	return bound.found;
}

static void expect_bound(void *port)
{
	unsigned int found = count_bound(AF_INET, *(unsigned int *)port);

	check(found == 2, "expected 2 sockets that are bound, found %u", found);
}

int main(void)
{
	int first = tcp4(), second = tcp4(), third = tcp4(), sixth;
	unsigned int port = 20000;

	begin();
	reuse_addr(first, 1);
	reuse_addr(second, 1);
	reuse_addr(third, 1);
	expect("bind", try_bind(first, "127.0.0.1", port), 0);
	if (count_bound(AF_INET, port) == 0)
		skip("the kernel does not show what is only bound");
	expect("bind beside it", try_bind(second, "0.0.0.0", port), 0);
	expect("bind elsewhere", try_bind(third, "127.0.0.1", port + 1), 0);
	expect_bound(&port);
	as_nobody(expect_bound, &port);
	expect("listen", try_listen(third, 8), 0);
	check(count_bound(AF_INET, port + 1) == 0, "expected the listener not to be shown");
	sixth = open_socket(AF_INET6, SOCK_STREAM, 0);
	reuse_addr(sixth, 1);
	expect("bind over IPv6", try_bind(sixth, "::", port), 0);
	check(count_bound(AF_INET6, port) == 1, "expected one over IPv6, too");
	return HOLDS;
}
