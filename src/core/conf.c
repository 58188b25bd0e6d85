#include "conf.h"

#include "fd.h"
#include "preset.h"
#include "range.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * inih splits the lines, we know what they mean. As packaged (Debian's 55) it
 * cuts lines at 199 bytes and section names at 49 without a word, takes an
 * indented line for a second value of the key before, calls no handler for a
 * section without keys, gives the handler no line number, and reports only the
 * first line that it cannot split. So the reader that we hand it counts lines,
 * strips indentation, keeps over-long lines and names back, and notes section
 * headers; and a line that should have reached the handler, but had not when the
 * next line was asked for, was no "key = value".
 *
 * A line that is kept back is replaced with an empty one, so that reading goes
 * on and all errors come out in one go.
 */

#define LINE_LONGEST 199 /* INI_MAX_LINE less the terminating NUL */
#define NAME_LONGEST 49  /* MAX_SECTION of ini.c, likewise */
#define FILE_LARGEST (16L << 20)
#define LIST_MAX 4096
#define LEASE_UNSAID 65536 /* as [portfence] has it, which may be further down */

enum settings_key {
	SETTINGS_LOG,
	SETTINGS_STATE,
	SETTINGS_LEASE_FILE,
	SETTINGS_POOL,
	SETTINGS_LEASE,
	SETTINGS_KEYS
};

static const char *const key_names[CONF_KEYS] = {
	[CONF_MATCH] = "match",
	[CONF_ARGS] = "args",
	[CONF_RANGE] = "range",
	[CONF_TCP_RANGE] = "tcp.range",
	[CONF_UDP_RANGE] = "udp.range",
	[CONF_SCTP_RANGE] = "sctp.range",
	[CONF_EXCLUDE] = "exclude",
	[CONF_ORDER] = "order",
	[CONF_SEED] = "seed",
	[CONF_BIND] = "bind",
	[CONF_EXHAUSTED] = "exhausted",
	[CONF_ENGINE] = "engine",
	[CONF_VIA] = "via",
	[CONF_IO_URING] = "io-uring",
	[CONF_MAP] = "map",
};

static const char *const settings_names[SETTINGS_KEYS] = {
	[SETTINGS_LOG] = "log",   [SETTINGS_STATE] = "state", [SETTINGS_LEASE_FILE] = "lease-file",
	[SETTINGS_POOL] = "pool", [SETTINGS_LEASE] = "lease",
};

static const char *const bind_names[] = { "allow", "own", "deny", NULL };
static const char *const exhausted_names[] = { "fail", "system", NULL };
static const char *const engine_names[] = { "auto", "kernel", "bind", NULL };
static const char *const via_names[] = { "auto", "preload", "supervise", "both", NULL };
static const char *const io_uring_names[] = { "deny", "allow", NULL };

enum where { AT_START, IN_SETTINGS, IN_RULE, IN_REFUSED };

struct named {
	struct named *next;
	struct rule *rule;
};

struct conf {
	const char *file;
	struct arena *arena;
	conf_error_fn *error;
	void *context;
	struct policy *policy;
	size_t room;          /* rules that policy->rules has room for */
	struct named **names; /* rules by the hash of their names */
	size_t buckets;       /* a power of two */
	int rc;               /* 0, -EINVAL once an error was told, -ENOMEM */

	const char *text, *end; /* what is still to be read */
	unsigned line;
	bool pending; /* the line went to inih, the handler was not called yet */

	enum where where;
	unsigned settings_line; /* of [portfence], 0 before it */
	struct rule *rule;
	unsigned seen; /* keys of the section so far, by bit */
	/* of the keys seen; what is not used is not even touched, as each has pages of its own */
	struct range_set set[PROTO_COUNT + 1]; /* [PROTO_COUNT]: `range` itself */
	struct range_set exclude;
};

__attribute__((format(printf, 2, 3))) static void fail(struct conf *conf, const char *format, ...)
{
	char problem[512];
	va_list args;

	va_start(args, format);
	vsnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	if (!conf->rc)
		conf->rc = -EINVAL;
	conf->error(conf->context, conf->file, conf->line, problem);
}

