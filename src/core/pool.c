#include "pool.h"

#include "text.h"

#include <errno.h>
#include <string.h>

const char *pool_skip_lease(const char *text)
{
	const size_t len = strlen("lease");

	if (strncmp(text, "lease", len) != 0 || (text[len] && !strchr(" \t,", text[len])))
		return NULL;
	return text + len + strspn(text + len, " \t");
}

int pool_parse_lease(const char *text, uint32_t *ret_count, struct reason *ret_why)
{
	const char *end = text;
	uint64_t count;

	if (!text_get_number(&end, NULL, 65535, &count) || *end || !count)
		return reason_refuse(ret_why,
				     REASON_QUOTED
				     " is no number of ports for a lease, write a whole number "
				     "from 1 to 65535",
				     text);
	*ret_count = (uint32_t)count;
	return 0;
}

int pool_check_lease(uint32_t count, const struct range *pool, struct reason *ret_why)
{
	uint32_t i, most = 0;
	char text[64];

	for (i = 0; i < pool->spans; i++)
		if (most < pool->span[i].last - pool->span[i].first + 1U)
			most = pool->span[i].last - pool->span[i].first + 1U;
	if (count <= most)
		return 0;
	range_format(pool, text, sizeof(text));
	return reason_refuse(
		ret_why,
		"a lease of %u ports does not fit into the pool %s, which has %u in one piece; ask for "
		"fewer, or for a larger 'pool'",
		count, text, most);
}

/* Adds the ports that a rule has as its own. */
static void add_own(const struct rule *rule, struct range_set *own)
{
	int proto;

	/* the range of [*] is for every program */
	if (rule->lease || !strcmp(rule->name, "*"))
		return;
	for (proto = 0; proto < PROTO_COUNT; proto++)
		/* a rule with a mistake may have none */
		if (rule->range[proto])
			range_set_add_range(own, rule->range[proto]);
}

int pool_find(const struct policy *policy, struct arena *arena, const struct range **ret_pool)
{
	struct range_set *set, *own;
	size_t i;

	if (policy->pool) {
		*ret_pool = policy->pool;
		return 0;
	}
	set = arena_alloc(arena, sizeof(*set));
	own = arena_alloc(arena, sizeof(*own));
	if (!set || !own)
		return -ENOMEM;
	for (i = 0; i < policy->count; i++)
		add_own(policy->rules[i], own);
	range_set_add(set, POOL_FIRST, POOL_LAST);
	range_set_remove(set, own);
	return range_build(set, arena, ret_pool);
}
