/* outcome: what can become of a call that needs a port, and the words for it; it decides nothing. */
#ifndef PORTFENCE_CORE_OUTCOME_H
#define PORTFENCE_CORE_OUTCOME_H

#include <stdbool.h>

/* All but the first two make the call fail. */
enum outcome {
	OUTCOME_FINE,      /* it has its port, or needs none */
	OUTCOME_FELL_BACK, /* the range has no port left, the system's is used (`exhausted = system`) */
	OUTCOME_EXHAUSTED,      /* the range has no port left for this call */
	OUTCOME_TIME_WAIT,      /* likewise, and connections in TIME_WAIT hold ports of the range */
	OUTCOME_REFUSED,        /* an explicit bind that `bind =` does not allow */
	OUTCOME_CLOSED,         /* there is no valid configuration */
	OUTCOME_KERNEL_UNFIT,   /* `engine = kernel`, and the kernel would not keep to the range */
	OUTCOME_SOCKET_UNKNOWN, /* the kernel does not say what the socket is */
	OUTCOME_DIAG_FAILED, /* the kernel does not say whether a port that is taken can be shared */
	OUTCOME_FORBIDDEN, /* no port could be bound, for another reason than that all are taken */
	OUTCOME_ESCAPED,   /* the kernel did not keep to the range; the call was undone */
	OUTCOME_MPTCP,     /* the kernel would let further subflows leave the range */
	OUTCOME_COUNT
};

/* Has the range no port left for the call, which fails? */
static inline bool outcome_is_exhausted(enum outcome outcome)
{
	return outcome == OUTCOME_EXHAUSTED || outcome == OUTCOME_TIME_WAIT;
}

/* Constant. */
struct outcome_words {
	const char *problem; /* in the call's own line of the log and the record; an interface */
	const char *level;   /* of the message, "error" or "warning" */
	const char *
		message; /* told once in a process; NULL: nothing, or the configuration's mistake */
};

/* outcome_words() - How an outcome is told */
const struct outcome_words *outcome_words(enum outcome outcome);

#endif
