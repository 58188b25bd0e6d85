/* shim: what this process runs under, built once; it hooks nothing. */
#ifndef PORTFENCE_SHIM_SHIM_H
#define PORTFENCE_SHIM_SHIM_H

#include "../core/fence.h"
#include "../core/log.h"
#include "child_environ.h"
#include "fdcache.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Everything is written before the pointer to it is published, and never
 * again, except for what is made of atomics: the kernel engine's verdicts, what
 * is remembered of source addresses and descriptors, and which messages were told.
 */
struct shim {
	bool fenced; /* false: hooks only pass on */
	bool maps;   /* the rule has a map: addresses are translated */
	struct fence fence;
	struct engine_kernel kernel[PROTO_COUNT];
	struct source_addr_cache sources;
	struct fdcache *fdcache;
	struct child_environ_kept kept;
	struct log log;
};

/* NULL until it is built */
extern struct shim *_Atomic shim_published;

struct shim *shim_build(void);

/**
 * shim_get() - What this process runs under
 *
 * Built by our constructor, or by the first hook where that runs before it.
 * No lock: two threads that come first build one each, and one is published.
 */
static inline struct shim *shim_get(void)
{
	struct shim *shim = atomic_load_explicit(&shim_published, memory_order_acquire);

	return __builtin_expect(shim != NULL, 1) ? shim : shim_build();
}

#endif
