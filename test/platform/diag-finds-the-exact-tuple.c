/*
 * Fact: sock_diag, asked for one exact 4-tuple by an unprivileged user, answers
 * ENOENT if no socket has it, and finds another user's socket in ESTABLISHED,
 * SYN_SENT and TIME_WAIT; a listener is found on its port whatever the
 * destination. A socket that is only bound is not found. IPv4 and IPv6; an
 * AF_INET6 socket on an IPv4-mapped address is found under either name.
 *
 * Source: inet_diag_find_one_icsk(), net/ipv4/inet_diag.c, which is
 * inet_lookup(): established sockets and TIME_WAIT, then listeners; sock_diag(7).
 *
 * So the bind engine asks this before it shares a port. It does not find a socket
 * that is bound and will connect later: the claims in the state file are for that.
 */
#include "platform.h"

#include "diag.h"

enum { ESTABLISHED = 1, SYN_SENT = 2, TIME_WAIT = 6, LISTENING = 10 };

struct question {
	union addr src, dst;
	int want; /* a state, or -errno */
	const char *what;
};

static void ask(void *arg)
{
	struct question *q = arg;
	struct inet_diag_msg msg;
	int ret;

	memset(&msg, 0, sizeof(msg));
	check(geteuid() != 0, "expected to ask without privileges");
	ret = try_diag(&q->src, &q->dst, &msg);
	if (q->want < 0) {
		expect(q->what, ret, q->want);
	} else {
		expect(q->what, ret, 0);
		check(msg.idiag_state == q->want, "%s: expected state %d, found %d", q->what,
		      q->want, msg.idiag_state);
	}
}

static void expect_tuple(const char *what, const char *here, unsigned int sport, unsigned int dport,
			 int want)
{
	struct question q = { addr(here, sport), addr(here, dport), want, what };

	as_nobody(ask, &q);
}

static void find(int family)
{
	const char *here = loopback(family);
	int server = open_server(here, 30000), peer, client, full, first;

	client = open_socket(family, SOCK_STREAM, 0);
	expect_tuple("free", here, 20000, 30000, -ENOENT);
	expect("bind", try_bind(client, here, 20000), 0);
	expect_tuple("bound only", here, 20000, 30000, -ENOENT);
	expect("connect", try_connect(client, here, 30000), 0);
	peer = accept_one(server);
	expect_tuple("connected", here, 20000, 30000, ESTABLISHED);
	expect_tuple("the other end", here, 30000, 20000, ESTABLISHED);
	expect_tuple("another destination", here, 20000, 30001, -ENOENT);
	close_in_order(client, peer);
	expect_tuple("closed", here, 20000, 30000, TIME_WAIT);
	expect_tuple("closed, the other end", here, 30000, 20000, LISTENING);
	expect_tuple("listening", here, 30000, 1, LISTENING);

	/* A backlog of 0 takes one connection and drops the SYN of the next. */
	full = open_socket(family, SOCK_STREAM, 0);
	expect("bind", try_bind(full, here, 30002), 0);
	expect("listen", try_listen(full, 0), 0);
	first = open_socket(family, SOCK_STREAM, 0);
	expect("connect", try_connect(first, here, 30002), 0);
	client = open_socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	expect("bind", try_bind(client, here, 20001), 0);
	expect("connect", try_connect(client, here, 30002), -EINPROGRESS);
	expect_tuple("connecting", here, 20001, 30002, SYN_SENT);
	close(client);
	close(first);
	close(full);
	close(server);
}

static void find_mapped(void)
{
	int server = open_server("127.0.0.1", 30000), client;

	client = open_socket(AF_INET6, SOCK_STREAM, 0);
	expect("bind", try_bind(client, "::", 20002), 0);
	expect("connect", try_connect(client, "::ffff:127.0.0.1", 30000), 0);
	expect_tuple("mapped, asked as IPv4", "127.0.0.1", 20002, 30000, ESTABLISHED);
	expect_tuple("mapped, asked as IPv6", "::ffff:127.0.0.1", 20002, 30000, ESTABLISHED);
	close(client);
	close(server);
}

int main(void)
{
	begin();
	find(AF_INET);
	find(AF_INET6);
	find_mapped();
	return HOLDS;
}
