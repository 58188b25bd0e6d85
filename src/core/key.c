#include "key.h"

#include "pool.h"
#include "preset.h"
#include "range.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TABLE_ROW(id, key_name, of_type, of_member, is_handed, of_choices, of_values)              \
	[KEY_##id] = {                                                                             \
		.name = key_name,                                                                  \
		.type = KEY_TYPE_##of_type,                                                        \
		.member = offsetof(struct rule, of_member),                                        \
		.handed = is_handed,                                                               \
		.choices = of_choices,                                                             \
		.values = of_values,                                                               \
	},
const struct key_row key_table[KEY_COUNT] = { KEY_LIST(TABLE_ROW) };

enum key key_find(const char *name)
{
	int key;

	for (key = 0; key < KEY_COUNT && strcmp(key_table[key].name, name) != 0; key++)
		;
	return (enum key)key;
}

bool key_is_ports(enum key key)
{
	const enum key_type type = key_table[key].type;

	return type == KEY_TYPE_RANGE || type == KEY_TYPE_PROTO_RANGE || type == KEY_TYPE_EXCLUDE;
}

bool key_is_list(enum key key)
{
	const enum key_type type = key_table[key].type;

	return key_is_ports(key) || type == KEY_TYPE_GLOBS || type == KEY_TYPE_MAP ||
	       type == KEY_TYPE_PORTS;
}

void key_values(enum key key, struct reason *ret_values)
{
	const char *const *names = key_table[key].choices;
	char *to = ret_values->text;
	int i;

	if (key_table[key].values) {
		strcpy(to, key_table[key].values);
		return;
	}
	*to = '\0';
	for (i = 0; names[i]; i++) {
		if (i)
			to = stpcpy(to, names[i + 1] ? ", " : " or ");
		to = stpcpy(to, names[i]);
	}
}

/* Of each type that a key's member may have. */
union member {
	void *any;
	const char **text;
	unsigned *choice; /* what an enum without negative values is to gcc and clang */
	uint64_t *number;
	const struct portmap **map;
	const struct range **range;
};

_Static_assert(sizeof(enum bind_policy) == sizeof(unsigned) &&
		       sizeof(enum io_uring) == sizeof(unsigned),
	       "an enum is read and written as unsigned");

static union member find_member(struct rule *rule, enum key key)
{
	return (union member){ .any = (char *)rule + key_table[key].member };
}

unsigned key_choice(const struct rule *rule, enum key key)
{
	return *find_member((struct rule *)rule, key).choice;
}

static int parse_choice(enum key key, const char *text, unsigned *ret_choice,
			struct reason *ret_why)
{
	struct reason values;
	unsigned i;

	for (i = 0; key_table[key].choices[i]; i++) {
		if (!strcmp(key_table[key].choices[i], text)) {
			*ret_choice = i;
			return 0;
		}
	}
	key_values(key, &values);
	return reason_refuse(ret_why, REASON_QUOTED " is no value of '%s', use %.200s", text,
			     key_table[key].name, values.text);
}

static int parse_order(const char *text, enum order *ret_order, struct reason *ret_why)
{
	int order = order_parse(text);

	if (order < 0)
		return reason_refuse(ret_why, REASON_QUOTED " is no order, use one of: %s", text,
				     order_names());
	*ret_order = (enum order)order;
	return 0;
}

static int parse_seed(const char *text, uint64_t *ret_seed, struct reason *ret_why)
{
	const char *end = text;
	uint64_t seed;

	if (!text_get_number(&end, NULL, UINT64_MAX, &seed) || *end)
		return reason_refuse(ret_why,
				     REASON_QUOTED
				     " is no seed, write a whole number from 0 to %llu",
				     text, ~0ULL);
	*ret_seed = seed;
	return 0;
}

int key_check_quotes(const char *text, struct reason *ret_why)
{
	char bare[128];
	size_t len = 0;
	const char *item = text;

	for (;;) {
		item += strspn(item, " \t");
		if (*item == '"' || *item == '\'')
			break;
		item = strchrnul(item, ',');
		if (!*item++)
			return 0;
	}
	for (; *text && len < sizeof(bare) - 1; text++)
		if (*text != *item)
			bare[len++] = *text;
	bare[len] = '\0';
	return reason_refuse(ret_why,
			     "quotes would be part of the value, write it without them: %s", bare);
}

/* A list with an empty item is a slip of the hand: "a,,b" or "a," */
static int check_globs(enum key key, const char *list, struct reason *ret_why)
{
	const char *item = list;

	for (;;) {
		size_t len;

		item += strspn(item, " \t");
		len = strcspn(item, ",");
		if (!len)
			return reason_refuse(ret_why,
					     REASON_QUOTED
					     " has an empty item, write globs separated by commas",
					     list);
		if (len >= POLICY_GLOB_MAX)
			return reason_refuse(ret_why,
					     "a glob has %zu characters, the longest allowed is %d",
					     len, POLICY_GLOB_MAX - 1);
		/* a file may be called "~", but no path begins so */
		if (key == KEY_MATCH && (*item == '~' || *item == '$') && memchr(item, '/', len))
			return reason_refuse(
				ret_why,
				"'%.*s' begins with '%c', which nothing expands here; write the "
				"whole path, such as /home/*%.*s",
				len > 100 ? 100 : (int)len, item, *item,
				len > 100 ? 100 : (int)(item + len - strchr(item, '/')),
				strchr(item, '/'));
		item += len;
		if (!*item++)
			return 0;
	}
}

