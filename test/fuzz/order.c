/* order: a walk gives each index at least once, or exactly once if its order does not draw, and ends. */
#include "../../src/core/order.h"

#include "fuzz.h"

static bool draws(enum order order)
{
	return order == ORDER_RANDOM_SIMPLE || order == ORDER_RANDOM_INCREMENTS;
}

static void walk_through(struct order_walk *walk, uint32_t count)
{
	const uint32_t most = draws(walk->order) ? 2 * count : count;
	uint32_t index, seen = 0, steps;
	bool *is_seen = calloc(count, sizeof(*is_seen));

	if (!is_seen)
		abort();
	for (steps = 0; order_next(walk, &index); steps++) {
		CLAIM(index < count && steps < most);
		CLAIM(draws(walk->order) || !is_seen[index]);
		seen += !is_seen[index];
		is_seen[index] = true;
	}
	CLAIM(seen == count && steps == most);
	CLAIM(!order_next(walk, &index));
	free(is_seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	struct order_walk walk, twin;
	struct siphash_key key;
	struct order_flow flow;
	enum order order;
	uint32_t count, cursor, a = 0, b = 0;
	uint64_t draw;
	bool odd;

	order = (enum order)(1 + fuzz_byte(&fuzz) % (ORDER_COUNT - 1));
	odd = fuzz_byte(&fuzz) & 1;
	/* mostly small, as each walk goes to its end */
	count = fuzz_word(&fuzz);
	count = 1 + count % (fuzz_byte(&fuzz) == 255 ? 5000 : 300);
	cursor = (uint32_t)fuzz_number(&fuzz);
	draw = fuzz_number(&fuzz);
	fuzz_bytes(&fuzz, &key, sizeof(key));
	fuzz_bytes(&fuzz, &flow, sizeof(flow));
	CLAIM(order_table_index(&key, &flow) < ORDER_TABLE_LENGTH);
	order_start(&walk, order, count, cursor, draw, &key, &flow);
	if (odd)
		order_halves(&walk, cursor & 1);
	if (odd && order == ORDER_RANDOM)
		order_in_rounds(&walk, cursor);
	twin = walk;
	CLAIM(order_next(&twin, &a) && order_advance(&twin) >= (order != ORDER_RANDOM_SIMPLE));
	twin = walk;
	CLAIM(order_next(&twin, &b) && a == b);
	walk_through(&walk, count);
	return 0;
}
