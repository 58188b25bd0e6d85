/* fence: what a fenced process needs at hand to give out a port; built at start, then immutable. */
#ifndef PORTFENCE_CORE_FENCE_H
#define PORTFENCE_CORE_FENCE_H

#include "engine_kernel.h"
#include "policy.h"
#include "socket_calls.h"
#include "source_addr.h"
#include "state.h"

/*
 * Published once by whoever owns the process. @kernel and @sources point to the
 * only parts that change in this process's own memory; they are made of atomics.
 */
struct fence {
	const struct socket_calls *calls;
	const struct rule *rule; /* NULL: closed, every call that needs a port fails */
	struct state state;
	struct engine_kernel *kernel; /* one for each protocol */
	struct source_addr_cache *sources;
};

#endif
