/* diag: asks the kernel, over netlink, whether a TCP connection exists; it changes nothing. */
#ifndef PORTFENCE_CORE_DIAG_H
#define PORTFENCE_CORE_DIAG_H

#include "addr.h"
#include "socket_calls.h"

#include <stdbool.h>

/* The questions of one assignment. Descriptors are opened when first needed. */
struct diag {
	const struct socket_calls *calls;
	uint64_t netns; /* the socket's network namespace, by SO_NETNS_COOKIE; 0: this thread's, or not known */
	uint32_t ifindex;   /* the interface that SO_BINDTODEVICE tied the socket to; 0: none */
	int tcp;            /* NETLINK_SOCK_DIAG, -1 if not open */
	bool known;         /* the next three members have been read */
	long reuse;         /* sysctl tcp_tw_reuse */
	long delay_ms;      /* sysctl tcp_tw_reuse_delay */
	bool timestamps;    /* sysctl tcp_timestamps */
	bool reuse_at_once; /* set by the caller: see diag_is_free() */
};

/**
 * diag_start() - Begin
 * @fd:		the socket that is to get a port
 * @same_netns:	its network namespace is known to be this thread's: then nothing is asked about that
 */
void diag_start(struct diag *diag, const struct socket_calls *calls, int fd, bool same_netns);

/* diag_end() - Close what was opened */
void diag_end(struct diag *diag);

/**
 * diag_is_free() - Would a connect() from @local to @peer get this 4-tuple?
 * @local:	source address and port, not the wildcard
 * @peer:	destination, not the wildcard
 *
 * It would if no socket has the tuple, or only one in TIME_WAIT that the kernel
 * hands over to a new connection (net/ipv4/tcp_ipv4.c, tcp_twsk_unique; sysctl
 * tcp_tw_reuse) and would choose by itself. With @diag->reuse_at_once and both ends on
 * this machine, one that it hands over is enough.
 *
 * Return: 1, 0, or -errno if the kernel does not say. Source: sock_diag(7).
 */
int diag_is_free(struct diag *diag, const union addr *local, const union addr *peer);

/**
 * diag_used() - From which ports would a connect() to @peer not get its 4-tuple?
 * @local:	source address; its port is ignored
 * @report:	called with each such port, in no order
 *
 * One pass over all of the kernel's connections. Return: 0, or -errno.
 */
int diag_used(struct diag *diag, const union addr *local, const union addr *peer,
	      void (*report)(void *context, uint16_t port), void *context);

/**
 * diag_time_wait() - Which ports have connections in TIME_WAIT?
 * @report:	called with each such port, in no order, perhaps more than once
 *
 * One pass over those connections. Return: 0, or -errno.
 */
int diag_time_wait(struct diag *diag, void (*report)(void *context, uint16_t port), void *context);

/**
 * diag_only_time_wait() - Do only one bound socket and connections in TIME_WAIT hold a port?
 * @local:	address and port of the bound socket
 *
 * Sockets on other addresses do not count. Return: 1; 0, also if the kernel does not show
 * sockets that are only bound; or -errno. Source: sock_diag(7), TCP_BOUND_INACTIVE.
 */
int diag_only_time_wait(struct diag *diag, const union addr *local);

/**
 * diag_source() - The source address that the kernel would choose towards a peer
 * @ret_source:	address with port 0
 *
 * It asks the routing table. A connected UDP socket would tell as well, but would
 * take a port of the system's range for a moment.
 *
 * Return: 0, or -errno. Source: rtnetlink(7), RTM_GETROUTE.
 */
int diag_source(const struct diag *diag, const union addr *peer, union addr *ret_source);

/**
 * diag_is_local() - Is this an address of this machine, or a broadcast address of its networks?
 *
 * Return: 1, 0, or -errno if the kernel cannot be asked. Source: rtnetlink(7), RTM_GETROUTE.
 */
int diag_is_local(const struct diag *diag, const union addr *addr);

#endif
