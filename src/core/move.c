#include "move.h"

#include <netinet/in.h>

bool move_wanted(const struct rule *rule, enum proto proto, uint16_t port)
{
	if (rule->bind != BIND_MOVE || range_has(rule->range[proto], port))
		return false;
	return rule->move ? range_has(rule->move, port) : port >= IPPORT_RESERVED;
}

static _Atomic uint32_t *slot(const struct state *state, enum proto proto, uint16_t port)
{
	return &state->file->moved[proto][port % STATE_MOVED];
}

void move_remember(const struct state *state, enum proto proto, uint16_t port, uint16_t real)
{
	atomic_store_explicit(slot(state, proto, port), (uint32_t)port << 16 | real,
			      memory_order_relaxed);
}

uint16_t move_remembered(const struct state *state, enum proto proto, uint16_t port)
{
	const uint32_t known = atomic_load_explicit(slot(state, proto, port), memory_order_relaxed);

	return known >> 16 == port ? (uint16_t)known : 0;
}

uint32_t move_start(const struct rule *rule, const struct state *state, enum proto proto,
		    uint16_t port)
{
	const struct range *range = rule->range[proto];
	const uint16_t before = move_remembered(state, proto, (uint16_t)(port - 1));
	uint32_t index = port % range->count;

	if (before && before < UINT16_MAX && range_has(range, (uint16_t)(before + 1)))
		return range_index(range, (uint16_t)(before + 1));
	if ((range_port(range, index) ^ port) & 1)
		index = (index + 1) % range->count;
	return index;
}
