/* descriptor: what is remembered of descriptors, so that the kernel need not be asked; no port. */
#ifndef PORTFENCE_SHIM_DESCRIPTOR_H
#define PORTFENCE_SHIM_DESCRIPTOR_H

#include "../core/policy.h"

#include <stdbool.h>

/*
 * The settled ones are relied upon. The fresh ones are hints, which the bind
 * that follows puts right: a socket made by socket() in this process, with none
 * of the options set that matter to us.
 */
enum descriptor {
	DESCRIPTOR_UNKNOWN,     /* ask the kernel */
	DESCRIPTOR_SETTLED,     /* a socket through which no send needs a port from us */
	DESCRIPTOR_SETTLED_UDP, /* likewise, and no connect does */
	DESCRIPTOR_BOUND,       /* a hint: bind() has given it a port, for good */
	DESCRIPTOR_TCP4,        /* fresh */
	DESCRIPTOR_TCP6,
	DESCRIPTOR_UDP4,
	DESCRIPTOR_UDP6,
};

/* Of one process; NULL where nothing can be remembered. Atomics. */
struct descriptors;

/* descriptor_start() - An empty memory, or NULL */
struct descriptors *descriptor_start(void);

/* descriptor_get() - What is remembered of a descriptor */
enum descriptor descriptor_get(const struct descriptors *all, int fd);

/* descriptor_born() - socket() has made @fd; its arguments */
void descriptor_born(struct descriptors *all, int fd, int domain, int type, int protocol);

/* descriptor_bound() - The program has bound it to a port that it named */
void descriptor_bound(struct descriptors *all, int fd);

/**
 * descriptor_ask() - The kernel is about to be asked about a descriptor
 * @mark:	tells who asks: an address on the stack
 */
void descriptor_ask(struct descriptors *all, int fd, const void *mark);

/**
 * descriptor_settle() - Remember what the kernel has said
 * @what:	one of the settled ones
 * @mark:	as given to descriptor_ask(); if it was forgotten since, so is the answer
 */
void descriptor_settle(struct descriptors *all, int fd, enum descriptor what, const void *mark);

/* descriptor_forget() - The number means a new socket, or the socket is no more fresh */
void descriptor_forget(struct descriptors *all, int fd);

/*
 * descriptor_replace() - The number, which may be in use, comes to mean another socket
 *
 * Call it before and after: other threads may be asking the kernel meanwhile.
 */
void descriptor_replace(struct descriptors *all, int fd);

/* descriptor_dissolve() - Some socket may lose its port; to be called before and after, too */
void descriptor_dissolve(struct descriptors *all);

/*
 * descriptor_disown() - Remember nothing any more in this process
 *
 * For a thread that is about to leave the table of descriptors or the network
 * namespace that the others are in.
 */
void descriptor_disown(struct descriptors *all);

/*
 * descriptor_home() - Is it known that sockets made in this process are in the
 * network namespace where the kernel engine serves a protocol?
 */
bool descriptor_home(const struct descriptors *all, enum proto proto);

/* descriptor_set_home() - Now it is */
void descriptor_set_home(struct descriptors *all, enum proto proto);

#endif
