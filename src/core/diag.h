/* diag: asks the kernel, over netlink, whether a TCP connection exists; it changes nothing. */
#ifndef PORTFENCE_CORE_DIAG_H
#define PORTFENCE_CORE_DIAG_H

#include "addr.h"
#include "socket_calls.h"

#include <stdbool.h>

/* Questions of one assignment. Descriptors are opened when first needed. */
struct diag {
	const struct socket_calls *calls;
	uint64_t netns;     /* the socket's network namespace, by SO_NETNS_COOKIE; 0 if not known */
	uint32_t ifindex;   /* that the socket is bound to, as SO_BINDTODEVICE does; 0 for none */
	int tcp;            /* NETLINK_SOCK_DIAG, -1 if not open */
	bool known;         /* the three that follow were read */
	long reuse;         /* sysctl tcp_tw_reuse */
	long delay_ms;      /* sysctl tcp_tw_reuse_delay */
	bool timestamps;    /* sysctl tcp_timestamps */
	bool reuse_at_once; /* set by the caller: see diag_is_free() */
};

/* diag_start() - No question asked yet; @fd is the socket that is to have a port */
void diag_start(struct diag *diag, const struct socket_calls *calls, int fd);

/* diag_end() - Close what was opened */
void diag_end(struct diag *diag);

/**
 * diag_is_free() - Can a connect() from local to peer have this 4-tuple?
 * @local:	source address and port, no wildcard
 * @peer:	destination, no wildcard
 *
 * True where no socket has the tuple, or one in TIME_WAIT that the kernel will
 * hand over to a new connection (net/ipv4/tcp_ipv4.c, tcp_twsk_unique; sysctl
 * tcp_tw_reuse). With @diag->reuse_at_once, that need not be one that it would choose
 * itself, where both ends are on this machine.
 *
 * Return: 1, 0, or -errno if the kernel does not say. Source: sock_diag(7).
 */
int diag_is_free(struct diag *diag, const union addr *local, const union addr *peer);

/**
 * diag_used() - From which ports can a connect() to this peer not have its 4-tuple?
 * @local:	source address; its port is of no interest
 * @report:	called with each, in no order
 *
 * One pass over all the kernel's connections. Return: 0, or -errno.
 */
int diag_used(struct diag *diag, const union addr *local, const union addr *peer,
	      void (*report)(void *context, uint16_t port), void *context);

/**
 * diag_only_time_wait() - Do only connections in TIME_WAIT stand on a port, and one bound socket?
 * @local:	address and port that the one is bound to
 *
 * Sockets on other addresses do not count. Return: 1, 0 also where the kernel does not show
 * sockets that are no more than bound, or -errno. Source: sock_diag(7), TCP_BOUND_INACTIVE.
 */
int diag_only_time_wait(struct diag *diag, const union addr *local);

/**
 * diag_source() - The source address that the kernel would choose towards a peer
 * @ret_source:	address with port 0
 *
 * Asked of the routing table rather than of a connected UDP socket, which would
 * take a port of the system's range for a moment.
 *
 * Return: 0, or -errno. Source: rtnetlink(7), RTM_GETROUTE.
 */
int diag_source(const struct diag *diag, const union addr *peer, union addr *ret_source);

/**
 * diag_is_local() - Is this an address of this machine, or a broadcast one of its networks?
 *
 * Return: 1, 0, or -errno if the kernel cannot be asked. Source: as above.
 */
int diag_is_local(const struct diag *diag, const union addr *addr);

#endif
