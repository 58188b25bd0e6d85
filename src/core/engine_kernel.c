#include "engine_kernel.h"

#include "fd.h"
#include "preset.h"
#include "signals.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Theory of operation
 *
 * The sysctls that decide whether the kernel keeps to a range are those of the
 * socket's network namespace, and a program may enter another one. So the verdict is
 * kept together with the cookie of its namespace, and compared with the cookie of each
 * socket. Without /proc this engine does not serve; the bind engine always does.
 */

#define CROWDED_CALLS 64

/* Return: 0, -ERANGE if a reserved port lies in the range, or -errno */
static int check_reserved(const struct range *range, struct reason *ret_why)
{
	const struct range *reserved;
	struct arena arena = { 0 };
	struct range_set *set;
	uint16_t port;
	int rc = -ENOMEM;

	/* too large for the stack of a signal handler */
	set = arena_alloc(&arena, sizeof(*set));
	if (!set)
		goto out;
	rc = preset_add_reserved(set);
	if (rc || !set->count)
		goto out;
	rc = range_build(set, &arena, &reserved);
	if (rc)
		goto out;
	port = range_overlap(range, reserved);
	if (port)
		rc = reason_fail(
			-ERANGE, ret_why,
			"port %d is in ip_local_reserved_ports, which the kernel passes over",
			port);
out:
	arena_free(&arena);
	return rc;
}

/* Return: as engine_kernel_judge(), for a range without gaps */
static int check_sysctls(const struct range *range, struct reason *ret_why)
{
	uint16_t first, last;
	int rc = preset_ephemeral(&first, &last);

	if (rc)
		return rc;
	if (range_first(range) < first || range_last(range) > last)
		return reason_fail(-ERANGE, ret_why,
				   "%d-%d is not within the system's ephemeral range %d-%d",
				   range_first(range), range_last(range), first, last);
	return check_reserved(range, ret_why);
}

int engine_kernel_judge(const struct range *range, struct reason *ret_why)
{
	struct signals signals;
	int rc;

	if (range->spans != 1)
		return reason_fail(-ERANGE, ret_why, "the range has gaps");
	/* a handler that leaves by siglongjmp() would leave files open */
	signals_hold(&signals);
	rc = check_sysctls(range, ret_why);
	signals_release(&signals);
	return rc;
}

/* Return: the cookie of the namespace whose sysctls we would read, or 0 */
static uint64_t own_cookie(const struct socket_calls *calls)
{
	struct signals signals;
	uint64_t cookie = 0;
	int fd;

	signals_hold(&signals);
	fd = fd_socket_by(calls->socket, AF_INET, SOCK_DGRAM, 0);
	if (fd >= 0) {
		cookie = socket_calls_netns_cookie(calls, fd);
		fd_close(fd);
	}
	signals_release(&signals);
	return cookie;
}

void engine_kernel_prepare(struct engine_kernel *known, const struct socket_calls *calls,
			   const struct range *range)
{
	if (!engine_kernel_judge(range, NULL))
		atomic_store_explicit(&known->serves, own_cookie(calls), memory_order_relaxed);
}

int engine_kernel_check(struct engine_kernel *known, const struct socket_calls *calls,
			const struct range *range, int fd, bool same_netns)
{
	uint64_t serves = atomic_load_explicit(&known->serves, memory_order_relaxed);
	uint64_t cookie;

	if (same_netns && serves)
		return 0;
	cookie = socket_calls_netns_cookie(calls, fd);
	if (!cookie)
		return -EOPNOTSUPP;
	if (cookie == serves)
		return 0;
	/* we can read the sysctls of our own namespace only, and do so once for each */
	if (own_cookie(calls) != cookie)
		return -EOPNOTSUPP;
	if (engine_kernel_judge(range, NULL)) {
		engine_kernel_distrust(known);
		return -EOPNOTSUPP;
	}
	atomic_store_explicit(&known->serves, cookie, memory_order_relaxed);
	return 0;
}

int engine_kernel_set(const struct socket_calls *calls, const struct range *range, int fd)
{
	uint32_t value = engine_kernel_value(range);

	return calls->setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value))
		       ? -errno
		       : 0;
}

int engine_kernel_set_part(const struct socket_calls *calls, uint16_t first, uint16_t last, int fd)
{
	uint32_t value = (uint32_t)last << 16 | first;

	return calls->setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, sizeof(value))
		       ? -errno
		       : 0;
}

bool engine_kernel_is_crowded(struct engine_kernel *known)
{
	uint32_t left = atomic_load_explicit(&known->crowded, memory_order_relaxed);

	if (left)
		atomic_store_explicit(&known->crowded, left - 1, memory_order_relaxed);
	return left;
}

void engine_kernel_crowd(struct engine_kernel *known)
{
	atomic_store_explicit(&known->crowded, CROWDED_CALLS, memory_order_relaxed);
}

void engine_kernel_clear(const struct socket_calls *calls, int fd)
{
	uint32_t none = 0;

	calls->setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &none, sizeof(none));
}

void engine_kernel_distrust(struct engine_kernel *known)
{
	atomic_store_explicit(&known->serves, 0, memory_order_relaxed);
	atomic_store_explicit(&known->refused, true, memory_order_relaxed);
}
