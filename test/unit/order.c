/*
 * order against RFC 6056. The RFC's pseudo-code is written out below in its own
 * terms: ports, min_ephemeral, max_ephemeral, check_suitable_port(), one loop
 * that counts down. Both get the same random(), F and G, which are the keyed hash as
 * order.c uses it. They are tested here, too: a change would break the promise of
 * `seed = N`.
 */
#include "../../src/core/order.h"
#include "unit.h"

#include <stdlib.h>

#define PORTS_MAX 65535
#define STEPS_MAX (2 * PORTS_MAX)

static const struct siphash_key some_key = { { 0x243f6a8885a308d3, 0x13198a2e03707344 } };
static const uint32_t counts[] = { 1, 2, 3, 100, 256, 1000, 28232, 65535 };
static const enum order orders[] = { ORDER_SEQUENTIAL, ORDER_RANDOM,      ORDER_RANDOM_SIMPLE,
				     ORDER_HASH,       ORDER_DOUBLE_HASH, ORDER_RANDOM_INCREMENTS };

#define COUNTS (sizeof(counts) / sizeof(counts[0]))
#define ORDERS (sizeof(orders) / sizeof(orders[0]))

static struct order_flow a_flow(uint64_t *random)
{
	struct order_flow flow;
	size_t i;

	for (i = 0; i < 16; i++) {
		flow.local[i] = (uint8_t)unit_random(random);
		flow.remote[i] = (uint8_t)unit_random(random);
	}
	flow.remote_port = (uint16_t)unit_random(random);
	return flow;
}

/* ---- random(), F and G ---- */

static uint64_t keyed(const struct siphash_key *key, uint64_t use, uint64_t a, uint64_t b)
{
	uint64_t message[3] = { use, a, b };

	return siphash(key, message, sizeof(message));
}

static uint64_t keyed_flow(const struct siphash_key *key, uint8_t use,
			   const struct order_flow *flow)
{
	uint8_t message[35];

	memcpy(message, flow->local, 16);
	memcpy(message + 16, flow->remote, 16);
	message[32] = flow->remote_port >> 8;
	message[33] = flow->remote_port & 0xff;
	message[34] = use;
	return siphash(key, message, sizeof(message));
}

/* The RFC's random(), as walk number @draw sees it when called for the @call-th time. */
static uint64_t rfc_random(const struct siphash_key *key, uint64_t draw, uint64_t call)
{
	return keyed(key, 1, draw, call);
}

static uint64_t F(const struct siphash_key *key, const struct order_flow *flow)
{
	return keyed_flow(key, 2, flow);
}

static uint32_t G(const struct siphash_key *key, const struct order_flow *flow)
{
	return (uint32_t)(keyed_flow(key, 3, flow) % ORDER_TABLE_LENGTH);
}

/* ---- the RFC's text ---- */

/* What the RFC keeps between two selections. Its "int" is wide enough here never to overflow. */
struct rfc {
	const struct siphash_key *key;
	unsigned min_ephemeral, max_ephemeral;
	uint64_t next_ephemeral;
	uint64_t table[ORDER_TABLE_LENGTH];
	/* check_suitable_port(): refuses this many ports, and notes which it was asked about */
	uint32_t refuse;
	uint32_t asked;
	uint16_t *port;
};

static void rfc_boot(struct rfc *rfc, enum order order, const struct siphash_key *key, unsigned min,
		     unsigned max)
{
	unsigned i;

	rfc->key = key;
	rfc->min_ephemeral = min;
	rfc->max_ephemeral = max;
	switch (order) {
	case ORDER_SEQUENTIAL: /* section 2.2 */
		rfc->next_ephemeral = min;
		break;
	case ORDER_HASH: /* section 3.3.3 */
		rfc->next_ephemeral = 0;
		break;
	case ORDER_DOUBLE_HASH: /* section 3.3.4 */
		for (i = 0; i < ORDER_TABLE_LENGTH; i++)
			rfc->table[i] = keyed(key, 4, i, 0) % 65536;
		break;
	case ORDER_RANDOM_INCREMENTS: /* section 3.3.5 */
		rfc->next_ephemeral = keyed(key, 5, 0, 0) % 65536;
		break;
	default:
		break;
	}
}

