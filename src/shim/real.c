#include "real.h"

#include "gated.h"

#include <dlfcn.h>

struct real real_functions;

/*
 * dlsym() takes the dynamic linker's lock, which a signal handler may find held
 * by its own thread (it is recursive). Another thread may hold it for long: while
 * dlopen() runs a library's constructor, which may wait for a thread that makes
 * its first call; and a child that is forked meanwhile finds it held for good. So
 * before there are threads, all is resolved.
 */
void *real_resolve(void **function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	__atomic_store_n(function, found, __ATOMIC_RELAXED);
	return found;
}

/* The rest of the shim has its addresses in this union, on its own stack, where nobody rewrites them. */
static const union addr *seen(const struct sockaddr *addr)
{
	return (const union addr *)(const void *)addr;
}

void real_resolve_all(void)
{
#define RESOLVE(type, name, parameters) real_get((void **)&real_functions.name, #name);
	REAL_FUNCTIONS(RESOLVE)
#if LIBC_TIME64
	REAL_TIME64_FUNCTIONS(RESOLVE)
#endif
#undef RESOLVE
}

static int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return gated_bind(fd, addr, len, seen(addr));
}

static int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return gated_connect(fd, addr, len, seen(addr));
}

static int sys_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return REAL(setsockopt)(fd, level, option, value, len);
}

static int sys_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return REAL(getsockopt)(fd, level, option, value, len);
}

static int sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return REAL(getsockname)(fd, addr, len);
}

static int sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return REAL(getpeername)(fd, addr, len);
}

const struct socket_calls real_sys = {
	.bind = sys_bind,
	.connect = sys_connect,
	.setsockopt = sys_setsockopt,
	.getsockopt = sys_getsockopt,
	.getsockname = sys_getsockname,
	.getpeername = sys_getpeername,
};
