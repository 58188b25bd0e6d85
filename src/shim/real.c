#include "real.h"

#include <dlfcn.h>
#include <stdbool.h>

static struct real functions;
static struct sys sys;
static bool resolved;

/* The last pointer is stored before the flag, so who sees the flag sees them all. */
static void resolve(void)
{
#define REAL_RESOLVE(type, name, parameters)                                                       \
	__atomic_store_n((void **)&functions.name, dlsym(RTLD_NEXT, #name), __ATOMIC_RELAXED);
	REAL_FUNCTIONS(REAL_RESOLVE)
#undef REAL_RESOLVE
	__atomic_store_n(&sys.bind, functions.bind, __ATOMIC_RELAXED);
	__atomic_store_n(&sys.connect, functions.connect, __ATOMIC_RELAXED);
	__atomic_store_n(&resolved, true, __ATOMIC_RELEASE);
}

const struct real *real(void)
{
	if (__builtin_expect(!__atomic_load_n(&resolved, __ATOMIC_ACQUIRE), 0))
		resolve();
	return &functions;
}

const struct sys *real_sys(void)
{
	real();
	return &sys;
}
