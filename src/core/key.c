#include "key.h"

#include "preset.h"
#include "range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const bind_names[] = { "allow", "own", "deny", NULL };
static const char *const exhausted_names[] = { "fail", "system", NULL };
static const char *const engine_names[] = { "auto", "kernel", "bind", NULL };
static const char *const via_names[] = { "auto", "preload", "supervise", "both", NULL };
static const char *const io_uring_names[] = { "deny", "allow", NULL };

static int parse_choice(const char *const *names, const char *key, const char *text, char *ret_why,
			size_t size)
{
	size_t len;
	int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(names[i], text))
			return i;
	len = (size_t)snprintf(ret_why, size, "'%s' is no value of '%s', use", text, key);
	for (i = 0; names[i] && len < size; i++)
		len += (size_t)snprintf(ret_why + len, size - len, "%s %s",
					!i             ? ""
					: names[i + 1] ? ","
						       : " or",
					names[i]);
	return -1;
}

static int parse_seed(const char *text, uint64_t *ret_seed, char *ret_why, size_t size)
{
	unsigned long long seed;
	char *end;

	errno = 0;
	seed = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno) {
		snprintf(ret_why, size, "'%s' is no seed, write a whole number from 0 to %llu",
			 text, ~0ULL);
		return -EINVAL;
	}
	*ret_seed = seed;
	return 0;
}

static int parse_globs(const char *text, struct arena *arena, const char **ret_globs, char *ret_why,
		       size_t size)
{
	const char *item = text;

	/* a list with an empty item is a slip of the hand: "a,,b" or "a," */
	for (;;) {
		item += strspn(item, " \t");
		if (*item == ',' || !*item) {
			snprintf(ret_why, size,
				 "'%s' has an empty item, write globs separated by commas", text);
			return -EINVAL;
		}
		item = strchrnul(item, ',');
		if (!*item)
			break;
		item++;
	}
	*ret_globs = arena_copy(arena, text, strlen(text));
	return *ret_globs ? 0 : -ENOMEM;
}

static int parse_map(const char *text, struct arena *arena, const struct portmap **ret_map,
		     char *ret_why, size_t size)
{
	struct portmap *map = arena_alloc(arena, sizeof(*map));
	int rc = map ? portmap_parse(text, map, ret_why, size) : -ENOMEM;

	if (!rc)
		*ret_map = map;
	return rc;
}

int key_set(struct rule *rule, enum key key, const char *text, struct arena *arena, char *ret_why,
	    size_t size)
{
	int choice = 0;

	switch (key) {
	case KEY_MATCH:
		return parse_globs(text, arena, &rule->match, ret_why, size);
	case KEY_ARGS:
		return parse_globs(text, arena, &rule->args, ret_why, size);
	case KEY_ORDER:
		choice = order_parse(text);
		if (choice < 0)
			snprintf(ret_why, size, "'%s' is no order, use one of: %s", text,
				 order_names());
		else
			rule->order = (enum order)choice;
		break;
	case KEY_SEED:
		rule->seeded = true;
		return parse_seed(text, &rule->seed, ret_why, size);
	case KEY_BIND:
		choice = parse_choice(bind_names, "bind", text, ret_why, size);
		rule->bind = (enum bind_policy)choice;
		break;
	case KEY_EXHAUSTED:
		choice = parse_choice(exhausted_names, "exhausted", text, ret_why, size);
		rule->exhausted = (enum exhausted)choice;
		break;
	case KEY_ENGINE:
		choice = parse_choice(engine_names, "engine", text, ret_why, size);
		rule->engine = (enum engine)choice;
		break;
	case KEY_VIA:
		choice = parse_choice(via_names, "via", text, ret_why, size);
		rule->via = (enum via)choice;
		break;
	case KEY_MAP:
		return parse_map(text, arena, &rule->map, ret_why, size);
	case KEY_IO_URING:
		choice = parse_choice(io_uring_names, "io-uring", text, ret_why, size);
		rule->io_uring = choice == 1;
		break;
	default:
		break;
	}
	return choice < 0 ? -EINVAL : 0;
}