static bool check_suitable_port(struct rfc *rfc, uint64_t port)
{
	rfc->port[rfc->asked++] = (uint16_t)port;
	return rfc->asked > rfc->refuse;
}

/* Section 2.2, the traditional BSD algorithm. */
static bool rfc_traditional(struct rfc *rfc)
{
	unsigned count = rfc->max_ephemeral - rfc->min_ephemeral + 1;

	do {
		uint64_t port = rfc->next_ephemeral;

		if (rfc->next_ephemeral == rfc->max_ephemeral)
			rfc->next_ephemeral = rfc->min_ephemeral;
		else
			rfc->next_ephemeral++;
		if (check_suitable_port(rfc, port))
			return true;
		count--;
	} while (count > 0);
	return false;
}

/* Section 3.3.1, Algorithm 1. */
static bool rfc_algorithm_1(struct rfc *rfc, uint64_t draw)
{
	unsigned num_ephemeral = rfc->max_ephemeral - rfc->min_ephemeral + 1;
	uint64_t next_ephemeral =
		rfc->min_ephemeral + rfc_random(rfc->key, draw, 0) % num_ephemeral;
	unsigned count = num_ephemeral;

	do {
		if (check_suitable_port(rfc, next_ephemeral))
			return true;
		if (next_ephemeral == rfc->max_ephemeral)
			next_ephemeral = rfc->min_ephemeral;
		else
			next_ephemeral++;
		count--;
	} while (count > 0);
	return false;
}

/* Section 3.3.2, Algorithm 2. The last draw of the loop is not used. */
static bool rfc_algorithm_2(struct rfc *rfc, uint64_t draw)
{
	unsigned num_ephemeral = rfc->max_ephemeral - rfc->min_ephemeral + 1;
	uint64_t call = 0;
	uint64_t next_ephemeral =
		rfc->min_ephemeral + rfc_random(rfc->key, draw, call++) % num_ephemeral;
	unsigned count = num_ephemeral;

	do {
		if (check_suitable_port(rfc, next_ephemeral))
			return true;
		next_ephemeral =
			rfc->min_ephemeral + rfc_random(rfc->key, draw, call++) % num_ephemeral;
		count--;
	} while (count > 0);
	return false;
}

/* Section 3.3.3, Algorithm 3. The sum may exceed 64 bits, the RFC knows no such limit. */
static bool rfc_algorithm_3(struct rfc *rfc, const struct order_flow *flow)
{
	unsigned num_ephemeral = rfc->max_ephemeral - rfc->min_ephemeral + 1;
	unsigned __int128 offset = F(rfc->key, flow);
	unsigned count = num_ephemeral;

	do {
		uint64_t port = rfc->min_ephemeral +
				(uint64_t)((rfc->next_ephemeral + offset) % num_ephemeral);

		rfc->next_ephemeral++;
		if (check_suitable_port(rfc, port))
			return true;
		count--;
	} while (count > 0);
	return false;
}

/* Section 3.3.4, Algorithm 4. */
static bool rfc_algorithm_4(struct rfc *rfc, const struct order_flow *flow)
{
	unsigned num_ephemeral = rfc->max_ephemeral - rfc->min_ephemeral + 1;
	unsigned __int128 offset = F(rfc->key, flow);
	uint32_t index = G(rfc->key, flow);
	unsigned count = num_ephemeral;

	do {
		uint64_t port = rfc->min_ephemeral +
				(uint64_t)((offset + rfc->table[index]) % num_ephemeral);

		rfc->table[index]++;
		if (check_suitable_port(rfc, port))
			return true;
		count--;
	} while (count > 0);
	return false;
}

/* Section 3.3.5, Algorithm 5. */
static bool rfc_algorithm_5(struct rfc *rfc, uint64_t draw)
{
	unsigned num_ephemeral = rfc->max_ephemeral - rfc->min_ephemeral + 1;
	unsigned count = num_ephemeral;
	uint64_t call = 0;

	do {
		uint64_t port;

		rfc->next_ephemeral =
			rfc->next_ephemeral + rfc_random(rfc->key, draw, call++) % 500 + 1;
		port = rfc->min_ephemeral + rfc->next_ephemeral % num_ephemeral;
		if (check_suitable_port(rfc, port))
			return true;
		count--;
	} while (count > 0);
	return false;
}

