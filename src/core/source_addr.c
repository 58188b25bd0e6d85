#include "source_addr.h"

#include <string.h>
#include <time.h>

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The peer's port is no part of it: few routes have one, and diag_source() asks for none. */
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

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static bool recall(const struct source_addr_slot *slot, const struct siphash_key *key,
		   uint64_t peer, uint64_t now, uint64_t ret_address[2])
{
	uint64_t time_ms = load(&slot->time_ms);

	ret_address[0] = load(&slot->address[0]);
	ret_address[1] = load(&slot->address[1]);
	return now - time_ms < SOURCE_ADDR_MS &&
	       load(&slot->sum) == slot_sum(key, peer, ret_address, time_ms);
}

int source_addr_find(struct source_addr_cache *cache, const struct siphash_key *key,
		     const struct diag *diag, const union addr *peer, union addr *ret_source)
{
	uint64_t peer_id = peer_hash(key, diag, peer), now = now_ms(), address[2];
	struct source_addr_slot *slot = &cache->slot[peer_id % SOURCE_ADDR_SLOTS];
	uint8_t bytes[16];
	int rc;

	if (recall(slot, key, peer_id, now, address)) {
		/* in the one form for both families, which is how it is going to be asked about */
		addr_wildcard(ret_source, AF_INET6);
		memcpy(&ret_source->in6.sin6_addr, address, sizeof(address));
		return 0;
	}
	rc = diag_source(diag, peer, ret_source);
	if (rc)
		return rc;
	addr_bytes(ret_source, bytes);
	memcpy(address, bytes, sizeof(address));
	store(&slot->address[0], address[0]);
	store(&slot->address[1], address[1]);
	store(&slot->time_ms, now);
	store(&slot->sum, slot_sum(key, peer_id, address, now));
	return 0;
}
