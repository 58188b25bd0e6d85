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
 * What a process runs under. All of it is written before the pointer to it is
 * published, and never again, except for atomics: the kernel engine's verdicts,
 * the caches of source addresses and descriptors, and which messages were told.
 */
struct shim {
	bool fenced;  /* false: the hooks make the program's own calls and nothing else */
	uint64_t run; /* the address of the gate that was drawn for this run; 0 if there is none */
	bool marked; /* `portfence run` has marked the sockets from outside, see assign_keep_port() */
	bool maps;   /* the rule has a map: addresses are translated */
	struct fence fence;
	struct engine_kernel kernel[PROTO_COUNT];
	struct fdcache *fdcache;
	struct child_environ_kept kept;
	struct log log;
};

/* NULL until it is built; an atomic pointer */
extern struct shim *_Atomic shim_published;

/* shim_build() - Build it, for shim_get() alone. Keeps errno. Return: never NULL */
struct shim *shim_build(void);

/**
 * shim_get() - What this process runs under
 *
 * Our constructor builds it, or the first hook if that runs before. There is no
 * lock: two threads that come first build one each, and one is published.
 */
static inline struct shim *shim_get(void)
{
	struct shim *shim = atomic_load_explicit(&shim_published, memory_order_acquire);

	return __builtin_expect(shim != NULL, 1) ? shim : shim_build();
}

#endif
