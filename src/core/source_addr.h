/* source_addr: remembers for a moment which source address the kernel uses towards a peer. */
#ifndef PORTFENCE_CORE_SOURCE_ADDR_H
#define PORTFENCE_CORE_SOURCE_ADDR_H

#include "addr.h"
#include "diag.h"
#include "siphash.h"

#include <stdatomic.h>
#include <stdint.h>

#define SOURCE_ADDR_SLOTS 8
#define SOURCE_ADDR_MS 1000

/*
 * One answer. Any thread may write it, without a lock: if two write it at once, its sum
 * is wrong, and it counts as empty.
 */
struct source_addr_slot {
	_Atomic uint64_t address[2];
	_Atomic uint64_t time_ms;
	_Atomic uint64_t sum; /* hash of the peer and of the above */
};

/* The cache of one process. Zeroed memory is an empty cache. */
struct source_addr_cache {
	struct source_addr_slot slot[SOURCE_ADDR_SLOTS];
};

/**
 * source_addr_find() - Find the source address towards a peer, in the cache or from the kernel
 * @cache:	NULL: the kernel is asked
 * @key:	key of the hashes in the cache
 * @ret_source:	address with port 0
 *
 * An answer is at most SOURCE_ADDR_MS old: routes seldom change, and to ask for one takes as
 * long as to ask whether a connection exists.
 *
 * Return: 0 or -errno, as diag_source()
 */
int source_addr_find(struct source_addr_cache *cache, const struct siphash_key *key,
		     const struct diag *diag, const union addr *peer, union addr *ret_source);

#endif
