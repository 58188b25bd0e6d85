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
 * What is known about one range. Only atomics: in a race, a question is asked twice.
 * With `engine = auto`, a refusal holds for good and in every network namespace: the
 * bind engine serves everywhere, and no further connect() has to ask.
 */
struct engine_kernel {
	_Atomic uint64_t
		serves; /* SO_NETNS_COOKIE of the network namespace where the kernel keeps to it; 0: none */
	_Atomic bool refused;
	_Atomic uint32_t judged_at; /* the second in which the range was last found to be kept */
	_Atomic uint32_t crowded;   /* so many calls are left for engine_kernel_is_crowded() */
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

/* engine_kernel_holds() - Does a value of IP_LOCAL_PORT_RANGE keep a socket within the range? */
static inline bool engine_kernel_holds(const struct range *range, uint32_t value)
{
	const uint32_t first = value & 0xffff, last = value >> 16;

	return range->spans == 1 && first >= range_first(range) && last <= range_last(range) &&
	       first <= last;
}

/**
 * engine_kernel_judge() - Would the kernel keep to this range in this network namespace?
 * @ret_why:	if not, the reason; may be NULL
 *
 * It would if the range is one interval within ip_local_port_range without any port of
 * ip_local_reserved_ports. The kernel ignores in silence what lies outside.
 *
 * Return: 0, -ERANGE, or -errno if the system's own ranges cannot be read
 */
int engine_kernel_judge(const struct range *range, struct reason *ret_why);

/**
 * engine_kernel_prepare() - Judge the range now, for the network namespace of this process
 *
 * For a rule without another engine: the process may chroot, and then has no /proc.
 * If the kernel would not keep to the range, the question is asked again with the
 * first socket.
 */
void engine_kernel_prepare(struct engine_kernel *known, const struct socket_calls *calls,
			   const struct range *range);

/**
 * engine_kernel_check() - Does the kernel keep to this range in the socket's network namespace?
 * @same_netns:	this was asked before, with this range and a socket of the same namespace
 *
 * Return: 0; -EOPNOTSUPP if it does not, or if that cannot be found out
 */
int engine_kernel_check(struct engine_kernel *known, const struct socket_calls *calls,
			const struct range *range, int fd, bool same_netns);

/**
 * engine_kernel_set() - Make the kernel choose this socket's port from a range
 *
 * Call engine_kernel_check() before.
 *
 * Return: 0; -errno if the kernel has no such option for this socket.
 * Source: ip(7), IP_LOCAL_PORT_RANGE; net/ipv4/inet_connection_sock.c,
 * inet_sk_get_local_port_range.
 */
int engine_kernel_set(const struct socket_calls *calls, const struct range *range, int fd);

/* engine_kernel_set_part() - Make the kernel choose from a part of a range. Return: as engine_kernel_set() */
int engine_kernel_set_part(const struct socket_calls *calls, uint16_t first, uint16_t last, int fd);

/**
 * engine_kernel_is_crowded() - Was a port that was tried by itself taken, not many calls ago?
 *
 * Then to give the kernel all ports at once costs less.
 */
bool engine_kernel_is_crowded(struct engine_kernel *known);

/* engine_kernel_crowd() - A port that was tried by itself was taken */
void engine_kernel_crowd(struct engine_kernel *known);

/* engine_kernel_clear() - Let the socket have any port of the system's range again */
void engine_kernel_clear(const struct socket_calls *calls, int fd);

/* engine_kernel_distrust() - The kernel did not keep to the range: use it no more */
void engine_kernel_distrust(struct engine_kernel *known);

#endif
