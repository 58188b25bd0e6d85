#include "origin.h"

#define DNS 53

static bool is_accepted(const struct origin_evidence *evidence)
{
	const struct sockets_entry *entry = evidence->entry;

	if (entry->side != SOCKETS_SIDE_UNKNOWN)
		return entry->side == SOCKETS_ACCEPTED;
	/* of SCTP, and of TCP before Linux 4.19, the kernel does not tell */
	return evidence->listener && sockets_proto(entry) != PROTO_UDP &&
	       entry->state != SOCKETS_LISTEN && entry->remote_port;
}

static const char *explain_escape(const struct origin_evidence *evidence)
{
	if (evidence->ephemeral && evidence->entry->remote_port == DNS)
		return "a DNS query that libc makes inside itself, as it seems, which no preload reaches";
	if (!evidence->ephemeral)
		return "the program has bound it past the fence, as its 'bind' does not allow it";
	if (evidence->rule->bind == BIND_ALLOW)
		return "the kernel chose it, unless the program named just this port";
	return "the kernel chose it, or the program has bound it past the fence";
}

enum origin origin_find(const struct origin_evidence *evidence, const char **ret_why)
{
	const struct rule *rule = evidence->rule;

	if (evidence->inherited) {
		*ret_why = "a process that the range does not bind holds it as well";
		return ORIGIN_INHERITED;
	}
	if (is_accepted(evidence)) {
		*ret_why = "the port is its listener's";
		return ORIGIN_ACCEPTED;
	}
	if (evidence->ephemeral && rule->exhausted == EXHAUSTED_SYSTEM) {
		*ret_why = "'exhausted = system' allows it";
		return ORIGIN_FALLBACK;
	}
	if (rule->bind == BIND_ALLOW && !evidence->ephemeral) {
		*ret_why = "the kernel gives out no such port, so the program named it";
		return ORIGIN_EXPLICIT;
	}
	if (rule->bind == BIND_ALLOW && evidence->entry->state == SOCKETS_LISTEN) {
		*ret_why = "it listens, so the program named the port";
		return ORIGIN_EXPLICIT;
	}
	*ret_why = explain_escape(evidence);
	return ORIGIN_ESCAPE;
}

const char *origin_name(enum origin origin)
{
	static const char *const names[ORIGIN_COUNT] = {
		[ORIGIN_ESCAPE] = "escape",     [ORIGIN_EXPLICIT] = "explicit",
		[ORIGIN_FALLBACK] = "fallback", [ORIGIN_INHERITED] = "inherited",
		[ORIGIN_ACCEPTED] = "accepted",
	};

	return names[origin];
}
