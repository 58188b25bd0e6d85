#include "libc.h"

#include "caller_memory.h"
#include "passing.h"
#include "real.h"
#include "with_port.h"

#include "../core/engine_kernel.h"
#include "../core/sctp.h"

#include <string.h>

/*
 * Theory of operation
 *
 * Most options are none of ours. Some options of TCP and UDP change how a port
 * is chosen; once one is set, the socket is no longer fresh. SO_REUSEADDR is an
 * exception: most servers set it, and it is noted what it is. libsctp makes its own
 * calls as options of level SCTP, two of which choose a port. sctp_bindx() sets an
 * option. sctp_connectx() sets one in older versions, and in newer ones gets one,
 * as an association's number comes back.
 *
 * sctp_peeloff() gets an option and makes a descriptor: see fdcache.c.
 */

typedef int setsockopt_fn(int fd, int level, int option, const void *value, socklen_t len);
typedef int getsockopt_fn(int fd, int level, int option, void *value, socklen_t *len);

/* Would the option change how a port is chosen? */
static bool is_option_of_ours(int level, int option)
{
	if (level == SOL_SOCKET)
		return option == SO_REUSEADDR || option == SO_REUSEPORT;
	if (level == IPPROTO_IP)
		return option == IP_BIND_ADDRESS_NO_PORT || option == IP_LOCAL_PORT_RANGE;
	return false;
}

/* Reads the first address of a packed array. Return: false if the kernel would not look at it. Keeps errno. */
static bool read_first_address(struct assign *assign, const void *addrs, socklen_t size)
{
	int saved = errno;
	bool there;

	if (size > SCTP_ADDRS_MAX)
		size = SCTP_ADDRS_MAX;
	assign->addrs_size = size;
	assign->len = size < sizeof(assign->addr) ? size : sizeof(assign->addr);
	there = caller_memory_readable(addrs, size) &&
		caller_memory_address(addrs, assign->len, &assign->addr);
	errno = saved;
	return there;
}

static int sctp_bindx(struct shim *shim, setsockopt_fn *real, int fd, const void *addrs,
		      socklen_t size)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .sctp = true, .addrs = addrs };

	if ((int)size <= 0 || !read_first_address(&assign, addrs, size))
		return real(fd, IPPROTO_SCTP, SCTP_OPTION_BINDX_ADD, addrs, size);
	return WITH_PORT(int, shim, &assign, "sctp_bindx",
			 real(fd, IPPROTO_SCTP, SCTP_OPTION_BINDX_ADD, addrs, size));
}

static int sctp_connectx(struct shim *shim, setsockopt_fn *real, int fd, int option,
			 const void *addrs, socklen_t size)
{
	struct assign assign = { .call = ASSIGN_CONNECT, .fd = fd, .sctp = true };

	if ((int)size <= 0 || !read_first_address(&assign, addrs, size))
		return real(fd, IPPROTO_SCTP, option, addrs, size);
	return WITH_PORT(int, shim, &assign, "sctp_connectx",
			 real(fd, IPPROTO_SCTP, option, addrs, size));
}

/* Reads what sctp_connectx() passes. Return: false if the kernel would not look at it. Keeps errno. */
static bool read_connectx(const void *value, const socklen_t *len, struct sctp_connectx *ret_param)
{
	int saved = errno;
	bool there = caller_memory_readable(len, sizeof(*len)) && *len >= sizeof(*ret_param) &&
		     caller_memory_readable(value, sizeof(*ret_param));

	errno = saved;
	if (there)
		memcpy(ret_param, value, sizeof(*ret_param));
	return there;
}

static int sctp_connectx3(struct shim *shim, getsockopt_fn *real, int fd, void *value,
			  socklen_t *len)
{
	struct assign assign = { .call = ASSIGN_CONNECT, .fd = fd, .sctp = true };
	struct sctp_connectx param;

	if (!read_connectx(value, len, &param) || param.size <= 0 ||
	    !read_first_address(&assign, param.addrs, (socklen_t)param.size))
		return real(fd, IPPROTO_SCTP, SCTP_OPTION_CONNECTX3, value, len);
	return WITH_PORT(int, shim, &assign, "sctp_connectx",
			 real(fd, IPPROTO_SCTP, SCTP_OPTION_CONNECTX3, value, len));
}

/* Else the call is made as it is, and the supervisor, if there is one, serves it. */
static bool is_fenced(const struct shim *shim)
{
	return shim->fenced && !passing_asks_nobody();
}

static int set_sctp(setsockopt_fn *real, int fd, int option, const void *value, socklen_t len)
{
	struct shim *shim = shim_get();

	if (is_fenced(shim) && option == SCTP_OPTION_BINDX_ADD)
		return sctp_bindx(shim, real, fd, value, len);
	if (is_fenced(shim) &&
	    (option == SCTP_OPTION_CONNECTX || option == SCTP_OPTION_CONNECTX_OLD))
		return sctp_connectx(shim, real, fd, option, value, len);
	return real(fd, IPPROTO_SCTP, option, value, len);
}

static int get_sctp(getsockopt_fn *real, int fd, int option, void *value, socklen_t *len)
{
	struct shim *shim = shim_get();
	int result;

	if (is_fenced(shim) && option == SCTP_OPTION_CONNECTX3)
		return sctp_connectx3(shim, real, fd, value, len);
	result = real(fd, IPPROTO_SCTP, option, value, len);
	/* the kernel returns the descriptor, too */
	if (option == SCTP_OPTION_PEELOFF || option == SCTP_OPTION_PEELOFF_FLAGS)
		fdcache_forget(shim->fdcache, result);
	return result;
}

static int hook_setsockopt(setsockopt_fn *real, int fd, int level, int option, const void *value,
			   socklen_t len)
{
	struct fdcache *all;
	int result, number;

	if (level == IPPROTO_SCTP)
		return set_sctp(real, fd, option, value, len);
	all = shim_get()->fdcache;
	if (!is_option_of_ours(level, option) || fdcache_get(all, fd) < FDCACHE_TCP4)
		return real(fd, level, option, value, len);
	if (level != SOL_SOCKET || option != SO_REUSEADDR)
		fdcache_forget(all, fd);
	result = real(fd, level, option, value, len);
	/* the kernel has read it, and as a number, however long it is (net/core/sock.c, sk_setsockopt) */
	if (!result && level == SOL_SOCKET && option == SO_REUSEADDR) {
		memcpy(&number, value, sizeof(number));
		fdcache_note_reuse(all, fd, number);
	}
	return result;
}

static int hook_getsockopt(getsockopt_fn *real, int fd, int level, int option, void *value,
			   socklen_t *len)
{
	if (level == IPPROTO_SCTP)
		return get_sctp(real, fd, option, value, len);
	return real(fd, level, option, value, len);
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return hook_setsockopt(REAL(setsockopt), fd, level, option, value, len);
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return hook_getsockopt(REAL(getsockopt), fd, level, option, value, len);
}

#if LIBC_TIME64
EXPORT int __setsockopt64(int fd, int level, int option, const void *value, socklen_t len)
{
	return hook_setsockopt(REAL(__setsockopt64), fd, level, option, value, len);
}

EXPORT int __getsockopt64(int fd, int level, int option, void *value, socklen_t *len)
{
	return hook_getsockopt(REAL(__getsockopt64), fd, level, option, value, len);
}
#endif
