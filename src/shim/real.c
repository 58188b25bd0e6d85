#include "real.h"

#include <dlfcn.h>

struct real real_functions;
bool real_resolved;

static struct sys sys;

/* The last pointer is stored before the flag, so who sees the flag sees them all. */
void real_resolve(void)
{
#define REAL_RESOLVE(type, name, parameters)                                                       \
	__atomic_store_n((void **)&real_functions.name, dlsym(RTLD_NEXT, #name), __ATOMIC_RELAXED);
	REAL_FUNCTIONS(REAL_RESOLVE)
#undef REAL_RESOLVE
	__atomic_store_n(&sys.bind, real_functions.bind, __ATOMIC_RELAXED);
	__atomic_store_n(&sys.connect, real_functions.connect, __ATOMIC_RELAXED);
	__atomic_store_n(&sys.setsockopt, real_functions.setsockopt, __ATOMIC_RELAXED);
	__atomic_store_n(&real_resolved, true, __ATOMIC_RELEASE);
}

const struct sys *real_sys(void)
{
	real();
	return &sys;
}
