/* escapes: which sockets of fenced processes lie outside their range, and who else uses a range; no output. */
#ifndef PORTFENCE_MACHINE_ESCAPES_H
#define PORTFENCE_MACHINE_ESCAPES_H

#include "../core/policy.h"
#include "port_origin.h"
#include "snapshot.h"

#include <stddef.h>
#include <stdint.h>

/* A socket of a fenced process whose port lies outside the range. */
struct escapes_finding {
	const struct sockets_entry *entry;
	const struct process *process; /* the first of those that the range binds */
	const struct fenced *fenced;   /* with a rule */
	const struct process *other; /* with PORT_ORIGIN_INHERITED, one that may have such a port */
	enum port_origin origin;
	const char *why;
};

/* A port of a section's range that a process without a fence has. */
struct escapes_unfenced {
	uint32_t section; /* index */
	const struct process *process;
	enum proto proto;
	uint16_t port;
};

/* A fenced process that cannot be judged. */
struct escapes_unknown {
	struct process process;
	const char *why; /* NULL: it is in another network namespace, or has a broker */
	const struct process *broker; /* not fenced, and may make its sockets; or NULL */
};

struct escapes {
	/* by enum port_origin, process, protocol and port; none is PORT_ORIGIN_ACCEPTED */
	struct escapes_finding *finding;
	size_t findings;
	size_t count[PORT_ORIGIN_COUNT];   /* sockets outside a range, by origin */
	struct escapes_unfenced *unfenced; /* by section, process, protocol and port; each once */
	size_t unfenced_ports;
	struct escapes_unknown *unknown;
	size_t unknowns;
	size_t processes; /* fenced ones that were judged */
	size_t sockets;   /* of theirs */
	size_t unseen;    /* processes that may not be looked at */
};

/* What is to be judged. */
struct escapes_scope {
	const char *app;                 /* only processes fenced by this section; NULL: all */
	pid_t pid;                       /* only this process; 0: all */
	const struct rule *const *rules; /* sections whose ranges nobody else should use */
	uint32_t rule_count;
	struct snapshot *snapshot; /* taken with SOCKETS_SIDES */
};

/**
 * escapes_read() - Judge each socket of each fenced process
 * @ret_escapes:	points into what @scope points to; give it back with escapes_free(), after a
 *		failure, too
 *
 * Return: 0, -ENOMEM, or another -errno if the system's range cannot be read
 */
int escapes_read(const struct escapes_scope *scope, struct escapes *ret_escapes);

/* escapes_free() - Give the memory back */
void escapes_free(struct escapes *escapes);

#endif
