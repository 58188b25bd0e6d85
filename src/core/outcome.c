#include "outcome.h"

#include <stddef.h>

static const struct outcome_words table[OUTCOME_COUNT] = {
	/* where the port cannot be read back */
	[OUTCOME_FINE] = { "no port may be bound", NULL, NULL },
	[OUTCOME_FELL_BACK] = { "no port left", "warning",
				"no port is left in the range, ports of the system's range are used "
				"('exhausted = system')" },
	[OUTCOME_EXHAUSTED] = { "no port left", NULL, NULL },
	[OUTCOME_TIME_WAIT] = { "no port left, TIME_WAIT holds some", "warning",
				"no port is left in the range, as closed connections hold some in "
				"TIME_WAIT for a minute; a server can take those with SO_REUSEADDR, "
				"all else needs a larger range" },
	[OUTCOME_REFUSED] = { "explicit bind refused", NULL, NULL },
	[OUTCOME_CLOSED] = { "no valid configuration", "error", NULL },
	[OUTCOME_KERNEL_UNFIT] = { "the kernel engine cannot serve", "error",
				   "'engine = kernel' cannot serve, as the kernel has no "
				   "IP_LOCAL_PORT_RANGE for the protocol, the range is not within "
				   "ip_local_port_range, some of it is reserved, or /proc cannot be read; "
				   "calls that need a port fail, use 'engine = auto'" },
	[OUTCOME_SOCKET_UNKNOWN] = { "the kernel does not tell what the socket is", "error",
				     "the kernel does not tell what a socket is, calls that need a "
				     "port fail; does a sandbox forbid getsockname and getsockopt?" },
	[OUTCOME_DIAG_FAILED] = { "no port could be shared", "error",
				  "the kernel could not be asked whether a port can be shared, so each "
				  "serves one connection only; this takes AF_NETLINK, a descriptor to "
				  "spare, and a supervisor in the same network namespace" },
	[OUTCOME_FORBIDDEN] = { "no port may be bound", "error",
				"no port of the range could be bound, calls that need one fail; does "
				"a sandbox forbid bind, or does the range need CAP_NET_BIND_SERVICE?" },
	[OUTCOME_ESCAPED] = { "the kernel left the range, call undone", "error",
			      "the system's ip_local_port_range was changed and the kernel left the "
			      "range; the call was undone, and ports are bound from now on" },
	[OUTCOME_MPTCP] = { "mptcp subflows would leave the range", "error",
			    "the kernel would let further subflows of an mptcp socket leave the range, "
			    "calls that need a port on it fail; use a range within ip_local_port_range, "
			    "of which nothing is reserved, or 'mptcp = allow'" },
};

const struct outcome_words *outcome_words(enum outcome outcome)
{
	return &table[outcome];
}
