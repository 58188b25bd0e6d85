/* escapes: which sockets of fenced processes lie outside their range, and who sits in one; no output. */
#ifndef PORTFENCE_MACHINE_ESCAPES_H
#define PORTFENCE_MACHINE_ESCAPES_H

#include "../core/policy.h"
#include "fenced.h"
#include "port_origin.h"
#include "processes.h"
#include "sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket of a fenced process whose port lies outside the range. */
struct escapes_finding {
	const struct sockets_entry *entry;
	const struct process *process; /* of those that the range binds, the first that had it */
	const struct fenced *fenced;   /* with a rule */
	const struct process *other;   /* with PORT_ORIGIN_INHERITED, who may have such a port */
	enum port_origin origin;
	const char *why;
};

/* A port of a section's range that a process has which is not fenced. */
struct escapes_squatter {
	uint32_t section; /* index */
	const struct process *process;
	enum proto proto;
	uint16_t port;
};

/* A fenced process on which nothing can be said. */
struct escapes_doubt {
	struct process process;
	const char *why; /* NULL: it lives in another network namespace */
};

struct escapes {
	struct escapes_finding
		*finding; /* by enum port_origin, process, protocol, port; none is ACCEPTED */
	size_t findings;
	size_t count[PORT_ORIGIN_COUNT]; /* findings of each kind; of PORT_ORIGIN_ACCEPTED, sockets passed over */
	struct escapes_squatter *squatter; /* by section, process, protocol, port; none twice */
	size_t squatters;
	struct escapes_doubt *doubt;
	size_t doubts;
	size_t processes; /* fenced ones that were looked at */
	size_t sockets;   /* of theirs */
	size_t unseen;    /* processes that may not be looked at */
};

/* What is to be audited, and what was seen. */
struct escapes_scope {
	const char *app;                 /* only processes fenced by this section; NULL: all */
	pid_t pid;                       /* only this process; 0: all */
	const struct rule *const *rules; /* sections whose ranges nobody else should sit in */
	size_t rule_count;
	const struct sockets *sockets; /* read with SOCKETS_SIDES */
	const struct processes *processes;
	struct fenced_looks *looks;
};

/**
 * escapes_read() - Judge each socket of each fenced process
 * @ret_verdict:	points into what @scope points to; give it back with escapes_free(), after a
 *		failure, too
 *
 * Return: 0, -ENOMEM, or another -errno if the system's range cannot be read
 */
int escapes_read(const struct escapes_scope *scope, struct escapes *ret_verdict);

/* escapes_free() - Give the memory back */
void escapes_free(struct escapes *verdict);

#endif
