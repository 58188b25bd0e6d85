/* port_origin: how a socket came by a port outside its range, from what can be seen; pure. */
#ifndef PORTFENCE_MACHINE_PORT_ORIGIN_H
#define PORTFENCE_MACHINE_PORT_ORIGIN_H

#include "../core/policy.h"
#include "sockets.h"

#include <stdbool.h>

enum port_origin {
	PORT_ORIGIN_ESCAPE,    /* as far as can be told, nobody but the kernel chose it */
	PORT_ORIGIN_EXPLICIT,  /* the program named the port, which `bind = allow` lets it */
	PORT_ORIGIN_FALLBACK,  /* `exhausted = system` lets the kernel choose */
	PORT_ORIGIN_INHERITED, /* made by a process that the range does not bind */
	PORT_ORIGIN_ACCEPTED,  /* the port is its listener's; nothing was assigned */
	PORT_ORIGIN_COUNT
};

/* What is known of a socket of a fenced process whose port lies outside the range. */
struct port_origin_evidence {
	const struct sockets_entry *entry;
	const struct rule *rule; /* of the process */
	bool inherited;          /* a process that may have such a port holds it too */
	bool listener;           /* somebody listens on this port */
	bool ephemeral;          /* it is one that the kernel gives out (ip_local_port_range) */
};

/**
 * port_origin_find() - Judge the evidence
 * @ret_why:	the reason, for a reader
 *
 * No kernel tells from outside whether a program bound a socket or the kernel
 * did. But it chooses from its ephemeral range alone, and what listens has
 * nearly always been bound on purpose.
 */
enum port_origin port_origin_find(const struct port_origin_evidence *evidence,
				  const char **ret_why);

/* port_origin_name() - "escape", "explicit", "fallback", "inherited" or "accepted" */
const char *port_origin_name(enum port_origin origin);

#endif
