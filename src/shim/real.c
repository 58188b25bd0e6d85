#include "real.h"

#include "pass.h"

#include <dlfcn.h>

struct real real_functions;

/*
 * dlsym() takes the dynamic linker's lock, which a signal handler may find held
 * by its own thread (it is recursive) and a forked child never does (glibc and
 * musl see to that).
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

static int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return pass_bind(fd, addr, len, seen(addr));
}

static int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return pass_connect(fd, addr, len, seen(addr));
}

static int sys_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return REAL(setsockopt)(fd, level, option, value, len);
}

static int sys_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return REAL(getsockopt)(fd, level, option, value, len);
}

const struct sys real_sys = { sys_bind, sys_connect, sys_setsockopt, sys_getsockopt };
