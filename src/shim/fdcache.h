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
enum fdcache_state {
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
struct fdcache;

/* fdcache_start() - An empty memory, or NULL */
struct fdcache *fdcache_start(void);

/* fdcache_get() - What is remembered of a descriptor */
enum fdcache_state fdcache_get(const struct fdcache *all, int fd);

/* fdcache_note_new() - socket() has made @fd; its arguments */
void fdcache_note_new(struct fdcache *all, int fd, int domain, int type, int protocol);

/* fdcache_note_bound() - The program has bound it to a port that it named */
void fdcache_note_bound(struct fdcache *all, int fd);

/**
 * fdcache_ask() - The kernel is about to be asked about a descriptor
 * @mark:	tells who asks: an address on the stack
 */
void fdcache_ask(struct fdcache *all, int fd, const void *mark);

/**
 * fdcache_settle() - Remember what the kernel has said
 * @what:	one of the settled ones
 * @mark:	as given to fdcache_ask(); if it was forgotten since, so is the answer
 */
void fdcache_settle(struct fdcache *all, int fd, enum fdcache_state what, const void *mark);

/* fdcache_forget() - The number means a new socket, or the socket is no more fresh */
void fdcache_forget(struct fdcache *all, int fd);

/*
 * fdcache_replace() - The number, which may be in use, comes to mean another socket
 *
 * Call it before and after: other threads may be asking the kernel meanwhile.
 */
void fdcache_replace(struct fdcache *all, int fd);

/* fdcache_dissolve() - Some socket may lose its port; to be called before and after, too */
void fdcache_dissolve(struct fdcache *all);

/*
 * fdcache_disown() - Remember nothing any more in this process
 *
 * For a thread that is about to leave the table of descriptors or the network
 * namespace that the others are in.
 */
void fdcache_disown(struct fdcache *all);

/*
 * fdcache_same_netns() - Is it known that sockets made in this process are in the
 * network namespace where the kernel engine serves a protocol?
 */
bool fdcache_same_netns(const struct fdcache *all, enum proto proto);

/* fdcache_set_same_netns() - Now it is */
void fdcache_set_same_netns(struct fdcache *all, enum proto proto);

#endif
