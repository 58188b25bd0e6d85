/* fdcache: what is remembered of descriptors, so that the kernel need not be asked; no port. */
#ifndef PORTFENCE_SHIM_FDCACHE_H
#define PORTFENCE_SHIM_FDCACHE_H

#include "../core/policy.h"
#include "../core/source_addr.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The settled and the foreign states must be right: on them a call gets no port. The other states are
 * hints. If one is wrong, the bind that follows fails, and the kernel is asked.
 */
enum fdcache_state {
	FDCACHE_UNKNOWN,     /* ask the kernel */
	FDCACHE_SETTLED,     /* a socket through which no send needs a port from us */
	FDCACHE_SETTLED_UDP, /* a UDP socket through which no send and no connect needs one */
	FDCACHE_BOUND,       /* a hint: bind() has given it a port, for good */
	FDCACHE_RECEIVED,    /* came with a message; else ask the kernel */
	FDCACHE_KEPT, /* a hint: a UDP socket that keeps a port outside the range, as long as it is connected or shared */
	FDCACHE_FOREIGN,          /* a socket that is not IPv4 or IPv6 */
	FDCACHE_FOREIGN_WHOLE,    /* such a socket that sends a message whole or not at all */
	FDCACHE_FOREIGN_NONBLOCK, /* such a socket that does not wait (O_NONBLOCK) */
	FDCACHE_TCP4,             /* a hint: fresh, see assign.h */
	FDCACHE_TCP6,
	FDCACHE_UDP4,
	FDCACHE_UDP6,
	FDCACHE_TCP4_REUSE, /* the same, but SO_REUSEADDR is on */
	FDCACHE_TCP6_REUSE,
};

/* Is this one of the settled states? */
static inline bool fdcache_is_settled(enum fdcache_state state)
{
	return state == FDCACHE_SETTLED || state == FDCACHE_SETTLED_UDP;
}

/* Is this one of the foreign states? */
static inline bool fdcache_is_foreign(enum fdcache_state state)
{
	return state >= FDCACHE_FOREIGN && state <= FDCACHE_FOREIGN_NONBLOCK;
}

/* The cache of one process; NULL where nothing is to be remembered. Atomics. */
struct fdcache;

/* fdcache_start() - The cache, which makes no system call before there is something to remember */
struct fdcache *fdcache_start(void);

/* fdcache_prepare() - Take the memory now that the cache may need: a filter may forbid it later. Keeps errno. */
void fdcache_prepare(struct fdcache *cache);

/*
 * fdcache_trust_hints() - Somebody else checks what a foreign descriptor is
 *
 * So it may be noted without asking which process this is, see fdcache_note_foreign(). Call it before
 * there is any socket.
 */
void fdcache_trust_hints(void);

/*
 * fdcache_sources() - Where the source addresses of this process's connections are kept; NULL: nowhere yet
 *
 * Fresh sockets are remembered there without their network namespace, so a child may not inherit it: it may be in
 * another one.
 */
struct source_addr_cache *fdcache_sources(struct fdcache *cache);

/* fdcache_get() - What is remembered of a descriptor */
enum fdcache_state fdcache_get(const struct fdcache *cache, int fd);

/* fdcache_note_new() - socket() or socketpair() has made @fd; its arguments */
void fdcache_note_new(struct fdcache *cache, int fd, int domain, int type, int protocol);

/**
 * fdcache_note_foreign() - @fd is a number of a socket that is not IPv4 or IPv6
 * @state:	one of the foreign states
 *
 * Asks the kernel which process this is, unless fdcache_trust_hints() was called. Where a filter may
 * forbid the question, the number is forgotten.
 */
void fdcache_note_foreign(struct fdcache *cache, int fd, enum fdcache_state state);

/* fdcache_note_nonblock() - fcntl() has set whether @fd waits */
void fdcache_note_nonblock(struct fdcache *cache, int fd, bool nonblock);

/* fdcache_note_reuse() - setsockopt() has set SO_REUSEADDR on @fd */
void fdcache_note_reuse(struct fdcache *cache, int fd, bool on);

/* fdcache_note_bound() - The program has bound @fd to a port that it named, and that the socket has now */
void fdcache_note_bound(struct fdcache *cache, int fd, uint16_t port);

/* fdcache_note_received() - @fd came with a message */
void fdcache_note_received(struct fdcache *cache, int fd);

/* fdcache_port() - The port with which a settled, bound or kept socket was noted, in host byte order; else 0 */
uint16_t fdcache_port(const struct fdcache *cache, int fd);

/**
 * fdcache_ask() - The kernel is about to be asked about a descriptor
 * @mark:	tells who asks: an address on the stack, of an int
 */
void fdcache_ask(struct fdcache *cache, int fd, const void *mark);

/**
 * fdcache_settle() - Remember what the kernel has said
 * @state:	FDCACHE_KEPT, or one of the settled or foreign states
 * @port:	that the socket has, in host byte order
 * @mark:	as given to fdcache_ask(); if the number was forgotten since, so is the answer
 */
void fdcache_settle(struct fdcache *cache, int fd, enum fdcache_state state, uint16_t port,
		    const void *mark);

/* fdcache_forget() - The number means a new socket, or the socket is no longer fresh */
void fdcache_forget(struct fdcache *cache, int fd);

/*
 * fdcache_replace() - The number, which may be in use, comes to mean another socket
 *
 * Call it before and after: other threads may be asking the kernel meanwhile.
 */
void fdcache_replace(struct fdcache *cache, int fd);

/* fdcache_dissolve() - Some socket may lose its port; call it before and after */
void fdcache_dissolve(struct fdcache *cache);

/*
 * fdcache_disown() - Remember nothing any more in this process
 *
 * For a thread that is about to leave the table of descriptors or the network
 * namespace that the other threads are in.
 */
void fdcache_disown(struct fdcache *cache);

/*
 * fdcache_same_netns() - Is it known that sockets made in this process are in the
 * network namespace where the kernel engine serves a protocol?
 */
bool fdcache_same_netns(const struct fdcache *cache, enum proto proto);

/* fdcache_set_same_netns() - Now it is known */
void fdcache_set_same_netns(struct fdcache *cache, enum proto proto);

#endif