/* Return: was a port found? The ports asked about are in rfc->port */
static bool rfc_select(struct rfc *rfc, enum order order, uint64_t draw,
		       const struct order_flow *flow, uint32_t refuse)
{
	rfc->refuse = refuse;
	rfc->asked = 0;
	switch (order) {
	case ORDER_SEQUENTIAL:
		return rfc_traditional(rfc);
	case ORDER_RANDOM:
		return rfc_algorithm_1(rfc, draw);
	case ORDER_RANDOM_SIMPLE:
		return rfc_algorithm_2(rfc, draw);
	case ORDER_HASH:
		return rfc_algorithm_3(rfc, flow);
	case ORDER_DOUBLE_HASH:
		return rfc_algorithm_4(rfc, flow);
	case ORDER_RANDOM_INCREMENTS:
		return rfc_algorithm_5(rfc, draw);
	default:
		return false;
	}
}

/* The variable of @rfc that @order's cursor stands for. */
static uint64_t *rfc_variable(struct rfc *rfc, enum order order, const struct order_flow *flow)
{
	return order == ORDER_DOUBLE_HASH ? &rfc->table[G(rfc->key, flow)] : &rfc->next_ephemeral;
}

static struct rfc new_rfc(void)
{
	struct rfc rfc = { .port = malloc(STEPS_MAX * sizeof(*rfc.port)) };

	if (!rfc.port)
		abort();
	return rfc;
}

/* ---- groups ---- */

/* Compares one whole walk from a given cursor with the RFC's. */
static void compare_walk(struct rfc *rfc, enum order order, uint32_t count, uint32_t cursor,
			 const struct siphash_key *key, uint64_t draw,
			 const struct order_flow *flow)
{
	unsigned min = PORTS_MAX - count + 1; /* so that the last port of all is in it */
	struct order_walk walk;
	uint64_t *variable;
	uint32_t index, i;

	rfc_boot(rfc, order, key, min, PORTS_MAX);
	variable = rfc_variable(rfc, order, flow);
	if (order == ORDER_SEQUENTIAL)
		*variable = min + cursor % count;
	else
		*variable += cursor;
	rfc_select(rfc, order, draw, flow, UINT32_MAX);
	if (!CHECK(rfc->asked == count, "%s, %u ports: %u candidates", order_name(order), count,
		   rfc->asked))
		return;
	order_start(&walk, order, count, cursor, draw, key, flow);
	for (i = 0; i < count; i++) {
		if (!CHECK(order_next(&walk, &index),
			   "%s, %u ports, cursor %u: ends after %u candidates", order_name(order),
			   count, cursor, i))
			return;
		if (!CHECK(min + index == rfc->port[i],
			   "%s, %u ports, cursor %u, candidate %u: got port %u, the RFC says %u",
			   order_name(order), count, cursor, i, min + index, rfc->port[i]))
			return;
	}
}

static void compare_order(enum order order)
{
	struct rfc rfc = new_rfc();
	uint64_t random = 42;
	size_t c, k, seed;

	for (c = 0; c < COUNTS; c++) {
		uint32_t cursors[] = {
			0, counts[c] - 1, counts[c], counts[c] + 1, 65536, UINT32_MAX
		};

		for (k = 0; k < sizeof(cursors) / sizeof(cursors[0]); k++) {
			for (seed = 0; seed < (counts[c] > 1000 ? 2 : 20); seed++) {
				struct siphash_key key = { { unit_random(&random), seed } };
				struct order_flow flow = a_flow(&random);

				compare_walk(&rfc, order, counts[c], cursors[k], &key,
					     seed % 2 ? seed : unit_random(&random), &flow);
			}
		}
	}
	free(rfc.port);
}

static void traditional(void)
{
	compare_order(ORDER_SEQUENTIAL);
}

static void algorithm_1(void)
{
	compare_order(ORDER_RANDOM);
}

static void algorithm_2(void)
{
	compare_order(ORDER_RANDOM_SIMPLE);
}

static void algorithm_3(void)
{
	compare_order(ORDER_HASH);
}

static void algorithm_4(void)
{
	compare_order(ORDER_DOUBLE_HASH);
}

static void algorithm_5(void)
{
	compare_order(ORDER_RANDOM_INCREMENTS);
}

/*
 * A long run of selections, each of which finds its port after some refusals:
 * the cursor that order_advance() moves must keep pace with the RFC's variable.
 */
