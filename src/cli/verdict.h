/* verdict: which sockets of fenced processes lie outside their range, and who sits in one; no output. */
#ifndef PORTFENCE_CLI_VERDICT_H
#define PORTFENCE_CLI_VERDICT_H

#include "fenced.h"
#include "origin.h"
#include "processes.h"
#include "sections.h"
#include "sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket of a fenced process whose port lies outside the range. */
struct verdict_finding {
	const struct sockets_entry *entry;
	const struct process *process; /* of those that the range binds, the first that had it */
	const struct fenced *fenced;   /* with a rule */
	const struct process *other;   /* with ORIGIN_INHERITED, who may have such a port */
	enum origin origin;
	const char *why;
};

/* A port of a section's range that a process has which is not fenced. */
struct verdict_squatter {
	uint32_t section; /* index */
	const struct process *process;
	enum proto proto;
	uint16_t port;
};

/* A fenced process on which nothing can be said. */
struct verdict_doubt {
	struct process process;
	const char *why; /* NULL: it lives in another network namespace */
};

struct verdict {
	struct verdict_finding
		*finding; /* by enum origin, process, protocol, port; none is ACCEPTED */
	size_t findings;
	size_t count[ORIGIN_COUNT]; /* findings of each kind; of ORIGIN_ACCEPTED, sockets passed over */
	struct verdict_squatter *squatter; /* by section, process, protocol, port; none twice */
	size_t squatters;
	struct verdict_doubt *doubt;
	size_t doubts;
	size_t processes; /* fenced ones that were looked at */
	size_t sockets;   /* of theirs */
	size_t unseen;    /* processes that may not be looked at */
};

/* What is to be audited, and what was seen. */
struct verdict_scope {
	const char *app;                 /* only processes fenced by this section; NULL: all */
	pid_t pid;                       /* only this process; 0: all */
	const struct sections *sections; /* whose ranges nobody else should sit in */
	const struct sockets *sockets;   /* read with SOCKETS_SIDES */
	const struct processes *processes;
	struct fenced_looks *looks;
};

/**
 * verdict_read() - Judge each socket of each fenced process
 * @ret_verdict:	points into what @scope points to; give it back with verdict_free(), after a
 *		failure, too
 *
 * Return: 0, -ENOMEM, or another -errno if the system's range cannot be read
 */
int verdict_read(const struct verdict_scope *scope, struct verdict *ret_verdict);

/* verdict_free() - Give the memory back */
void verdict_free(struct verdict *verdict);

#endif