int key_range(const char *text, struct arena *arena, const struct range **ret_range, char *ret_why,
	      size_t size)
{
	struct range_set *set = arena_alloc(arena, sizeof(*set));
	int rc;

	if (!set) {
		snprintf(ret_why, size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	rc = range_parse(text, preset_add, set, ret_why, size);
	if (rc)
		return rc;
	rc = range_build(set, arena, ret_range);
	if (rc)
		snprintf(ret_why, size, "%s", strerror(-rc));
	return rc;
}

const char *key_skip_lease(const char *text)
{
	const size_t len = strlen("lease");

	if (strncmp(text, "lease", len) || (text[len] && !strchr(" \t,", text[len])))
		return NULL;
	return text + len + strspn(text + len, " \t");
}

int key_lease(const char *text, uint32_t *ret_count, char *ret_why, size_t size)
{
	unsigned long count;
	char *end;

	errno = 0;
	count = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || !count || count > 65535) {
		snprintf(
			ret_why, size,
			"'%s' is no number of ports for a lease, write a whole number from 1 to 65535",
			text);
		return -EINVAL;
	}
	*ret_count = (uint32_t)count;
	return 0;
}

int key_lease_fits(uint32_t count, const struct range *pool, char *ret_why, size_t size)
{
	uint32_t i, most = 0;
	char text[64];

	for (i = 0; i < pool->spans; i++)
		if (most < pool->span[i].last - pool->span[i].first + 1U)
			most = pool->span[i].last - pool->span[i].first + 1U;
	if (count <= most)
		return 0;
	range_format(pool, text, sizeof(text));
	snprintf(
		ret_why, size,
		"a lease of %u ports does not fit into the pool %s, which has %u in one piece; ask for "
		"fewer, or for a larger 'pool'",
		count, text, most);
	return -EINVAL;
}

int key_pool(const struct policy *policy, struct arena *arena, const struct range **ret_pool)
{
	struct range_set *set, *own;
	size_t i;
	int proto;

	if (policy->pool) {
		*ret_pool = policy->pool;
		return 0;
	}
	set = arena_alloc(arena, sizeof(*set));
	own = arena_alloc(arena, sizeof(*own));
	if (!set || !own)
		return -ENOMEM;
	for (i = 0; i < policy->count; i++) {
		const struct rule *rule = policy->rules[i];

		/* every program's range is nobody's own */
		for (proto = 0; !rule->lease && strcmp(rule->name, "*") && proto < PROTO_COUNT;
		     proto++) {
			/* of one with a mistake, there may be none */
			if (rule->range[proto])
				range_set_add_range(own, rule->range[proto]);
		}
	}
	range_set_add(set, KEY_POOL_FIRST, KEY_POOL_LAST);
	range_set_remove(set, own);
	return range_build(set, arena, ret_pool);
}

int key_override(struct rule *rule, enum key key, const char *text, struct arena *arena,
		 char *ret_why, size_t size)
{
	const struct range *range = NULL;
	int rc;

	if (key != KEY_RANGE)
		return key_set(rule, key, text, arena, ret_why, size);
	if (key_skip_lease(text)) {
		snprintf(ret_why, size,
			 "'%s' is no range by itself, it is for 'range' in the configuration; use "
			 "'portfence run --lease N'",
			 text);
		return -EINVAL;
	}
	rc = key_range(text, arena, &range, ret_why, size);
	if (rc)
		return rc;
	rule->range[PROTO_TCP] = range;
	rule->range[PROTO_UDP] = range;
	rule->range[PROTO_SCTP] = range;
	rule->lease = 0;
	return 0;
}

int key_place_map(struct rule *rule, struct arena *arena, char *ret_why, size_t size)
{
	const struct range *left[PROTO_COUNT];
	struct portmap *map;
	int rc, proto;

	if (!rule->map)
		return 0;
	map = arena_alloc(arena, sizeof(*map));
	if (!map)
		return -ENOMEM;
	*map = *rule->map;
	rc = portmap_place(map, rule->range, PROTO_COUNT, ret_why, size);
	for (proto = 0; !rc && proto < PROTO_COUNT; proto++) {
		if (proto && rule->range[proto] == rule->range[0]) {
			left[proto] = left[0];
			continue;
		}
		rc = portmap_take_out(map, rule->range[proto], arena, &left[proto]);
		if (rc == -EINVAL)
			snprintf(ret_why, size,
				 "'map' leaves no port of the range for %s, give it more",
				 policy_proto_name((enum proto)proto));
	}
	if (rc)
		return rc;
	memcpy(rule->range, left, sizeof(left));
	rule->map = map;
	return 0;
}

int key_check(const struct rule *rule, char *ret_why, size_t size)
{
	int proto;

	if (rule->engine != ENGINE_KERNEL)
		return 0;
	if (rule->order != ORDER_AUTO) {
		snprintf(
			ret_why, size,
			"order '%s' cannot go with 'engine = kernel', which keeps to the kernel's own order; "
			"use 'engine = auto'",
			order_name(rule->order));
		return -EINVAL;
	}
	for (proto = 0; proto < PROTO_COUNT; proto++) {
		/* a lease is one block, whatever the pool is */
		if (rule->lease || rule->range[proto]->spans == 1)
			continue;
		snprintf(
			ret_why, size,
			"'engine = kernel' takes one unbroken range, and that for %s has gaps; use "
			"'engine = auto'",
			policy_proto_name((enum proto)proto));
		return -EINVAL;
	}
	return 0;
}