static void long_run(enum order order, uint32_t count)
{
	struct rfc rfc = new_rfc();
	uint32_t cursor = 0, table[ORDER_TABLE_LENGTH] = { 0 };
	uint64_t random = count, draw;
	unsigned min = count > PORTS_MAX - 1024 ? 1 : 1024;

	rfc_boot(&rfc, order, &some_key, min, min + count - 1);
	for (draw = 0; draw < 2000; draw++) {
		struct order_flow flow = a_flow(&random);
		uint32_t refuse = (uint32_t)(unit_random(&random) % (count < 20 ? count : 20));
		uint32_t *place = &cursor, index = 0, i;
		uint64_t before, after;
		struct order_walk walk;

		if (order == ORDER_DOUBLE_HASH)
			place = &table[order_table_index(&some_key, &flow)];
		before = *rfc_variable(&rfc, order, &flow);
		if (!CHECK(rfc_select(&rfc, order, draw, &flow, refuse),
			   "%s, %u ports: the RFC gave up", order_name(order), count))
			break;
		after = *rfc_variable(&rfc, order, &flow);
		order_start(&walk, order, count, *place, draw, &some_key, &flow);
		for (i = 0; i <= refuse; i++)
			CHECK(order_next(&walk, &index), "%s: over after %u", order_name(order), i);
		if (!CHECK(min + index == rfc.port[refuse],
			   "%s, %u ports, selection %llu: got %u, the RFC says %u",
			   order_name(order), count, (unsigned long long)draw, min + index,
			   rfc.port[refuse]))
			break;
		if (order == ORDER_SEQUENTIAL)
			after = before +
				order_advance(&walk); /* the RFC rolls over, the cursor goes on */
		if (order_has_cursor(order) &&
		    !CHECK(order_advance(&walk) == after - before,
			   "%s: got %u, the RFC's moved by %llu", order_name(order),
			   order_advance(&walk), (unsigned long long)(after - before)))
			break;
		if (order == ORDER_SEQUENTIAL)
			CHECK(order_advance(&walk) == refuse + 1, "got %u after %u candidates",
			      order_advance(&walk), refuse + 1);
		*place += order_advance(&walk);
	}
	free(rfc.port);
}

static void cursor_keeps_pace(void)
{
	size_t o, c;

	for (o = 0; o < ORDERS; o++)
		for (c = 0; c < COUNTS; c++)
			long_run(orders[o], counts[c]);
}

/* Counts how often each index comes up in a whole walk. Return: candidates */
static uint32_t tally(enum order order, uint32_t count, uint32_t cursor, uint64_t draw,
		      const struct order_flow *flow, uint32_t *ret_seen)
{
	struct order_walk walk;
	uint32_t index, steps = 0;

	memset(ret_seen, 0, PORTS_MAX * sizeof(*ret_seen));
	order_start(&walk, order, count, cursor, draw, &some_key, flow);
	while (order_next(&walk, &index)) {
		if (!CHECK(index < count && steps < STEPS_MAX,
			   "%s, %u ports: candidate %u is index %u", order_name(order), count,
			   steps, index))
			return steps;
		ret_seen[index]++;
		steps++;
	}
	/* a walk that is over stays so */
	CHECK(!order_next(&walk, &index), "%s, %u ports: goes on after its end", order_name(order),
	      count);
	return steps;
}

static void every_port(void)
{
	static uint32_t seen[PORTS_MAX];
	uint64_t random = 7;
	size_t o, c;
	int i;

	for (o = 0; o < ORDERS; o++) {
		bool draws =
			orders[o] == ORDER_RANDOM_SIMPLE || orders[o] == ORDER_RANDOM_INCREMENTS;

		for (c = 0; c < COUNTS; c++) {
			for (i = 0; i < (counts[c] > 1000 ? 2 : 50); i++) {
				struct order_flow flow = a_flow(&random);
				uint32_t steps =
					tally(orders[o], counts[c], (uint32_t)unit_random(&random),
					      unit_random(&random), &flow, seen);
				uint32_t k, missed = 0, twice = 0;

				for (k = 0; k < counts[c]; k++) {
					missed += !seen[k];
					twice += seen[k] > 1;
				}
				CHECK(!missed, "%s, %u ports: %u never came up",
				      order_name(orders[o]), counts[c], missed);
				CHECK(seen[counts[c] - 1],
				      "%s, %u ports: the last one never came up",
				      order_name(orders[o]), counts[c]);
				CHECK(draws || !twice, "%s, %u ports: %u came up again",
				      order_name(orders[o]), counts[c], twice);
				CHECK(steps == (draws ? 2 * counts[c] : counts[c]),
				      "%s, %u ports: %u candidates", order_name(orders[o]),
				      counts[c], steps);
			}
		}
	}
}

