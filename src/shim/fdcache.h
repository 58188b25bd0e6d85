/* fdcache: what is remembered of descriptors, so that the kernel need not be asked; no port. */
#ifndef PORTFENCE_SHIM_FDCACHE_H
#define PORTFENCE_SHIM_FDCACHE_H

#include "../core/policy.h"

#include <stdbool.h>

/*
 * The settled ones are relied upon. The fresh ones are hints, which the bind
 * that follows puts right: a socket made by socket() in this process, with none
 * of the options set that matter to us.
 */
enum fdcache {
	FDCACHE_UNKNOWN,     /* ask the kernel */
	FDCACHE_SETTLED,     /* a socket through which no send needs a port from us */
	FDCACHE_SETTLED_UDP, /* likewise, and no connect does */
	FDCACHE_BOUND,       /* a hint: bind() has given it a port, for good */
	FDCACHE_TCP4,        /* fresh */
	FDCACHE_TCP6,
	FDCACHE_UDP4,
	FDCACHE_UDP6,
};

/* Of one process; NULL where nothing can be remembered. Atomics. */
struct descriptors;

/* fdcache_start() - An empty memory, or NULL */
struct descriptors *fdcache_start(void);

/* fdcache_get() - What is remembered of a descriptor */
enum fdcache fdcache_get(const struct descriptors *all, int fd);

/* fdcache_born() - socket() has made @fd; its arguments */
void fdcache_born(struct descriptors *all, int fd, int domain, int type, int protocol);

/* fdcache_bound() - The program has bound it to a port that it named */
void fdcache_bound(struct descriptors *all, int fd);

/**
 * fdcache_ask() - The kernel is about to be asked about a descriptor
 * @mark:	tells who asks: an address on the stack
 */
void fdcache_ask(struct descriptors *all, int fd, const void *mark);

/**
 * fdcache_settle() - Remember what the kernel has said
 * @what:	one of the settled ones
 * @mark:	as given to fdcache_ask(); if it was forgotten since, so is the answer
 */
void fdcache_settle(struct descriptors *all, int fd, enum fdcache what, const void *mark);

/* fdcache_forget() - The number means a new socket, or the socket is no more fresh */
void fdcache_forget(struct descriptors *all, int fd);

/*
 * fdcache_replace() - The number, which may be in use, comes to mean another socket
 *
 * Call it before and after: other threads may be asking the kernel meanwhile.
 */
void fdcache_replace(struct descriptors *all, int fd);

/* fdcache_dissolve() - Some socket may lose its port; to be called before and after, too */
void fdcache_dissolve(struct descriptors *all);

/*
 * fdcache_disown() - Remember nothing any more in this process
 *
 * For a thread that is about to leave the table of descriptors or the network
 * namespace that the others are in.
 */
void fdcache_disown(struct descriptors *all);

/*
 * fdcache_home() - Is it known that sockets made in this process are in the
 * network namespace where the kernel engine serves a protocol?
 */
bool fdcache_home(const struct descriptors *all, enum proto proto);

/* fdcache_set_home() - Now it is */
void fdcache_set_home(struct descriptors *all, enum proto proto);

#endif
