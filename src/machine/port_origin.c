#include "port_origin.h"

#define DNS 53

static bool is_accepted(const struct port_origin_evidence *evidence)
{
	const struct sockets_entry *entry = evidence->entry;

	if (entry->side != SOCKETS_SIDE_UNKNOWN)
		return entry->side == SOCKETS_ACCEPTED;
	/* of SCTP, and of TCP before Linux 4.19, the kernel does not tell */
	return evidence->listener && sockets_proto(entry) != PROTO_UDP &&
	       entry->state != SOCKETS_LISTEN && entry->remote_port;
}

static const char *explain_escape(const struct port_origin_evidence *evidence)
{
	if (evidence->ephemeral && evidence->entry->remote_port == DNS)
		return "probably a DNS query that libc makes by itself, which no preload reaches";
	if (!evidence->ephemeral)
		return "the program bypassed the fence to bind it, as its 'bind' does not allow it";
	if (evidence->rule->bind == BIND_ALLOW)
		return "the kernel chose it, unless the program named just this port";
	return "the kernel chose it, or the program bypassed the fence to bind it";
}

enum port_origin port_origin_find(const struct port_origin_evidence *evidence, const char **ret_why)
{
	const struct rule *rule = evidence->rule;

	if (evidence->inherited) {
		*ret_why = "a process that the range does not bind holds it as well";
		return PORT_ORIGIN_INHERITED;
	}
	if (is_accepted(evidence)) {
		*ret_why = "the port is its listener's";
		return PORT_ORIGIN_ACCEPTED;
	}
	if (evidence->ephemeral && rule->exhausted == EXHAUSTED_SYSTEM) {
		*ret_why = "'exhausted = system' allows it";
		return PORT_ORIGIN_FALLBACK;
	}
	if (rule->bind == BIND_ALLOW && !evidence->ephemeral) {
		*ret_why = "the kernel never chooses such a port, so the program named it";
		return PORT_ORIGIN_EXPLICIT;
	}
	if (rule->bind == BIND_ALLOW && evidence->entry->state == SOCKETS_LISTEN) {
		*ret_why = "it listens, so the program named the port";
		return PORT_ORIGIN_EXPLICIT;
	}
	*ret_why = explain_escape(evidence);
	return PORT_ORIGIN_ESCAPE;
}

const char *port_origin_name(enum port_origin origin)
{
	static const char *const names[PORT_ORIGIN_COUNT] = {
		[PORT_ORIGIN_ESCAPE] = "escape",     [PORT_ORIGIN_EXPLICIT] = "explicit",
		[PORT_ORIGIN_FALLBACK] = "fallback", [PORT_ORIGIN_INHERITED] = "inherited",
		[PORT_ORIGIN_ACCEPTED] = "accepted",
	};

	return names[origin];
}
