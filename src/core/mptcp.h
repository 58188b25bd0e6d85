/* mptcp: keeps the further subflows of MPTCP connections in the range; it gives no port. */
#ifndef PORTFENCE_CORE_MPTCP_H
#define PORTFENCE_CORE_MPTCP_H

#include "fence.h"

#include <stdbool.h>

/*
 * The kernel adds subflows to an MPTCP connection by itself, as `ip mptcp endpoint`
 * tells it to, also to one that a server has accepted. Each is a TCP connection from
 * a port of the kernel's choice, whatever the first one is bound to. They inherit
 * IP_LOCAL_PORT_RANGE, from a listening socket, too (test/platform). But the kernel
 * keeps to such a range only where engine_kernel_judge() says so. Elsewhere the rule
 * says what becomes of an MPTCP socket (enum mptcp).
 */

/**
 * mptcp_keep() - Set the range on an MPTCP socket, for its subflows
 *
 * The socket may be bound or listen, but not be connected. The fence has a rule.
 *
 * Return: 0; -EOPNOTSUPP if the kernel would not keep to the range, or that cannot be found out
 */
int mptcp_keep(const struct fence *fence, int fd);

/**
 * mptcp_admit() - Do the same before a call on a socket of any protocol
 *
 * Return: 0 if its subflows stay in the range, or may leave it, or if it is no MPTCP socket; -EOPNOTSUPP
 */
int mptcp_admit(const struct fence *fence, int fd);

/* mptcp_leaves() - Is it known, without a system call, that mptcp_keep() would fail? */
bool mptcp_leaves(const struct fence *fence);

#endif
