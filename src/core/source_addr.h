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
 * One answer. Written by any thread without a lock: a slot that was written by
 * two at once has a sum that does not fit, and counts as empty.
 */
struct source_addr_slot {
	_Atomic uint64_t address[2];
	_Atomic uint64_t time_ms;
	_Atomic uint64_t sum; /* hash of the peer and of the above */
};

/* Of one process. Zeroed memory knows nothing. */
struct source_addr_cache {
	struct source_addr_slot slot[SOURCE_ADDR_SLOTS];
};

/**
 * source_addr_find() - The source address towards a peer
 * @cache:	where it is remembered
 * @key:	of hashes
 *
 * At most SOURCE_ADDR_MS old: routes seldom change, and to ask for one takes as long
 * as to ask for a connection. Return and @ret_source: as diag_source()
 */
int source_addr_find(struct source_addr_cache *cache, const struct siphash_key *key,
		     const struct diag *diag, const union addr *peer, union addr *ret_source);

#endif
