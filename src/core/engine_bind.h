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

/* TCP: does a search take ports that only TIME_WAIT holds, see engine_bind_exclusive()? */
enum engine_bind_time_wait {
	ENGINE_BIND_FREE_ONLY, /* not over TCP */
	ENGINE_BIND_LAST,      /* after every other port */
	ENGINE_BIND_AT_ONCE    /* like every other port */
};

/* One search for a port. */
struct engine_bind {
	const struct socket_calls *calls;
	int fd;
	union addr local; /* what to bind to; its port is written here */
	socklen_t len;
	const struct range *range;
	struct order_walk *walk;
	/* SO_REUSEPORT is known to be off, SO_REUSEADDR to be @reuse_addr, and the network namespace to be this thread's */
	bool fresh;
	bool reuse_addr;
	uint32_t unhinted_tries;   /* so many candidates are tried even if hinted as used */
	struct state_hints *hints; /* NULL: there are none, or they are not wanted */
	enum engine_bind_time_wait time_wait;
	bool in_time_wait; /* set if no port was found, and TIME_WAIT holds some */
	bool pairs; /* UDP: take an even port with a free one behind it, as RTP has them, if there is one */
	bool shared;       /* set if other sockets hold the port, too */
	bool diag_failed;  /* set if a port may be free for the peer, but the kernel does not say */
	uint32_t tried;    /* candidates tried */
	const void *addrs; /* NULL, or SCTP's packed addresses, which are bound in one call */
	socklen_t addrs_size; /* their bytes; @local is the first of them */
};

/**
 * engine_bind_exclusive() - Bind to the first candidate that no socket holds
 *
 * SO_REUSEADDR and SO_REUSEPORT are off while it chooses, and afterwards as the
 * program had them. As @search->time_wait says, a port that only connections in
 * TIME_WAIT hold is taken, too, if the program has set SO_REUSEADDR: its own bind()
 * could take it.
 *
 * Return: 0 and the port in @search->local; -EADDRINUSE when every candidate was
 * tried; -EACCES when every one was refused for lack of privilege; any other -errno
 * is the kernel's answer to bind() itself
 */
int engine_bind_exclusive(struct engine_bind *search);

/**
 * engine_bind_sctp() - Bind an SCTP socket to the first candidate that is free at every address
 *
 * The kernel chooses in the same way. The program can bind other addresses to the
 * same port later. Options are handled as in engine_bind_exclusive().
 *
 * Return: as engine_bind_exclusive(); -ENOMEM where @search->addrs cannot be copied
 */
int engine_bind_sctp(struct engine_bind *search);

/**
 * engine_bind_connect() - Bind a TCP socket to a port from which it can connect to a peer
 * @state:	where claims are held
 * @sources:	cache of source addresses
 * @hinted:	use the hints for this peer; this function sets @search->hints
 * @peer:	destination
 * @ret_claim:	claim on the 4-tuple; give it back with state_release() once the
 *		kernel has registered the connection
 *
 * A port serves one connection to each destination. The socket keeps SO_REUSEADDR,
 * so that others can share its port.
 *
 * Return: as engine_bind_exclusive(); -EADDRNOTAVAIL instead of -EADDRINUSE if
 * @search->diag_failed, as the range may have a free port
 */
int engine_bind_connect(struct engine_bind *search, const struct state *state,
			struct source_addr_cache *sources, bool hinted, const union addr *peer,
			uint64_t *ret_claim);

#endif