static int find_name(const char *const *names, const char *name, int count)
{
	int i;

	for (i = 0; i < count && names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static int parse_choice(const char *const *names, const char *key, const char *text, char *ret_why,
			size_t size)
{
	int choice = find_name(names, text, INT_MAX), i;
	size_t len;

	if (choice >= 0)
		return choice;
	len = (size_t)snprintf(ret_why, size, "'%s' is no value of '%s', use", text, key);
	for (i = 0; names[i] && len < size; i++)
		len += (size_t)snprintf(ret_why + len, size - len, "%s %s",
					!i             ? ""
					: names[i + 1] ? ","
						       : " or",
					names[i]);
	return choice;
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

int conf_log_valid(const char *text, char *ret_why, size_t size)
{
	const char *where = strncmp(text, "json:", 5) ? text : text + 5;

	if (*where == '/' || !strcmp(where, "stderr") || !strcmp(where, "syslog") ||
	    !strcmp(where, "none"))
		return 0;
	snprintf(
		ret_why, size,
		"'%s' is no log, write stderr, syslog, none or an absolute path, with 'json:' before it "
		"for JSON lines",
		text);
	return -EINVAL;
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

static int parse_map(const char *text, struct arena *arena, const struct map **ret_map,
		     char *ret_why, size_t size)
{
	struct map *map = arena_alloc(arena, sizeof(*map));
	int rc = map ? map_parse(text, map, ret_why, size) : -ENOMEM;

	if (!rc)
		*ret_map = map;
	return rc;
}

/* A key of a rule whose value stands for itself; ranges need the whole section first. */
static int set_plain(struct rule *rule, enum conf_key key, const char *text, struct arena *arena,
		     char *ret_why, size_t size)
{
	int choice = 0;

	switch (key) {
	case CONF_MATCH:
		return parse_globs(text, arena, &rule->match, ret_why, size);
	case CONF_ARGS:
		return parse_globs(text, arena, &rule->args, ret_why, size);
	case CONF_ORDER:
		choice = order_parse(text);
		if (choice < 0)
			snprintf(ret_why, size, "'%s' is no order, use one of: %s", text,
				 order_names());
		else
			rule->order = (enum order)choice;
		break;
	case CONF_SEED:
		rule->seeded = true;
		return parse_seed(text, &rule->seed, ret_why, size);
	case CONF_BIND:
		choice = parse_choice(bind_names, "bind", text, ret_why, size);
		rule->bind = (enum bind_policy)choice;
		break;
	case CONF_EXHAUSTED:
		choice = parse_choice(exhausted_names, "exhausted", text, ret_why, size);
		rule->exhausted = (enum exhausted)choice;
		break;
	case CONF_ENGINE:
		choice = parse_choice(engine_names, "engine", text, ret_why, size);
		rule->engine = (enum engine)choice;
		break;
	case CONF_VIA:
		choice = parse_choice(via_names, "via", text, ret_why, size);
		rule->via = (enum via)choice;
		break;
	case CONF_MAP:
		return parse_map(text, arena, &rule->map, ret_why, size);
	case CONF_IO_URING:
		choice = parse_choice(io_uring_names, "io-uring", text, ret_why, size);
		rule->io_uring = choice == 1;
		break;
	default:
		break;
	}
	return choice < 0 ? -EINVAL : 0;
}

int conf_range(const char *text, struct arena *arena, const struct range **ret_range, char *ret_why,
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

/* ---- leases ---- */

/* Return: what follows the word, or NULL if it is another */
static const char *skip_lease(const char *text)
{
	const size_t len = strlen("lease");

	if (strncmp(text, "lease", len) || (text[len] && !strchr(" \t,", text[len])))
		return NULL;
	return text + len + strspn(text + len, " \t");
}

int conf_lease(const char *text, uint32_t *ret_count, char *ret_why, size_t size)
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

int conf_lease_fits(uint32_t count, const struct range *pool, char *ret_why, size_t size)
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

int conf_pool(const struct policy *policy, struct arena *arena, const struct range **ret_pool)
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
			const struct range *range = rule->range[proto];
			uint32_t k;

			/* of one with a mistake, there may be none */
			for (k = 0; range && k < range->spans; k++)
				range_set_add(own, range->span[k].first, range->span[k].last);
		}
	}
	range_set_add(set, CONF_POOL_FIRST, CONF_POOL_LAST);
	range_set_remove(set, own);
	return range_build(set, arena, ret_pool);
}

int conf_override(struct rule *rule, enum conf_key key, const char *text, struct arena *arena,
		  char *ret_why, size_t size)
{
	const struct range *range = NULL;
	int rc;

	if (key != CONF_RANGE)
		return set_plain(rule, key, text, arena, ret_why, size);
	if (skip_lease(text)) {
		snprintf(ret_why, size,
			 "'%s' is no range by itself, it is for 'range' in the configuration; use "
			 "'portfence run --lease N'",
			 text);
		return -EINVAL;
	}
	rc = conf_range(text, arena, &range, ret_why, size);
	if (rc)
		return rc;
	rule->range[PROTO_TCP] = range;
	rule->range[PROTO_UDP] = range;
	rule->range[PROTO_SCTP] = range;
	rule->lease = 0;
	return 0;
}

int conf_place_map(struct rule *rule, struct arena *arena, char *ret_why, size_t size)
{
	const struct range *left[PROTO_COUNT];
	struct map *map;
	int rc, proto;

	if (!rule->map)
		return 0;
	map = arena_alloc(arena, sizeof(*map));
	if (!map)
		return -ENOMEM;
	*map = *rule->map;
	rc = map_place(map, rule->range, PROTO_COUNT, ret_why, size);
	for (proto = 0; !rc && proto < PROTO_COUNT; proto++) {
		if (proto && rule->range[proto] == rule->range[0]) {
			left[proto] = left[0];
			continue;
		}
		rc = map_take_out(map, rule->range[proto], arena, &left[proto]);
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

int conf_check(const struct rule *rule, char *ret_why, size_t size)
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

/* ---- sections ---- */

static bool is_seen(const struct conf *conf, enum conf_key key)
{
	return conf->seen & 1U << key;
}

static int build_range(struct conf *conf, struct range_set *set, const char *key,
		       const struct range **ret_range)
{
	int rc;

	if (is_seen(conf, CONF_EXCLUDE))
		range_set_remove(set, &conf->exclude);
	rc = range_build(set, conf->arena, ret_range);
	if (rc == -EINVAL)
		fail(conf, "'exclude' leaves no port of '%s' in [%s], take out less", key,
		     conf->rule->name);
	else if (rc)
		conf->rc = rc;
	return rc;
}

/* Of a section with `range = lease`: its block is all that it has. */
static void end_leased(struct conf *conf)
{
	static const enum conf_key others[] = { CONF_TCP_RANGE, CONF_UDP_RANGE, CONF_SCTP_RANGE,
						CONF_EXCLUDE };
	char why[256];
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is_seen(conf, others[i]))
			fail(conf,
			     "[%s] has 'range = lease', which is one block for all protocols; take "
			     "'%s' out",
			     conf->rule->name, key_names[others[i]]);
	if (conf_check(conf->rule, why, sizeof(why)))
		fail(conf, "%s", why);
}

/* The pool is known, and the sections' own ranges are, once the whole file was read. */
static void end_leases(struct conf *conf)
{
	struct policy *policy = conf->policy;
	const struct range *pool = NULL;
	char why[256];
	size_t i;
	int rc;

	for (i = 0; !conf->rc && i < policy->count; i++) {
		/* rules are immutable from here on, and ours until then */
		struct rule *rule = (struct rule *)policy->rules[i];

		if (!rule->lease)
			continue;
		conf->line = rule->range_line[PROTO_COUNT];
		rc = pool ? 0 : conf_pool(policy, conf->arena, &pool);
		if (rc == -EINVAL) {
			fail(conf,
			     "the sections leave no port of %d-%d for leases, give [portfence] a "
			     "'pool'",
			     CONF_POOL_FIRST, CONF_POOL_LAST);
			return;
		}
		if (rc) {
			conf->rc = rc;
			return;
		}
		if (rule->lease == LEASE_UNSAID)
			rule->lease = policy->lease ? policy->lease : CONF_LEASE;
		if (conf_lease_fits(rule->lease, pool, why, sizeof(why)))
			fail(conf, "%s", why);
		rule->range[PROTO_TCP] = pool;
		rule->range[PROTO_UDP] = pool;
		rule->range[PROTO_SCTP] = pool;
	}
	policy->pool = pool ? pool : policy->pool;
}

/* Makes the ranges of the section that ends here. Errors are told at its header. */
static void end_section(struct conf *conf)
{
	unsigned ranges = 1U << CONF_RANGE | 1U << CONF_TCP_RANGE | 1U << CONF_UDP_RANGE |
			  1U << CONF_SCTP_RANGE;
	unsigned line = conf->line;
	struct rule *rule = conf->rule;
	const struct range *all;
	struct rule copy;
	char why[256];
	int proto, rc;

	if (conf->where != IN_RULE)
		return;
	conf->line = rule->line;
	if (!is_seen(conf, CONF_MATCH) && !is_seen(conf, CONF_ARGS) &&
	    strpbrk(rule->name, "/*?[") && strcmp(rule->name, "*"))
		fail(conf,
		     "[%s] would have to be a program's name, which it can not be; write another name "
		     "and 'match = %s'",
		     rule->name, rule->name);
	if (!is_seen(conf, CONF_RANGE)) {
		fail(conf, "[%s] has no 'range', give it one%s", rule->name,
		     conf->seen & ranges
			     ? " for the other protocols ('range = system' leaves them as they are)"
			     : " such as 'range = 20000-20999'");
		goto out;
	}
	if (rule->lease) {
		end_leased(conf);
		goto out;
	}
	/* a range that was refused has been told of already */
	if (!conf->set[PROTO_COUNT].count)
		goto out;
	if (build_range(conf, &conf->set[PROTO_COUNT], "range", &all))
		goto out;
	for (proto = 0; proto < PROTO_COUNT; proto++) {
		rule->range[proto] = all;
		if (is_seen(conf, CONF_TCP_RANGE + proto) && conf->set[proto].count &&
		    build_range(conf, &conf->set[proto], key_names[CONF_TCP_RANGE + proto],
				&rule->range[proto]))
			goto out;
	}
	copy = *rule;
	rc = conf_place_map(&copy, conf->arena, why, sizeof(why));
	if (rc == -ENOMEM)
		conf->rc = rc;
	else if (rc || conf_check(&copy, why, sizeof(why)))
		fail(conf, "%s", why);
out:
	conf->line = line;
}

static struct named **name_slot(struct conf *conf, const char *name)
{
	static const struct siphash_key key;
	struct named **slot = &conf->names[siphash(&key, name, strlen(name)) & (conf->buckets - 1)];

	while (*slot && strcmp((*slot)->rule->name, name))
		slot = &(*slot)->next;
	return slot;
}

static int add_rule(struct conf *conf, struct named **slot, const char *name, size_t len)
{
	struct policy *policy = conf->policy;
	struct named *named = arena_alloc(conf->arena, sizeof(*named));
	struct rule *rule = arena_alloc(conf->arena, sizeof(*rule));
	char *copy = arena_copy(conf->arena, name, len);

	if (!named || !rule || !copy)
		return -ENOMEM;
	if (policy->count == conf->room) {
		size_t room = conf->room ? 2 * conf->room : 16;
		const struct rule **rules = arena_alloc(conf->arena, room * sizeof(*rules));

		if (!rules)
			return -ENOMEM;
		if (policy->count)
			memcpy(rules, policy->rules, policy->count * sizeof(*rules));
		policy->rules = rules;
		conf->room = room;
	}
	rule->name = copy;
	rule->line = conf->line;
	named->rule = rule;
	*slot = named;
	policy->rules[policy->count++] = rule;
	conf->rule = rule;
	return 0;
}

static void begin_section(struct conf *conf, const char *name, size_t len)
{
	char copy[NAME_LONGEST + 1];
	struct named **slot;

	end_section(conf);
	conf->seen = 0;
	conf->where = IN_REFUSED;
	if (len > NAME_LONGEST) {
		fail(conf,
		     "the section's name has %zu characters, the longest allowed is %d; shorten it and "
		     "name the program with 'match'",
		     len, NAME_LONGEST);
		return;
	}
	if (len == 0) {
		fail(conf, "the section has no name, write [name]");
		return;
	}
	memcpy(copy, name, len);
	copy[len] = '\0';
	/* inih does not trim names, so "[ curl ]" would be a program that never runs */
	if (strchr(" \t", copy[0]) || strchr(" \t", copy[len - 1])) {
		fail(conf, "the section's name '%s' begins or ends with a blank, take it out",
		     copy);
		return;
	}
	if (!strcmp(copy, "portfence")) {
		if (conf->settings_line)
			fail(conf,
			     "section [portfence] is given twice, first in line %u; join the two",
			     conf->settings_line);
		else
			conf->settings_line = conf->line;
		conf->where = IN_SETTINGS;
		return;
	}
	slot = name_slot(conf, copy);
	if (*slot) {
		fail(conf, "section [%s] is given twice, first in line %u; join the two", copy,
		     (*slot)->rule->line);
		return;
	}
	if (add_rule(conf, slot, copy, len)) {
		conf->rc = -ENOMEM;
		return;
	}
	conf->where = IN_RULE;
}

/* ---- keys ---- */

static bool seen_before(struct conf *conf, int key, const char *name)
{
	unsigned bit = 1U << key;

	if (conf->seen & bit) {
		fail(conf, "'%s' is given twice in this section, keep one", name);
		return true;
	}
	conf->seen |= bit;
	return false;
}

static void no_value(struct conf *conf, const char *name)
{
	fail(conf, "'%s' has no value, write one after '=' or take the line out", name);
}

/* inih takes '#' for a comment in front of a line only: behind a value it would be part of it. */
static bool has_hash(struct conf *conf, const char *value)
{
	const char *hash = strchr(value, '#');

	while (hash && hash != value && hash[-1] != ' ' && hash[-1] != '\t')
		hash = strchr(hash + 1, '#');
	if (hash)
		fail(conf, "'#' begins no comment behind a value, write ';' instead");
	return hash;
}

static void settings_key(struct conf *conf, const char *name, const char *value)
{
	int key = find_name(settings_names, name, SETTINGS_KEYS);
	const char *copy;
	char why[384];
	int rc;

	if (key < 0) {
		fail(conf,
		     "unknown key '%s' in [portfence], use one of: log, state, lease-file, pool, "
		     "lease",
		     name);
		return;
	}
	if (seen_before(conf, key, name))
		return;
	if (!*value) {
		no_value(conf, name);
		return;
	}
	if (has_hash(conf, value))
		return;
	if (key == SETTINGS_LOG && conf_log_valid(value, why, sizeof(why))) {
		fail(conf, "%s", why);
		return;
	}
	if ((key == SETTINGS_STATE || key == SETTINGS_LEASE_FILE) && *value != '/') {
		fail(conf, "'%s' is no %s, write an absolute path", value,
		     key == SETTINGS_STATE ? "state folder" : "lease file");
		return;
	}
	if (key == SETTINGS_POOL || key == SETTINGS_LEASE) {
		rc = key == SETTINGS_LEASE
			     ? conf_lease(value, &conf->policy->lease, why, sizeof(why))
			     : conf_range(value, conf->arena, &conf->policy->pool, why,
					  sizeof(why));
		if (rc == -EINVAL)
			fail(conf, "%s", why);
		else if (rc)
			conf->rc = rc;
		return;
	}
	copy = arena_copy(conf->arena, value, strlen(value));
	if (!copy)
		conf->rc = -ENOMEM;
	else if (key == SETTINGS_LOG)
		conf->policy->log = copy;
	else if (key == SETTINGS_STATE)
		conf->policy->state = copy;
	else
		conf->policy->lease_file = copy;
}

/* Apart, so that the room for its text is not part of every section's frame. */
__attribute__((noinline)) static void unknown_key(struct conf *conf, const char *name)
{
	char list[LIST_MAX] = "";
	int i;

	for (i = 0; i < CONF_KEYS; i++) {
		strcat(list, i ? ", " : "");
		strcat(list, key_names[i]);
	}
	fail(conf, "unknown key '%s' in [%s], use one of: %s", name, conf->rule->name, list);
}

/* @size_text: what follows "lease" */
static int set_lease(struct rule *rule, const char *size_text, char *ret_why, size_t size)
{
	rule->lease = LEASE_UNSAID;
	return *size_text ? conf_lease(size_text, &rule->lease, ret_why, size) : 0;
}

static void rule_key(struct conf *conf, const char *name, const char *value)
{
	int key = find_name(key_names, name, CONF_KEYS);
	char why[384];
	int rc;

	if (key < 0) {
		unknown_key(conf, name);
		return;
	}
	if (seen_before(conf, key, name))
		return;
	if (!*value) {
		no_value(conf, name);
		return;
	}
	if (has_hash(conf, value))
		return;
	if (key == CONF_RANGE && skip_lease(value) && !strchr(value, ',')) {
		conf->rule->range_line[PROTO_COUNT] = conf->line;
		rc = set_lease(conf->rule, skip_lease(value), why, sizeof(why));
	} else if (key >= CONF_RANGE && key <= CONF_EXCLUDE && skip_lease(value)) {
		rc = -EINVAL;
		snprintf(
			why, sizeof(why),
			"'%s' cannot be '%s': a lease is one block for all protocols; write 'range "
			"= lease' or 'range = lease 100'",
			name, value);
	} else if (key == CONF_EXCLUDE) {
		range_set_clear(&conf->exclude);
		rc = range_parse(value, preset_add_exclusion, &conf->exclude, why, sizeof(why));
		if (rc)
			range_set_clear(&conf->exclude);
	} else if (key >= CONF_RANGE && key <= CONF_SCTP_RANGE) {
		int proto = key == CONF_RANGE ? PROTO_COUNT : key - CONF_TCP_RANGE;
		struct range_set *set = &conf->set[proto];

		conf->rule->range_line[proto] = conf->line;
		range_set_clear(set);
		rc = range_parse(value, preset_add, set, why, sizeof(why));
		if (rc)
			range_set_clear(set);
	} else {
		if (key == CONF_MATCH)
			conf->rule->match_line = conf->line;
		rc = set_plain(conf->rule, (enum conf_key)key, value, conf->arena, why,
			       sizeof(why));
	}
	if (rc == -EINVAL)
		fail(conf, "%s", why);
	else if (rc)
		conf->rc = rc;
}

/* inih's handler. Return: not 0, or inih would count an error of its own. */
static int handle(void *user, const char *section, const char *name, const char *value)
{
	struct conf *conf = user;

	(void)section; /* the reader knows it better: names are cut here */
	conf->pending = false;
	if (!*name)
		fail(conf, "there is no key before '=', write 'key = value'");
	else if (conf->where == IN_SETTINGS)
		settings_key(conf, name, value);
	else if (conf->where == IN_RULE)
		rule_key(conf, name, value);
	else if (conf->where == AT_START)
		fail(conf, "'%s' stands before the first section, write [application] above it",
		     name);
	return 1;
}

/* ---- lines ---- */

static bool is_text(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' ? line[i] != '\t' : line[i] == 0x7f)
			return false;
	return true;
}

static void no_key(struct conf *conf)
{
	if (conf->pending)
		fail(conf, "this is neither '[section]' nor 'key = value'");
	conf->pending = false;
}

/* Return: false if the line is not for inih */
static bool admit(struct conf *conf, const char *line, size_t len)
{
	const char *close;

	if (!is_text(line, len)) {
		fail(conf, "this is not text, a configuration holds printable characters only");
		return false;
	}
	if (len == 0 || *line == ';' || *line == '#')
		return false;
	/* the newline that inih wants to see has its place, too */
	if (len > LINE_LONGEST - 1) {
		fail(conf, "the line has %zu characters, the longest allowed is %d; shorten it",
		     len, LINE_LONGEST - 1);
		if (*line == '[') {
			end_section(conf);
			conf->where = IN_REFUSED;
		}
		return false;
	}
	if (*line != '[') {
		conf->pending = true;
		return true;
	}
	close = memchr(line, ']', len);
	if (!close) {
		end_section(conf);
		conf->where = IN_REFUSED;
		fail(conf, "the section's name has no ']' at its end, write [name]");
		return false;
	}
	begin_section(conf, line + 1, (size_t)(close - line - 1));
	for (close++; close < line + len && (*close == ' ' || *close == '\t'); close++)
		;
	if (close < line + len && *close != ';' && *close != '#') {
		fail(conf, "there is text after ']', begin a new line");
		conf->where = IN_REFUSED;
	}
	return conf->where != IN_REFUSED;
}

/* inih's reader, in the manner of fgets(). */
static char *read_line(char *buffer, int size, void *stream)
{
	struct conf *conf = stream;
	const char *line = conf->text, *next;
	size_t len;

	no_key(conf);
	if (line == conf->end)
		return NULL;
	next = memchr(line, '\n', (size_t)(conf->end - line));
	len = (size_t)((next ? next : conf->end) - line);
	conf->text = next ? next + 1 : conf->end;
	if (memchr(line, '\0', len)) {
		/* once: each line of a program or of UTF-16 would say the same */
		conf->line++;
		fail(conf, "this is no text file, as it holds a NUL byte; save it as UTF-8");
		conf->text = conf->end;
		return NULL;
	}
	if (conf->line++ == 0 && len >= 3 && !memcmp(line, "\xEF\xBB\xBF", 3)) {
		line += 3;
		len -= 3;
	}
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	if (!admit(conf, line, len) || (int)len + 2 > size)
		len = 0;
	memcpy(buffer, line, len);
	buffer[len] = '\n';
	buffer[len + 1] = '\0';
	return buffer;
}

static int read_whole(struct conf *conf, int fd)
{
	struct stat st;
	size_t used = 0, size;
	char *text;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_LARGEST)
		return -EFBIG;
	size = (size_t)st.st_size;
	text = arena_alloc(conf->arena, size + 1);
	if (!text)
		return -ENOMEM;
	while (used < size) {
		ssize_t n = read(fd, text + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* half a configuration could leave out the section that fits */
		if (n == 0)
			return -ENODATA;
		used += (size_t)n;
	}
	conf->text = text;
	conf->end = text + used;
	return 0;
}

int conf_load(const char *file, struct arena *arena, conf_error_fn *error, void *context,
	      struct policy *ret_policy)
{
	struct policy policy = { .file = file };
	struct conf *conf;
	int fd, rc;

	/* not blocking: a FIFO must not hold up the start of every program */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	rc = fd < 0 ? -errno : 0;
	/* not for the stack of a thread that calls us before our constructor */
	conf = rc ? NULL : arena_alloc(arena, sizeof(*conf));
	if (!rc && !conf)
		rc = -ENOMEM;
	if (conf) {
		conf->file = file;
		conf->arena = arena;
		conf->error = error;
		conf->context = context;
		conf->policy = &policy;
		rc = read_whole(conf, fd);
	}
	if (conf && !rc) {
		/* the shortest section is some twenty bytes long */
		for (conf->buckets = 16; conf->buckets < (size_t)(conf->end - conf->text) / 64;)
			conf->buckets *= 2;
		conf->names = arena_alloc(arena, conf->buckets * sizeof(*conf->names));
		rc = conf->names ? 0 : -ENOMEM;
	}
	if (fd >= 0)
		fd_close(fd);
	if (rc) {
		char problem[256];

		snprintf(problem, sizeof(problem), "cannot be read: %s",
			 rc == -EINVAL    ? "not a regular file"
			 : rc == -EFBIG   ? "larger than 16 MiB, is it a configuration?"
			 : rc == -ENODATA ? "it became shorter while it was read"
					  : strerror(-rc));
		error(context, file, 0, problem);
		return rc == -EINVAL ? -ENODEV : rc;
	}
	ini_parse_stream(read_line, conf, handle, conf);
	no_key(conf);
	end_section(conf);
	end_leases(conf);
	if (conf->rc == -ENOMEM)
		error(context, file, 0, "cannot be read: out of memory");
	else if (!conf->rc)
		*ret_policy = policy;
	return conf->rc;
}
