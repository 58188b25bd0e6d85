/* port_origin: what a port outside the range is judged to be. */
#include "../../src/machine/port_origin.h"
#include "unit.h"

#include <netinet/in.h>

struct origin_case {
	uint8_t protocol;
	uint8_t state;
	enum sockets_side side;
	uint16_t remote_port;
	bool ephemeral, listener, inherited;
	enum bind_policy bind;
	enum exhausted exhausted;
	enum port_origin want;
	const char *what;
};

static enum port_origin find(const struct origin_case *one, const char **ret_why)
{
	const struct rule rule = { .name = "app", .bind = one->bind, .exhausted = one->exhausted };
	const struct sockets_entry entry = {
		.protocol = one->protocol,
		.state = one->state,
		.side = (uint8_t)one->side,
		.remote_port = one->remote_port,
	};
	const struct port_origin_evidence evidence = {
		.entry = &entry,
		.rule = &rule,
		.inherited = one->inherited,
		.listener = one->listener,
		.ephemeral = one->ephemeral,
	};

	*ret_why = NULL;
	return port_origin_find(&evidence, ret_why);
}

static void check(const struct origin_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const char *why;
		enum port_origin got = find(&cases[i], &why);

		CHECK(got == cases[i].want, "%s: got '%s', want '%s'", cases[i].what,
		      port_origin_name(got), port_origin_name(cases[i].want));
		CHECK(why && *why, "%s: there is a reason", cases[i].what);
	}
}

#define CHECK_CASES(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

/* ---- groups ---- */

static void escapes(void)
{
	static const struct origin_case cases[] = {
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_ESTABLISHED,
		  .side = SOCKETS_CONNECTED,
		  .remote_port = 80,
		  .ephemeral = true,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "a connection that this end made" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_SYN_SENT,
		  .side = SOCKETS_CONNECTED,
		  .remote_port = 80,
		  .ephemeral = true,
		  .listener = true,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "a listener on that port does not excuse who connected" },
		{ .protocol = IPPROTO_UDP,
		  .state = SOCKETS_ESTABLISHED,
		  .remote_port = 53,
		  .ephemeral = true,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "a DNS query" },
		{ .protocol = IPPROTO_UDP,
		  .state = SOCKETS_CLOSE,
		  .ephemeral = true,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "UDP, not connected" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_CLOSE,
		  .ephemeral = true,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "TCP, only bound" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_LISTEN,
		  .ephemeral = true,
		  .bind = BIND_OWN,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "a listener that 'bind = own' does not allow" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_LISTEN,
		  .bind = BIND_DENY,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "one that 'bind = deny' does not allow, on a port of nobody's" },
	};

	CHECK_CASES(cases);
}

static void explicit_binds(void)
{
	static const struct origin_case cases[] = {
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_LISTEN,
		  .want = PORT_ORIGIN_EXPLICIT,
		  .what = "a listener" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_LISTEN,
		  .ephemeral = true,
		  .want = PORT_ORIGIN_EXPLICIT,
		  .what = "a listener on a port that the kernel gives out" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_ESTABLISHED,
		  .side = SOCKETS_CONNECTED,
		  .remote_port = 80,
		  .want = PORT_ORIGIN_EXPLICIT,
		  .what = "a connection from a port that the kernel does not give out" },
		{ .protocol = IPPROTO_UDP,
		  .state = SOCKETS_CLOSE,
		  .want = PORT_ORIGIN_EXPLICIT,
		  .what = "UDP on a port that the kernel does not give out" },
	};

	CHECK_CASES(cases);
}

static void accepted_connections(void)
{
	static const struct origin_case cases[] = {
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_ESTABLISHED,
		  .side = SOCKETS_ACCEPTED,
		  .remote_port = 50000,
		  .ephemeral = true,
		  .want = PORT_ORIGIN_ACCEPTED,
		  .what = "the other end connected, the listener is gone" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_CLOSE_WAIT,
		  .side = SOCKETS_ACCEPTED,
		  .remote_port = 50000,
		  .bind = BIND_DENY,
		  .want = PORT_ORIGIN_ACCEPTED,
		  .what = "'bind = deny' does not matter to it" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_ESTABLISHED,
		  .remote_port = 50000,
		  .ephemeral = true,
		  .listener = true,
		  .want = PORT_ORIGIN_ACCEPTED,
		  .what = "the kernel does not tell who connected, and there is a listener" },
		{ .protocol = IPPROTO_SCTP,
		  .state = SOCKETS_ESTABLISHED,
		  .remote_port = 50000,
		  .listener = true,
		  .want = PORT_ORIGIN_ACCEPTED,
		  .what = "likewise over SCTP" },
		{ .protocol = IPPROTO_UDP,
		  .state = SOCKETS_ESTABLISHED,
		  .remote_port = 50000,
		  .ephemeral = true,
		  .listener = true,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "nobody accepts over UDP" },
	};

	CHECK_CASES(cases);
}

static void allowed_otherwise(void)
{
	static const struct origin_case cases[] = {
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_ESTABLISHED,
		  .side = SOCKETS_CONNECTED,
		  .remote_port = 80,
		  .ephemeral = true,
		  .inherited = true,
		  .want = PORT_ORIGIN_INHERITED,
		  .what = "somebody else's connection" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_LISTEN,
		  .bind = BIND_DENY,
		  .inherited = true,
		  .want = PORT_ORIGIN_INHERITED,
		  .what = "somebody else's listener" },
		{ .protocol = IPPROTO_TCP,
		  .state = SOCKETS_ESTABLISHED,
		  .side = SOCKETS_CONNECTED,
		  .remote_port = 80,
		  .ephemeral = true,
		  .exhausted = EXHAUSTED_SYSTEM,
		  .want = PORT_ORIGIN_FALLBACK,
		  .what = "'exhausted = system'" },
		{ .protocol = IPPROTO_UDP,
		  .state = SOCKETS_CLOSE,
		  .exhausted = EXHAUSTED_SYSTEM,
		  .want = PORT_ORIGIN_EXPLICIT,
		  .what = "'exhausted = system' gives no port that the kernel does not give out" },
		{ .protocol = IPPROTO_UDP,
		  .state = SOCKETS_CLOSE,
		  .exhausted = EXHAUSTED_SYSTEM,
		  .bind = BIND_OWN,
		  .want = PORT_ORIGIN_ESCAPE,
		  .what = "nor does 'bind = own' with it" },
	};

	CHECK_CASES(cases);
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "escapes", escapes },
		{ "explicit-binds", explicit_binds },
		{ "accepted-connections", accepted_connections },
		{ "allowed-otherwise", allowed_otherwise },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