static void wrap_around(void)
{
	struct order_flow flow = { .remote_port = 80 };
	struct order_walk walk;
	uint32_t index = 0, i;

	/* 98, 99, 0, 1, ... */
	order_start(&walk, ORDER_SEQUENTIAL, 100, 98, 0, &some_key, &flow);
	for (i = 0; i < 100; i++) {
		CHECK(order_next(&walk, &index) && index == (98 + i) % 100, "candidate %u is %u", i,
		      index);
		CHECK(order_advance(&walk) == i + 1, "advance %u after %u", order_advance(&walk),
		      i + 1);
	}
	/* the cursor's own end: 2^32 - 1 = 95 modulo 100; the next walk begins at 2^32 - 1 + 1 = 0 */
	order_start(&walk, ORDER_SEQUENTIAL, 100, UINT32_MAX, 0, &some_key, &flow);
	CHECK(order_next(&walk, &index) && index == 95, "cursor 2^32 - 1 gave %u", index);
	CHECK(UINT32_MAX + order_advance(&walk) == 0, "the cursor became %u",
	      UINT32_MAX + order_advance(&walk));
	CHECK(order_next(&walk, &index) && index == 96, "then came %u", index);
}

static void one_port(void)
{
	static const uint32_t cursors[] = { 0, 1, 2, 65535, UINT32_MAX };
	static uint32_t seen[PORTS_MAX];
	uint64_t random = 3;
	size_t o, k;

	for (o = 0; o < ORDERS; o++) {
		for (k = 0; k < sizeof(cursors) / sizeof(cursors[0]); k++) {
			struct order_flow flow = a_flow(&random);
			uint32_t steps = tally(orders[o], 1, cursors[k], k, &flow, seen);

			CHECK(seen[0] == steps && steps >= 1, "%s, cursor %u: %u of %u",
			      order_name(orders[o]), cursors[k], seen[0], steps);
		}
	}
}

/* Are the first @n candidates of two walks the same? */
static bool same(enum order order, const struct siphash_key *a, uint64_t draw_a,
		 const struct siphash_key *b, uint64_t draw_b, const struct order_flow *flow_a,
		 const struct order_flow *flow_b)
{
	struct order_walk walk_a, walk_b;
	uint32_t i, index_a = 0, index_b = 0;

	order_start(&walk_a, order, 28232, 5, draw_a, a, flow_a);
	order_start(&walk_b, order, 28232, 5, draw_b, b, flow_b);
	for (i = 0; i < 50; i++) {
		order_next(&walk_a, &index_a);
		order_next(&walk_b, &index_b);
		if (index_a != index_b)
			return false;
	}
	return true;
}

static void seed_decides(void)
{
	struct siphash_key other_key = { { some_key.k[0], some_key.k[1] ^ 1 } };
	uint64_t random = 11;
	struct order_flow flow = a_flow(&random), other_flow = flow;
	size_t o;

	other_flow.remote_port ^= 1;
	for (o = 0; o < ORDERS; o++) {
		enum order order = orders[o];
		bool draws = order == ORDER_RANDOM || order == ORDER_RANDOM_SIMPLE ||
			     order == ORDER_RANDOM_INCREMENTS;
		bool hashes = order == ORDER_HASH || order == ORDER_DOUBLE_HASH;

		CHECK(same(order, &some_key, 9, &some_key, 9, &flow, &flow),
		      "%s: the same key gave another sequence", order_name(order));
		CHECK(same(order, &some_key, 9, &other_key, 9, &flow, &flow) ==
			      (order == ORDER_SEQUENTIAL),
		      "%s: another key", order_name(order));
		CHECK(same(order, &some_key, 9, &some_key, 10, &flow, &flow) == !draws,
		      "%s: another walk", order_name(order));
		CHECK(same(order, &some_key, 9, &some_key, 9, &flow, &other_flow) == !hashes,
		      "%s: another destination", order_name(order));
	}
}

