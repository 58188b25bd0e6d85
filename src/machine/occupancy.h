/* occupancy: how much of a section's range is in use, and who has it; it prints nothing. */
#ifndef PORTFENCE_MACHINE_OCCUPANCY_H
#define PORTFENCE_MACHINE_OCCUPANCY_H

#include "../core/policy.h"
#include "snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ports of TCP, UDP and SCTP are three spaces: each protocol is counted by itself. */
struct occupancy_proto {
	const struct range *range;
	bool *used;       /* by index of the port in the range */
	uint32_t ports;   /* in use */
	uint32_t waiting; /* of these, in TIME_WAIT and nothing else */
	size_t sockets;
	size_t destinations;                 /* that something is connected to */
	const struct sockets_entry *fullest; /* a socket to the one with the most ports, or NULL */
	uint32_t fullest_ports;
};

enum occupancy_kind {
	OCCUPANCY_PROCESS,
	OCCUPANCY_TIME_WAIT, /* no process holds the port any more */
	OCCUPANCY_NOBODY,    /* no process does, as it is being closed, or waits to be accepted */
	OCCUPANCY_UNSEEN,    /* a process that cannot be seen */
};

/* Who has ports of the range. A port that several processes share counts for each. */
struct occupancy_holder {
	enum occupancy_kind kind;
	const struct process *process; /* with OCCUPANCY_PROCESS */
	const struct fenced *fenced;   /* of the process */
	bool outside;                  /* the process is not fenced by this section */
	uint32_t uid;                  /* with OCCUPANCY_UNSEEN, of the sockets */
	uint32_t ports[PROTO_COUNT];
	uint32_t total;
	uint32_t last; /* protocol and port that were counted last: each counts once */
};

struct occupancy {
	const struct rule *rule;
	struct occupancy_proto proto[PROTO_COUNT];
	struct occupancy_holder *holder; /* by kind, then those with the most ports first */
	size_t holders;
	uint32_t outside; /* ports of processes that are not fenced by this section */
};

/**
 * occupancy_read() - Find out who uses a section's range
 * @rule:	the section; one without a name is any rule's whose range overlaps its own
 * @ret_occupancy:	points into the other arguments; give it back with occupancy_free(), after a
 *		failure, too
 *
 * Return: 0, -ENOMEM
 */
int occupancy_read(const struct rule *rule, struct snapshot *snapshot,
		   struct occupancy *ret_occupancy);

/* occupancy_free() - Give the memory back */
void occupancy_free(struct occupancy *occupancy);

#endif
