/* engine_bind: chooses the port itself and binds the socket to it; it knows no rule and no order. */
#ifndef PORTFENCE_CORE_ENGINE_BIND_H
#define PORTFENCE_CORE_ENGINE_BIND_H

#include "addr.h"
#include "order.h"
#include "range.h"
#include "socket_calls.h"
#include "source_addr.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>

/* One search for a port. */
struct engine_bind {
	const struct socket_calls *calls;
	int fd;
	union addr local; /* what to bind to; its port is written here */
	socklen_t len;
	const struct range *range;
	struct order_walk *walk;
	bool fresh;                /* SO_REUSEADDR and SO_REUSEPORT are known to be off */
	uint32_t blind;            /* candidates that are tried whatever the hints say */
	struct state_hints *hints; /* NULL: none are to be had, or they are not wanted */
	bool again;                /* exclusive: TCP, and see there */
	bool shared;               /* set where the port is others', too */
	bool unsure;          /* set where a port may be free for the peer, but nobody says so */
	uint32_t tried;       /* candidates tried */
	const void *addrs;    /* NULL, or SCTP's packed addresses, which are bound in one call */
	socklen_t addrs_size; /* and @local is the first of them */
};

/**
 * engine_bind_exclusive() - Bind to the first candidate that no socket holds
 *
 * SO_REUSEADDR and SO_REUSEPORT are off while it chooses and as the program
 * had them afterwards. With @search->again, a port on which nothing but connections
 * in TIME_WAIT stand counts as held by none, if the program has set SO_REUSEADDR
 * and its own bind() could take it.
 *
 * Return: 0 and the port in @search->local; -EADDRINUSE when every candidate was
 * tried; -EACCES when all of them were refused for want of privilege; any other
 * -errno is the kernel's answer to the bind itself
 */
int engine_bind_exclusive(struct engine_bind *search);

/**
 * engine_bind_sctp() - Bind an SCTP socket to the first candidate that no socket holds at any address
 *
 * So the kernel chooses, and so the program can bind its other addresses to the
 * same port later. Options are as above.
 *
 * Return: as above; -ENOMEM where @search->addrs cannot be copied
 */
int engine_bind_sctp(struct engine_bind *search);

/**
 * engine_bind_connect() - Bind a TCP socket to a port from which it can connect to a peer
 * @state:	where claims are held
 * @sources:	what is remembered of source addresses
 * @hinted:	use the hints for this destination; @search->hints is set by this function
 * @peer:	destination
 * @ret_claim:	claim on the 4-tuple; give it back with state_release() once the
 *		kernel has registered the connection
 *
 * A port serves one connection to each destination. The socket is left with
 * SO_REUSEADDR, so that others can share its port in their turn.
 *
 * Return: as above; -EADDRNOTAVAIL instead of -EADDRINUSE where the kernel could not be
 * asked about some port (@search->unsure), so that the range may not be used up
 */
int engine_bind_connect(struct engine_bind *search, const struct state *state,
			struct source_addr_cache *sources, bool hinted, const union addr *peer,
			uint64_t *ret_claim);

#endif