/* Each part of the connection must count: a forgotten byte would make flows share their ports. */
static void whole_flow_counts(void)
{
	uint64_t random = 13;
	struct order_flow flow = a_flow(&random);
	uint32_t moved_table = 0;
	int bit;

	for (bit = 0; bit < 16 * 8 * 2 + 16; bit++) {
		struct order_flow other = flow;

		if (bit < 128)
			other.local[bit / 8] ^= (uint8_t)(1 << bit % 8);
		else if (bit < 256)
			other.remote[(bit - 128) / 8] ^= (uint8_t)(1 << bit % 8);
		else
			other.remote_port ^= (uint16_t)(1 << (bit - 256));
		CHECK(!same(ORDER_HASH, &some_key, 0, &some_key, 0, &flow, &other),
		      "hash: bit %d does not count", bit);
		CHECK(!same(ORDER_DOUBLE_HASH, &some_key, 0, &some_key, 0, &flow, &other),
		      "double-hash: bit %d does not count", bit);
		moved_table +=
			order_table_index(&some_key, &flow) != order_table_index(&some_key, &other);
	}
	/* 255 of 256 should */
	CHECK(moved_table > 260, "G changed for %u of 272 bits", moved_table);
}

#define CELLS 100

/* Pearson's chi-square of @cell against evenness. */
static double chi_square(const uint32_t cell[CELLS], uint32_t total)
{
	double even = (double)total / CELLS, sum = 0;
	int i;

	for (i = 0; i < CELLS; i++)
		sum += ((double)cell[i] - even) * ((double)cell[i] - even) / even;
	return sum;
}

/*
 * The first candidate of 100,000 walks over 100 ports. The key is fixed, so the
 * figure is the same in each run. With 99 degrees of freedom, a fair draw is
 * above 148 or below 61 once in a thousand times each.
 */
static void evenness(void)
{
	enum { WALKS = 100000 };
	static const enum order drawn[] = { ORDER_RANDOM, ORDER_RANDOM_SIMPLE, ORDER_HASH,
					    ORDER_DOUBLE_HASH };
	uint64_t random = 17;
	size_t o;

	for (o = 0; o < sizeof(drawn) / sizeof(drawn[0]); o++) {
		uint32_t cell[CELLS] = { 0 }, index, i;
		double chi;

		for (i = 0; i < WALKS; i++) {
			struct order_flow flow = a_flow(&random);
			struct order_walk walk;

			order_start(&walk, drawn[o], CELLS, 0, i, &some_key, &flow);
			if (order_next(&walk, &index) && index < CELLS)
				cell[index]++;
		}
		chi = chi_square(cell, WALKS);
		CHECK(chi > 61 && chi < 148, "%s: chi-square %.1f", order_name(drawn[o]), chi);
	}
}

/* Algorithm 5's steps are 1 to 500, each as likely, and no other. */
static void increments(void)
{
	enum { WALKS = 100000 };
	uint32_t cell[CELLS] = { 0 }, least = UINT32_MAX, most = 0, index, i;
	struct order_flow flow = { .remote_port = 1 };
	double chi;

	for (i = 0; i < WALKS; i++) {
		struct order_walk walk;
		uint32_t step;

		order_start(&walk, ORDER_RANDOM_INCREMENTS, 10000, 0, i, &some_key, &flow);
		order_next(&walk, &index);
		step = order_advance(&walk);
		least = step < least ? step : least;
		most = step > most ? step : most;
		if (step >= 1 && step <= 500)
			cell[(step - 1) / 5]++;
	}
	chi = chi_square(cell, WALKS);
	CHECK(least == 1 && most == 500, "steps are %u to %u", least, most);
	CHECK(chi > 61 && chi < 148, "chi-square %.1f", chi);
}

/* ---- halves ---- */

