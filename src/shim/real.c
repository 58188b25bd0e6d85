#include "real.h"

#include "next_symbol.h"

#include <link.h>
#include <stdint.h>

struct real real_functions;

static bool socket_is_replaced; /* relaxed atomic, written with one value only */

/*
 * dlsym() takes the dynamic linker's lock. The lock is recursive, so a signal
 * handler whose own thread holds it goes on. But another thread may hold it for
 * long: while dlopen() runs a library's constructor, which may wait for a thread
 * that makes its first call. And in a child that is forked meanwhile, the lock is
 * held for good. So all functions are resolved before there are threads.
 */
void *real_resolve(void **function, const char *name)
{
	void *found = next_symbol(name);

	/* what stands beside dl_iterate_phdr() is libc */
	if (function == (void **)&real_functions.socket)
		__atomic_store_n(&socket_is_replaced,
				 !next_symbol_in_one_library(
					 found, (const void *)(uintptr_t)dl_iterate_phdr),
				 __ATOMIC_RELAXED);
	__atomic_store_n(function, found, __ATOMIC_RELAXED);
	return found;
}

bool real_socket_is_replaced(void)
{
	return __atomic_load_n(&socket_is_replaced, __ATOMIC_RELAXED);
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
