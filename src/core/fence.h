/* fence: all that is needed to give out a port; built at start, then immutable. */
#ifndef PORTFENCE_CORE_FENCE_H
#define PORTFENCE_CORE_FENCE_H

#include "engine_kernel.h"
#include "policy.h"
#include "socket_calls.h"
#include "source_addr.h"
#include "state.h"

/*
 * The shim or the supervisor builds and publishes it once. In this process's own memory
 * only @sources and what it and @kernel point to change later, and that is made of atomics.
 */
struct fence {
	const struct socket_calls *calls;
	const struct rule
		*rule; /* NULL: no valid configuration, every call that needs a port fails */
	struct state state;
	struct engine_kernel *kernel;              /* one for each protocol */
	struct source_addr_cache *_Atomic sources; /* NULL: no source address is remembered yet */
};

#endif
