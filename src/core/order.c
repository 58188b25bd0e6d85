#include "order.h"

#include <endian.h>
#include <string.h>

/*
 * Theory of operation
 *
 * RFC 6056 counts in ports from min_ephemeral. We count in indexes of the range, so
 * that gaps in it do not matter. "random()" is SipHash over the number of the walk and
 * the number of the draw. So nothing here has state, and the same inputs give the same
 * sequence, as `seed` promises.
 *
 * The RFC initializes some variables at boot with random values (the table of
 * Algorithm 4, next_ephemeral of Algorithm 5). We derive such a value from the key and
 * add it to a cursor that starts at 0. So a new state file is a key and zeros.
 */

/* A label for each use of the key, so that no two uses get the same hash. */
enum use { USE_DRAW = 1, USE_F, USE_G, USE_TABLE, USE_INCREMENTS, USE_ROUND };

static const char *const names[ORDER_COUNT] = {
	[ORDER_AUTO] = "auto",
	[ORDER_SEQUENTIAL] = "sequential",
	[ORDER_RANDOM] = "random",
	[ORDER_RANDOM_SIMPLE] = "random-simple",
	[ORDER_HASH] = "hash",
	[ORDER_DOUBLE_HASH] = "double-hash",
	[ORDER_RANDOM_INCREMENTS] = "random-increments",
};

int order_parse(const char *name)
{
	int i;

	for (i = 0; i < ORDER_COUNT; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

const char *order_name(enum order order)
{
	return names[order];
}

const char *order_names(void)
{
	return "auto, sequential, random, random-simple, hash, double-hash, random-increments";
}

bool order_has_cursor(enum order order)
{
	return order == ORDER_SEQUENTIAL || order == ORDER_HASH || order == ORDER_DOUBLE_HASH ||
	       order == ORDER_RANDOM_INCREMENTS;
}

static uint64_t hash_numbers(const struct siphash_key *key, enum use use, uint64_t a, uint64_t b)
{
	const uint64_t message[] = { htole64(use), htole64(a), htole64(b) };

	return siphash(key, message, sizeof(message));
}

static uint64_t hash_flow(const struct siphash_key *key, enum use use,
			  const struct order_flow *flow)
{
	uint8_t message[16 + 16 + 3];

	memcpy(message, flow->local, 16);
	memcpy(message + 16, flow->remote, 16);
	message[32] = (uint8_t)(flow->remote_port >> 8);
	message[33] = (uint8_t)flow->remote_port;
	message[34] = (uint8_t)use;
	return siphash(key, message, sizeof(message));
}

uint32_t order_table_index(const struct siphash_key *key, const struct order_flow *flow)
{
	return (uint32_t)(hash_flow(key, USE_G, flow) % ORDER_TABLE_LENGTH);
}

void order_start(struct order_walk *walk, enum order order, uint32_t count, uint32_t cursor,
		 uint64_t draw, const struct siphash_key *key, const struct order_flow *flow)
{
	walk->order = order;
	walk->count = count;
	walk->rest = 0;
	walk->halves = false;
	walk->odd = false;
	walk->in_rounds = false;
	walk->step = 0;
	walk->draw = draw;
	walk->key = *key;
	walk->at = 0;
	switch (order) {
	case ORDER_RANDOM:
		walk->at = hash_numbers(key, USE_DRAW, draw, 0) % count;
		break;
	case ORDER_HASH:
		walk->at = hash_flow(key, USE_F, flow) % count + cursor;
		break;
	case ORDER_DOUBLE_HASH:
		walk->at = hash_flow(key, USE_F, flow) % count + cursor +
			   hash_numbers(key, USE_TABLE, order_table_index(key, flow), 0) % 65536;
		break;
	case ORDER_RANDOM_INCREMENTS:
		walk->at = hash_numbers(key, USE_INCREMENTS, 0, 0) % 65536 + cursor;
		break;
	case ORDER_SEQUENTIAL:
		walk->at = cursor;
		break;
	default:
		break;
	}
	walk->from = walk->at;
}

void order_halves(struct order_walk *walk, bool odd_first)
{
	const uint32_t odds = walk->count / 2, evens = walk->count - odds;

	if (!odds)
		return;
	walk->halves = true;
	walk->odd = odd_first;
	walk->count = odd_first ? odds : evens;
	walk->rest = odd_first ? evens : odds;
}

void order_in_rounds(struct order_walk *walk, uint32_t cursor)
{
	walk->in_rounds = true;
	walk->rounds = hash_numbers(&walk->key, USE_ROUND, 0, 0);
	walk->at = cursor;
	walk->from = cursor;
}

/*
 * What a round mixes in: a multiply and a shift, as a walk over a full range goes through
 * thousands of candidates. The key is SipHash's.
 */
static uint32_t mix_round(uint64_t key, unsigned round, uint32_t half)
{
	uint64_t mixed = (key >> 16 * round | key << (64 - 16 * round) % 64) ^ half;

	mixed *= 0x9e3779b97f4a7c15ULL;
	mixed ^= mixed >> 32;
	mixed *= 0xd6e8feb86659fd93ULL;
	return (uint32_t)(mixed >> 32);
}

/*
 * A permutation of 0 to @count - 1, which the key decides: a Feistel network of the
 * next power of two, gone through again until the number is in the range (Black and
 * Rogaway, Ciphers with Arbitrary Finite Domains). Each round changes one part of the
 * number by the other, and the parts then change places, so their widths do, too.
 */
static uint32_t permute(uint64_t key, uint32_t number, uint32_t count)
{
	unsigned bits = 0, width, round;

	while (count > 1U << bits)
		bits++;
	do {
		uint32_t left, right, mixed;

		width = bits / 2;
		left = number >> (bits - width);
		right = number & ((1U << (bits - width)) - 1);
		for (round = 0; round < 4; round++) {
			mixed = left ^ mix_round(key, round, right);
			left = right;
			right = mixed & ((1U << width) - 1);
			width = bits - width;
		}
		number = left << (bits - width) | right;
	} while (number >= count);
	return number;
}

static bool next_of_half(struct order_walk *walk, uint32_t *ret_index)
{
	bool draws = walk->order == ORDER_RANDOM_SIMPLE || walk->order == ORDER_RANDOM_INCREMENTS;

	/* count is below 65536, so twice the steps do not overflow */
	if (walk->step >= (draws ? 2 * walk->count : walk->count))
		return false;
	if (!draws || walk->step >= walk->count) {
		*ret_index = (uint32_t)(walk->at++ % walk->count);
		if (walk->in_rounds)
			*ret_index = permute(walk->rounds, *ret_index, walk->count);
	} else {
		uint64_t drawn = hash_numbers(&walk->key, USE_DRAW, walk->draw, walk->step);

		if (walk->order == ORDER_RANDOM_SIMPLE)
			walk->at = drawn % walk->count;
		else
			walk->at += drawn % ORDER_INCREMENT_MAX + 1;
		*ret_index = (uint32_t)(walk->at % walk->count);
	}
	walk->step++;
	return true;
}

bool order_next(struct order_walk *walk, uint32_t *ret_index)
{
	if (!next_of_half(walk, ret_index)) {
		if (!walk->rest)
			return false;
		walk->odd = !walk->odd;
		walk->count = walk->rest;
		walk->rest = 0;
		walk->step = 0;
		next_of_half(walk, ret_index);
	}
	if (walk->halves)
		*ret_index = 2 * *ret_index + walk->odd;
	return true;
}

uint32_t order_advance(const struct order_walk *walk)
{
	return (uint32_t)(walk->at - walk->from);
}
