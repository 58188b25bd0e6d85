#include "source_addr.h"

#include "timing.h"

#include <string.h>
#include <time.h>

/*
 * Without the peer's port: few routes depend on it, and diag_source() does not use it. @diag->netns is 0 only as long
 * as the process has not been seen to leave its network namespace; what is remembered by then is never found again.
 */
static uint64_t peer_hash(const struct siphash_key *key, const struct diag *diag,
			  const union addr *peer)
{
	struct {
		uint8_t address[16];
		uint64_t netns;
		uint32_t ifindex;
		uint32_t scope;
	} peer_key;

	addr_bytes(peer, peer_key.address);
	peer_key.netns = diag->netns;
	peer_key.ifindex = diag->ifindex;
	peer_key.scope = peer->sa.sa_family == AF_INET6 ? peer->in6.sin6_scope_id : 0;
	return siphash(key, &peer_key, sizeof(peer_key));
}

static uint64_t slot_sum(const struct siphash_key *key, uint64_t peer, const uint64_t address[2],
			 uint64_t time_ms)
{
	const uint64_t message[] = { peer, address[0], address[1], time_ms };

	return siphash(key, message, sizeof(message));
}

static uint64_t load_word(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store_word(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static bool read_slot(const struct source_addr_slot *slot, const struct siphash_key *key,
		      uint64_t peer, uint64_t now, uint64_t ret_address[2])
{
	uint64_t time_ms = load_word(&slot->time_ms);

	ret_address[0] = load_word(&slot->address[0]);
	ret_address[1] = load_word(&slot->address[1]);
	return now - time_ms < SOURCE_ADDR_MS &&
	       load_word(&slot->sum) == slot_sum(key, peer, ret_address, time_ms);
}

int source_addr_find(struct source_addr_cache *cache, const struct siphash_key *key,
		     const struct diag *diag, const union addr *peer, union addr *ret_source)
{
	uint64_t peer_id = peer_hash(key, diag, peer),
		 now = (uint64_t)timing_ns(CLOCK_MONOTONIC_COARSE) / 1000000, address[2];
	struct source_addr_slot *slot = cache ? &cache->slot[peer_id % SOURCE_ADDR_SLOTS] : NULL;
	uint8_t bytes[16];
	int rc;

	if (slot && read_slot(slot, key, peer_id, now, address)) {
		/* v4-mapped for IPv4: callers use the form of addr_bytes() only */
		addr_wildcard(ret_source, AF_INET6);
		memcpy(&ret_source->in6.sin6_addr, address, sizeof(address));
		return 0;
	}
	rc = diag_source(diag, peer, ret_source);
	if (rc || !slot)
		return rc;
	addr_bytes(ret_source, bytes);
	memcpy(address, bytes, sizeof(address));
	store_word(&slot->address[0], address[0]);
	store_word(&slot->address[1], address[1]);
	store_word(&slot->time_ms, now);
	store_word(&slot->sum, slot_sum(key, peer_id, address, now));
	return 0;
}