static int parse_globs(enum key key, const char *text, struct arena *arena, const char **ret_globs,
		       struct reason *ret_why)
{
	char *copy;

	if (check_globs(key, text, ret_why))
		return -EINVAL;
	copy = arena_copy(arena, text, strlen(text));
	if (!copy)
		return -ENOMEM;
	*ret_globs = copy;
	return 0;
}

static int parse_map(const char *text, struct arena *arena, const struct portmap **ret_map,
		     struct reason *ret_why)
{
	struct portmap *map = arena_alloc(arena, sizeof(*map));
	int rc = map ? portmap_parse(text, map, ret_why) : -ENOMEM;

	if (!rc)
		*ret_map = map;
	return rc;
}

int key_set(struct rule *rule, enum key key, const char *text, struct arena *arena,
	    struct reason *ret_why)
{
	const union member member = find_member(rule, key);
	int rc = key_check_quotes(text, ret_why);

	if (rc)
		return rc;
	switch (key_table[key].type) {
	case KEY_TYPE_GLOBS:
		return parse_globs(key, text, arena, member.text, ret_why);
	case KEY_TYPE_ORDER:
		return parse_order(text, &rule->order, ret_why);
	case KEY_TYPE_SEED:
		rc = parse_seed(text, member.number, ret_why);
		rule->seeded |= !rc;
		return rc;
	case KEY_TYPE_CHOICE:
		return parse_choice(key, text, member.choice, ret_why);
	case KEY_TYPE_MAP:
		return parse_map(text, arena, member.map, ret_why);
	case KEY_TYPE_PORTS:
		return key_range(text, arena, member.range, ret_why);
	default:
		return reason_refuse(ret_why, "'%s' is for a section of the configuration alone",
				     key_table[key].name);
	}
}

int key_range(const char *text, struct arena *arena, const struct range **ret_range,
	      struct reason *ret_why)
{
	struct range_set *set = arena_alloc(arena, sizeof(*set));

	if (!set)
		return -ENOMEM;
	if (key_check_quotes(text, ret_why) || range_parse(text, preset_add, set, ret_why))
		return -EINVAL;
	return range_build(set, arena, ret_range);
}

int key_override(struct rule *rule, enum key key, const char *text, struct arena *arena,
		 struct reason *ret_why)
{
	const struct range *range = NULL;
	int rc;

	if (key != KEY_RANGE)
		return key_set(rule, key, text, arena, ret_why);
	if (pool_skip_lease(text))
		return reason_refuse(ret_why,
				     REASON_QUOTED
				     " is no range by itself, it is for 'range' in the "
				     "configuration; use 'portfence run --lease N'",
				     text);
	rc = key_range(text, arena, &range, ret_why);
	if (rc)
		return rc;
	rule->range[PROTO_TCP] = range;
	rule->range[PROTO_UDP] = range;
	rule->range[PROTO_SCTP] = range;
	rule->lease = 0;
	return 0;
}

int key_place_map(struct rule *rule, struct arena *arena, struct reason *ret_why)
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
	rc = portmap_place(map, rule->range, PROTO_COUNT, ret_why);
	for (proto = 0; !rc && proto < PROTO_COUNT; proto++) {
		if (proto && rule->range[proto] == rule->range[0]) {
			left[proto] = left[0];
			continue;
		}
		rc = portmap_take_out(map, rule->range[proto], arena, &left[proto]);
		if (rc == -EINVAL)
			reason_refuse(ret_why,
				      "'map' leaves no port of the range for %s, give it more",
				      policy_proto_name((enum proto)proto));
	}
	if (rc)
		return rc;
	memcpy(rule->range, left, sizeof(left));
	rule->map = map;
	return 0;
}

int key_check(const struct rule *rule, struct reason *ret_why)
{
	int proto;

	if (rule->move && rule->bind != BIND_MOVE)
		return reason_refuse(ret_why, "'move' does nothing without 'bind = move', add it");
	if (rule->engine != ENGINE_KERNEL)
		return 0;
	if (rule->order != ORDER_AUTO)
		return reason_refuse(
			ret_why,
			"order '%s' cannot go with 'engine = kernel', which keeps to the kernel's own order; "
			"use 'engine = auto'",
			order_name(rule->order));
	for (proto = 0; proto < PROTO_COUNT; proto++) {
		/* a lease is one block, whatever the pool is */
		if (rule->lease || rule->range[proto]->spans == 1)
			continue;
		return reason_refuse(
			ret_why,
			"'engine = kernel' takes one unbroken range, and that for %s has gaps; use "
			"'engine = auto'",
			policy_proto_name((enum proto)proto));
	}
	return 0;
}
