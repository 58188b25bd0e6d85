/* engine_kernel: the kernel chooses, within a range set on the socket; it binds nothing itself. */
#ifndef PORTFENCE_CORE_ENGINE_KERNEL_H
#define PORTFENCE_CORE_ENGINE_KERNEL_H

#include "range.h"
#include "socket_calls.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* include/uapi/linux/in.h, since Linux 6.3 */
#endif

/*
 * What is known of one range. Atomics; a race only means that the question is
 * asked again. Where there is a choice, a refusal holds for good, wherever it
 * was found: the bind engine serves everywhere, and no connect has to ask.
 */
struct engine_kernel {
	_Atomic uint64_t
		serves; /* the network namespace where it does, by SO_NETNS_COOKIE; 0: none */
	_Atomic bool refused;
};

/**
 * engine_kernel_value() - A range as the value of IP_LOCAL_PORT_RANGE
 *
 * Only a range without gaps has one. Source: ip(7).
 */
static inline uint32_t engine_kernel_value(const struct range *range)
{
	return (uint32_t)range_last(range) << 16 | range_first(range);
}

/**
 * engine_kernel_judge() - Would the kernel keep to this range in this network namespace?
 * @ret_why:	if not, why not; may be NULL
 *
 * It does where the range is one interval within ip_local_port_range and
 * free of ip_local_reserved_ports; what lies outside it ignores in silence.
 *
 * Return: 0, -ERANGE, or -errno if the system's own ranges cannot be read
 */
int engine_kernel_judge(const struct range *range, char *ret_why, size_t size);

/**
 * engine_kernel_prepare() - Judge now, for the network namespace that this process is in
 *
 * For a rule that has no other engine: the process may chroot, and see no /proc
 * later. Without a verdict the question is asked with the first socket.
 */
void engine_kernel_prepare(struct engine_kernel *known, const struct socket_calls *calls,
			   const struct range *range);

/**
 * engine_kernel_check() - Does the kernel keep to this range in the socket's network namespace?
 * @home:	this was asked before, with this range and a socket of the same namespace
 *
 * Return: 0; -EOPNOTSUPP if it does not, or nobody can say
 */
int engine_kernel_check(struct engine_kernel *known, const struct socket_calls *calls,
			const struct range *range, int fd, bool home);

/**
 * engine_kernel_set() - Make the kernel choose this socket's port from a range
 *
 * Ask engine_kernel_check() before.
 *
 * Return: 0; -errno if the kernel has no such option for this socket.
 * Source: ip(7), IP_LOCAL_PORT_RANGE; net/ipv4/inet_connection_sock.c,
 * inet_sk_get_local_port_range.
 */
int engine_kernel_set(const struct socket_calls *calls, const struct range *range, int fd);

/* engine_kernel_clear() - Let the socket have any port of the system's range again */
void engine_kernel_clear(const struct socket_calls *calls, int fd);

/* engine_kernel_distrust() - The kernel did not keep to the range: use it no more */
void engine_kernel_distrust(struct engine_kernel *known);

#endif