static void halves_of(enum order order, uint32_t count, bool odd_first, uint64_t *random)
{
	const struct siphash_key key = { { unit_random(random), unit_random(random) } };
	const struct order_flow flow = a_flow(random);
	uint32_t index, step, odds = count / 2, half = odd_first ? odds : count - odds;
	uint32_t strays = 0, seen = 0;
	bool draws = order == ORDER_RANDOM_SIMPLE || order == ORDER_RANDOM_INCREMENTS;
	static uint8_t had[PORTS_MAX];
	struct order_walk walk;

	memset(had, 0, count);
	order_start(&walk, order, count, (uint32_t)unit_random(random), 1, &key, &flow);
	order_halves(&walk, odd_first);
	for (step = 0; order_next(&walk, &index); step++) {
		bool first = step < (draws ? 2 : 1) * half;

		if (!CHECK(index < count, "%s of %u: index %u", order_name(order), count, index))
			return;
		strays += count > 1 && (index & 1) != (first == odd_first);
		seen += !had[index];
		had[index] = 1;
	}
	CHECK(!strays, "%s of %u: %u of the other half", order_name(order), count, strays);
	CHECK(seen == count, "%s of %u: %u seen", order_name(order), count, seen);
	CHECK(step == (draws ? 2 : 1) * count, "%s of %u: %u steps", order_name(order), count,
	      step);
}

static void halves(void)
{
	uint64_t random = 11;
	size_t i, j;

	for (i = 0; i < ORDERS; i++) {
		for (j = 0; j < COUNTS; j++) {
			halves_of(orders[i], counts[j], true, &random);
			halves_of(orders[i], counts[j], false, &random);
		}
	}
}

/* Walks that each take one index: in a round no index comes twice, and the next round repeats this one. */
static void rounds_of(uint32_t count, uint64_t *random)
{
	const struct siphash_key key = { { unit_random(random), unit_random(random) } };
	const struct order_flow flow = a_flow(random);
	static uint32_t first[PORTS_MAX];
	static uint8_t had[PORTS_MAX];
	uint32_t i, index, repeated = 0, rising = 0;
	struct order_walk walk;

	memset(had, 0, count);
	for (i = 0; i < 2 * count; i++) {
		order_start(&walk, ORDER_RANDOM, count, 0, unit_random(random), &key, &flow);
		order_in_rounds(&walk, i);
		if (!order_next(&walk, &index) || !CHECK(index < count, "index %u", index))
			return;
		CHECK(order_advance(&walk) == 1, "%u: advance", count);
		if (i < count) {
			repeated += had[index];
			had[index] = 1;
			first[i] = index;
			rising += i && index == first[i - 1] + 1;
		} else {
			repeated += index != first[i - count];
		}
	}
	CHECK(!repeated, "rounds of %u: %u out of turn", count, repeated);
	CHECK(count < 100 || rising < count / 10, "rounds of %u: %u follow each other", count,
	      rising);
}

static void rounds(void)
{
	uint64_t random = 12;
	size_t j;

	for (j = 0; j < COUNTS; j++)
		rounds_of(counts[j], &random);
}

/* ---- names ---- */

static void names(void)
{
	static const char *const known[] = {
		"auto", "sequential",  "random",           "random-simple",
		"hash", "double-hash", "random-increments"
	};
	static const char *const unknown[] = { "",       "Random",   "random ", "rand", "hash2",
					       "double", "sequence", "bsd",     "0" };
	char list[256] = "";
	int i;

	for (i = 0; i < ORDER_COUNT; i++) {
		CHECK(order_parse(known[i]) == i, "'%s' is %d", known[i], order_parse(known[i]));
		CHECK_TEXT(order_name((enum order)i), known[i], "order %d", i);
		strcat(strcat(list, i ? ", " : ""), known[i]);
	}
	CHECK_TEXT(order_names(), list, "the list for messages");
	for (i = 0; i < (int)(sizeof(unknown) / sizeof(unknown[0])); i++)
		CHECK(order_parse(unknown[i]) == -1, "'%s' is %d", unknown[i],
		      order_parse(unknown[i]));
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "traditional", traditional },
		{ "algorithm-1", algorithm_1 },
		{ "algorithm-2", algorithm_2 },
		{ "algorithm-3", algorithm_3 },
		{ "algorithm-4", algorithm_4 },
		{ "algorithm-5", algorithm_5 },
		{ "cursor-keeps-pace", cursor_keeps_pace },
		{ "every-port", every_port },
		{ "wrap-around", wrap_around },
		{ "one-port", one_port },
		{ "seed-decides", seed_decides },
		{ "whole-flow-counts", whole_flow_counts },
		{ "evenness", evenness },
		{ "increments", increments },
		{ "halves", halves },
		{ "rounds", rounds },
		{ "names", names },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
