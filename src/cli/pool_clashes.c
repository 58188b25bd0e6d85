#include "pool_clashes.h"

#include "../core/preset.h"
#include "../machine/agents.h"

#include <stdio.h>
#include <stdlib.h>

/* The ports that the kernel gives to programs that ask for any: Docker's published ones are of these, too. */
static void find_ephemeral(const struct range *pool, const char *text, pool_clashes_fn *found,
			   void *context)
{
	struct range_set *set = calloc(2, sizeof(*set));
	struct range_set *other = set ? set + 1 : NULL;
	char line[256];
	uint16_t first, last;

	if (!set || preset_ephemeral(&first, &last) || preset_add_reserved(other)) {
		free(set);
		return;
	}
	/* what is in the pool, and open to all */
	range_set_add_range(set, pool);
	if (first > 1)
		range_set_add(other, 1, (uint16_t)(first - 1));
	if (last < 65535)
		range_set_add(other, (uint16_t)(last + 1), 65535);
	range_set_remove(set, other);
	if (set->count) {
		snprintf(
			line, sizeof(line),
			"the pool %s meets the ephemeral range %d-%d, whose ports the kernel gives to "
			"any program; choose a 'pool' outside of it, or reserve the pool",
			text, first, last);
		found(context, line);
	}
	free(set);
}

void pool_clashes_find(const struct range *pool, pool_clashes_fn *found, void *context)
{
	const struct agent *agent[AGENTS_MOST];
	const size_t count = agents_seen(pool, agent);
	char text[64], line[256];
	size_t i;

	range_format(pool, text, sizeof(text));
	for (i = 0; i < count; i++) {
		snprintf(
			line, sizeof(line),
			"the pool %s meets %d-%d, which %s uses for %s by default, and %s is on this "
			"machine; choose another 'pool', or other ports for %s",
			text, agent[i]->first, agent[i]->last, agent[i]->name, agent[i]->use,
			agent[i]->name, agent[i]->name);
		found(context, line);
	}
	find_ephemeral(pool, text, found, context);
}
