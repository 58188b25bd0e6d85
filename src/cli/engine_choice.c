#include "engine_choice.h"

#include "../core/assign.h"
#include "../core/engine_kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
	const char *name;
	enum proto proto;
	int type;
	int protocol;
} calls[ENGINE_CHOICE_CALLS] = {
	[ENGINE_CHOICE_CONNECT] = { "tcp_connect", PROTO_TCP, SOCK_STREAM, IPPROTO_TCP },
	[ENGINE_CHOICE_TCP] = { "tcp", PROTO_TCP, SOCK_STREAM, IPPROTO_TCP },
	[ENGINE_CHOICE_UDP] = { "udp", PROTO_UDP, SOCK_DGRAM, IPPROTO_UDP },
	[ENGINE_CHOICE_SCTP] = { "sctp", PROTO_SCTP, SOCK_STREAM, IPPROTO_SCTP },
};

const char *engine_choice_call_name(enum engine_choice_call call)
{
	return calls[call].name;
}

enum proto engine_choice_proto(enum engine_choice_call call)
{
	return calls[call].proto;
}

/* Has the kernel the option? Where there is no such protocol, nobody will miss it. */
static bool has_option(int type, int protocol)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
	socklen_t len = sizeof(uint32_t);
	uint32_t value;
	bool has;

	if (fd < 0)
		return true;
	has = !getsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, &len);
	close(fd);
	return has;
}

/* Would the kernel keep to the range? @ret_why is set in both cases. */
static bool kernel_keeps(const struct range *range, int type, int protocol, struct reason *ret_why)
{
	int rc = engine_kernel_judge(range, ret_why);

	if (rc == -ERANGE)
		return false;
	if (rc)
		return reason_fail(false, ret_why, "the system's own range cannot be read (%s)",
				   strerror(-rc));
	if (!has_option(type, protocol))
		return reason_fail(false, ret_why, "this kernel has no IP_LOCAL_PORT_RANGE for %s",
				   protocol == IPPROTO_MPTCP
					   ? "mptcp"
					   : policy_proto_name(policy_proto(protocol)));
	return reason_fail(
		true, ret_why,
		"%d-%d is one interval within the system's ephemeral range and no port of it is "
		"reserved",
		range_first(range), range_last(range));
}

void engine_choice_make(const struct rule *rule, enum engine_choice_call call,
			struct engine_choice *ret_choice)
{
	struct engine_choice choice = { .engine = ENGINE_BIND };
	struct reason kernel_why;
	bool serves;

	if (assign_wants_kernel(rule, call == ENGINE_CHOICE_CONNECT, &choice.why)) {
		serves = kernel_keeps(rule->range[calls[call].proto], calls[call].type,
				      calls[call].protocol, &kernel_why);
		if (serves)
			choice.engine = ENGINE_KERNEL;
		else if (rule->engine == ENGINE_KERNEL)
			choice.engine = ENGINE_AUTO;
		/* an engine that was asked for, and serves, needs no other reason */
		if (!serves || rule->engine == ENGINE_AUTO)
			choice.why = kernel_why;
	}
	*ret_choice = choice;
}

bool engine_choice_unserved(const struct rule *rule, unsigned protos, enum proto *ret_proto,
			    struct engine_choice *ret_choice)
{
	int call;

	for (call = 0; rule->engine == ENGINE_KERNEL && call < ENGINE_CHOICE_CALLS; call++) {
		*ret_proto = calls[call].proto;
		if (!(protos & 1U << *ret_proto))
			continue;
		engine_choice_make(rule, (enum engine_choice_call)call, ret_choice);
		if (ret_choice->engine == ENGINE_AUTO)
			return true;
	}
	return false;
}

void engine_choice_describe(const struct rule *rule, char ret_text[ENGINE_CHOICE_TEXT])
{
	struct engine_choice connect, other;

	engine_choice_make(rule, ENGINE_CHOICE_CONNECT, &connect);
	engine_choice_make(rule, ENGINE_CHOICE_TCP, &other);
	if (connect.engine == other.engine)
		snprintf(ret_text, ENGINE_CHOICE_TEXT, "every call gets the %s engine, as %s",
			 policy_engine_name(connect.engine), connect.why.text);
	else
		snprintf(ret_text, ENGINE_CHOICE_TEXT,
			 "tcp connects get the %s engine, as %s; other tcp calls, udp and sctp get "
			 "the %s engine, as %s",
			 policy_engine_name(connect.engine), connect.why.text,
			 policy_engine_name(other.engine), other.why.text);
}

bool engine_choice_mptcp(const struct rule *rule, char ret_text[ENGINE_CHOICE_TEXT])
{
	static const char *const becomes[] = {
		[MPTCP_TCP] = "are made plain tcp",
		[MPTCP_REFUSE] = "are refused",
		[MPTCP_ALLOW] = "are allowed",
	};
	struct reason why;
	const bool keeps = kernel_keeps(rule->range[PROTO_TCP], SOCK_STREAM, IPPROTO_MPTCP, &why);

	if (keeps)
		snprintf(ret_text, ENGINE_CHOICE_TEXT,
			 "further subflows of mptcp sockets stay in the range");
	else
		snprintf(ret_text, ENGINE_CHOICE_TEXT,
			 "mptcp sockets %s, as their further subflows %s leave the range: %s",
			 becomes[rule->mptcp], rule->mptcp == MPTCP_ALLOW ? "may" : "would",
			 why.text);
	return keeps;
}
