#include "conf.h"

#include "conf_files.h"
#include "lines.h"
#include "log_destination.h"
#include "pool.h"
#include "preset.h"
#include "range.h"
#include "siphash.h"
#include "slices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_LONGEST 49 /* far more than the name of a program file needs */
#define LIST_MAX 1024
#define LEASE_UNSAID 65536 /* [portfence], which says how many, may be further down */

enum where { AT_START, IN_SETTINGS, IN_HOSTS, IN_RULE, IN_REFUSED };

struct named {
	struct named *next;
	struct rule *rule;
};

struct conf {
	struct arena *arena;
	conf_error_fn *error;
	void *context;
	struct policy *policy;
	size_t room;          /* rules that policy->rules has room for */
	struct named **names; /* rules by the hash of their names */
	size_t buckets;       /* a power of two */
	int rc;               /* 0, -EINVAL once an error was told, -ENOMEM */

	struct conf_files files;
	const char *file; /* the one that is being read */
	unsigned line;    /* where a mistake is told */

	enum where where;
	/* where [portfence] and [hosts] stand; line 0 before that */
	struct place {
		const char *file;
		unsigned line;
	} settings, hosts;
	struct rule *rule;
	unsigned seen; /* keys of the section so far, by bit */
	/* only for the keys that were seen; others are not even touched, as each has pages of its own */
	struct range_set set[PROTO_COUNT + 1]; /* [PROTO_COUNT]: `range` itself */
	struct range_set exclude;
};

__attribute__((format(printf, 2, 3))) static void conf_fail(struct conf *conf, const char *format,
							    ...)
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

/* Takes over what reading a value came to. */
static void note_result(struct conf *conf, int rc, const struct reason *why)
{
	if (rc == -EINVAL)
		conf_fail(conf, "%s", why->text);
	else if (rc)
		conf->rc = rc;
}

/* ---- sections ---- */

static bool is_seen(const struct conf *conf, enum key key)
{
	return conf->seen & 1U << key;
}

static int build_range(struct conf *conf, struct range_set *set, const char *key,
		       const struct range **ret_range)
{
	int rc;

	if (is_seen(conf, KEY_EXCLUDE))
		range_set_remove(set, &conf->exclude);
	rc = range_build(set, conf->arena, ret_range);
	if (rc == -EINVAL)
		conf_fail(conf, "'exclude' leaves no port of '%s' in [%s], take out less", key,
			  conf->rule->name);
	else if (rc)
		conf->rc = rc;
	return rc;
}

/* Ends a section with `range = lease`: it has nothing but its block. */
static void end_leased(struct conf *conf)
{
	static const enum key others[] = { KEY_TCP_RANGE, KEY_UDP_RANGE, KEY_SCTP_RANGE,
					   KEY_EXCLUDE };
	struct reason why;
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is_seen(conf, others[i]))
			conf_fail(
				conf,
				"[%s] has 'range = lease', which is one block for all protocols; take "
				"'%s' out",
				conf->rule->name, key_table[others[i]].name);
	note_result(conf, key_check(conf->rule, &why), &why);
}

/* Called after the whole file: only then the pool and the sections' own ranges are known. */
static void end_leases(struct conf *conf)
{
	struct policy *policy = conf->policy;
	const struct range *pool = NULL;
	struct reason why;
	size_t i;
	int rc;

	for (i = 0; !conf->rc && i < policy->count; i++) {
		/* rules are immutable from here on, and ours until then */
		struct rule *rule = (struct rule *)policy->rules[i];

		if (!rule->lease)
			continue;
		conf->file = rule->file;
		conf->line = rule->range_line[PROTO_COUNT];
		rc = pool ? 0 : pool_find(policy, conf->arena, &pool);
		if (rc == -EINVAL) {
			conf_fail(
				conf,
				"the sections leave no port of %d-%d for leases, give [portfence] a "
				"'pool'",
				POOL_FIRST, POOL_LAST);
			return;
		}
		if (rc) {
			conf->rc = rc;
			return;
		}
		if (rule->lease == LEASE_UNSAID)
			rule->lease = policy->lease ? policy->lease : POOL_LEASE;
		note_result(conf, pool_check_lease(rule->lease, pool, &why), &why);
		rule->range[PROTO_TCP] = pool;
		rule->range[PROTO_UDP] = pool;
		rule->range[PROTO_SCTP] = pool;
	}
	policy->pool = pool ? pool : policy->pool;
}

/* Is the section's name one that other programs' files have for defaults, and not a program's here? */
static bool is_for_defaults(const struct conf *conf)
{
	static const char *const names[] = { "DEFAULT", "default", "Default", "global", "GLOBAL" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(conf->rule->name, names[i]))
			return !is_seen(conf, KEY_MATCH) && !is_seen(conf, KEY_ARGS);
	return false;
}

/* Return: false if the section's name is refused */
static bool check_name(struct conf *conf)
{
	const char *name = conf->rule->name;

	if (is_for_defaults(conf)) {
		conf_fail(
			conf,
			"[%s] would only be for a program of that name; write [*] for all programs without "
			"a section of their own, [portfence] for the log, or add 'match = %s'",
			name, name);
		return false;
	}
	if (!is_seen(conf, KEY_MATCH) && !is_seen(conf, KEY_ARGS) && strpbrk(name, "/*?[") &&
	    strcmp(name, "*") != 0)
		conf_fail(
			conf,
			"[%s] would have to be a program's name, which it can not be; write another name "
			"and 'match = %s'",
			name, name);
	return true;
}

/* Makes the ranges of a section. Return: 0, or not if that failed */
static int build_ranges(struct conf *conf)
{
	struct rule *rule = conf->rule;
	const struct range *all;
	int proto;

	/* a range that was refused has been told of already */
	if (!conf->set[PROTO_COUNT].count)
		return -EINVAL;
	if (build_range(conf, &conf->set[PROTO_COUNT], "range", &all))
		return -EINVAL;
	for (proto = 0; proto < PROTO_COUNT; proto++) {
		rule->range[proto] = all;
		if (is_seen(conf, KEY_TCP_RANGE + proto) && conf->set[proto].count &&
		    build_range(conf, &conf->set[proto], key_table[KEY_TCP_RANGE + proto].name,
				&rule->range[proto]))
			return -EINVAL;
	}
	return 0;
}

/* Checks the section as a whole. Errors are told at its header. */
static void check_section(struct conf *conf)
{
	const unsigned ranges =
		1U << KEY_RANGE | 1U << KEY_TCP_RANGE | 1U << KEY_UDP_RANGE | 1U << KEY_SCTP_RANGE;
	struct rule *rule = conf->rule, copy;
	struct reason why;
	int rc;

	if (!check_name(conf))
		return;
	if (!is_seen(conf, KEY_RANGE)) {
		conf_fail(
			conf, "[%s] has no 'range', give it one%s", rule->name,
			conf->seen & ranges
				? " for the other protocols ('range = system' leaves them as they are)"
				: " such as 'range = 20000-20999'");
		return;
	}
	if (rule->lease) {
		end_leased(conf);
		return;
	}
	if (build_ranges(conf))
		return;
	/* only a try: what overrides the range comes before the map */
	copy = *rule;
	rc = key_place_map(&copy, conf->arena, &why);
	note_result(conf, rc ? rc : key_check(&copy, &why), &why);
}

static void end_section(struct conf *conf)
{
	const unsigned line = conf->line;

	if (conf->where != IN_RULE)
		return;
	conf->line = conf->rule->line;
	check_section(conf);
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
	rule->file = conf->file;
	rule->line = conf->line;
	named->rule = rule;
	*slot = named;
	policy->rules[policy->count++] = rule;
	conf->rule = rule;
	return 0;
}

/* @file, @line: where the section stands already */
static void fail_twice(struct conf *conf, const char *name, const char *file, unsigned line)
{
	if (file == conf->file)
		conf_fail(conf, "section [%s] is given twice, first in line %u; join the two", name,
			  line);
	else
		conf_fail(conf, "section [%s] is given twice, first in %s:%u; join the two", name,
			  file, line);
}

/* Begins a section that is no application's. @place: where it stands first */
static void begin_only(struct conf *conf, const char *name, struct place *place)
{
	if (place->line)
		fail_twice(conf, name, place->file, place->line);
	else
		*place = (struct place){ conf->file, conf->line };
}

static void begin_section(struct conf *conf, const char *name, size_t len)
{
	char copy[NAME_LONGEST + 1];
	struct named **slot;

	end_section(conf);
	conf->seen = 0;
	conf->where = IN_REFUSED;
	if (len > NAME_LONGEST) {
		conf_fail(
			conf,
			"the section's name has %zu characters, the longest allowed is %d; shorten it and "
			"name the program with 'match'",
			len, NAME_LONGEST);
		return;
	}
	if (len == 0) {
		conf_fail(conf, "the section has no name, write [name]");
		return;
	}
	memcpy(copy, name, len);
	copy[len] = '\0';
	/* inih does not trim names, so "[ curl ]" would be a program that never runs */
	if (strchr(" \t", copy[0]) || strchr(" \t", copy[len - 1])) {
		conf_fail(conf, "the section's name '%s' begins or ends with a blank, take it out",
			  copy);
		return;
	}
	if (!strcmp(copy, "portfence")) {
		begin_only(conf, copy, &conf->settings);
		conf->where = IN_SETTINGS;
		return;
	}
	/* take_hosts() has read what is in it */
	if (!strcmp(copy, "hosts")) {
		begin_only(conf, copy, &conf->hosts);
		return;
	}
	slot = name_slot(conf, copy);
	if (*slot) {
		fail_twice(conf, copy, (*slot)->rule->file, (*slot)->rule->line);
		return;
	}
	if (add_rule(conf, slot, copy, len)) {
		conf->rc = -ENOMEM;
		return;
	}
	conf->where = IN_RULE;
}

/* ---- keys ---- */

/*
 * The keys of [portfence]. To add one, add its row, its member of struct policy, its use, its manual
 * entry and its test.
 */
enum setting_type {
	SETTING_LOG,
	SETTING_FOLDER,
	SETTING_FILE,
	SETTING_POOL,
	SETTING_LEASE,
	SETTING_NO /* `no` sets the member, `yes` does not */
};

static const struct setting {
	const char *name;
	enum setting_type type;
	size_t member; /* offset in struct policy; a const char *, unless it is a pool, a lease or a bool */
} settings[] = {
	{ "log", SETTING_LOG, offsetof(struct policy, log) },
	{ "state", SETTING_FOLDER, offsetof(struct policy, state) },
	{ "lease-file", SETTING_FILE, offsetof(struct policy, lease_file) },
	{ "pool", SETTING_POOL, offsetof(struct policy, pool) },
	{ "lease", SETTING_LEASE, offsetof(struct policy, lease) },
	{ "warn", SETTING_NO, offsetof(struct policy, no_warning) },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* The row of a key of [portfence]; SETTINGS if there is none */
static size_t find_setting(const char *name)
{
	size_t i;

	for (i = 0; i < SETTINGS && strcmp(settings[i].name, name) != 0; i++)
		;
	return i;
}

/* What makes a value wrong whatever its key is. @index: the key's bit in conf->seen */
static bool check_value(struct conf *conf, size_t index, const char *name, const char *value,
			const char *values)
{
	const unsigned bit = 1U << index;
	const char *hash = strchr(value, '#');

	if (conf->seen & bit) {
		conf_fail(conf, "'%s' is given twice in this section, keep one", name);
		return false;
	}
	conf->seen |= bit;
	if (!*value) {
		conf_fail(conf, "'%s' has no value, write %s after '=' or take the line out", name,
			  values);
		return false;
	}
	/* to inih, '#' begins a comment in front of a line only: behind a value it is part of it */
	while (hash && hash != value && hash[-1] != ' ' && hash[-1] != '\t')
		hash = strchr(hash + 1, '#');
	if (hash)
		conf_fail(conf, "'#' begins no comment behind a value, write ';' instead");
	return !hash;
}

static int read_text(struct conf *conf, const char *value, const char **ret_text)
{
	*ret_text = arena_copy(conf->arena, value, strlen(value));
	return *ret_text ? 0 : -ENOMEM;
}

static int read_path(struct conf *conf, const char *what, const char *value, const char **ret_path,
		     struct reason *ret_why)
{
	if (*value != '/')
		return reason_refuse(ret_why, REASON_QUOTED " is no %s, write an absolute path",
				     value, what);
	return read_text(conf, value, ret_path);
}

static int read_setting(struct conf *conf, const struct setting *setting, const char *value,
			struct reason *ret_why)
{
	union {
		void *any;
		const char **text;
		const struct range **range;
		uint32_t *number;
		bool *flag;
	} member = { .any = (char *)conf->policy + setting->member };
	int rc = key_check_quotes(value, ret_why);

	if (rc)
		return rc;
	switch (setting->type) {
	case SETTING_LOG:
		rc = log_destination_check(value, ret_why);
		return rc ? rc : read_text(conf, value, member.text);
	case SETTING_FOLDER:
		return read_path(conf, "state folder", value, member.text, ret_why);
	case SETTING_FILE:
		return read_path(conf, "lease file", value, member.text, ret_why);
	case SETTING_POOL:
		conf->policy->pool_sliced = slices_used(value);
		rc = slices_expand(value, conf->policy->hosts, conf->arena, &value, ret_why);
		return rc ? rc : key_range(value, conf->arena, member.range, ret_why);
	case SETTING_LEASE:
		return pool_parse_lease(value, member.number, ret_why);
	case SETTING_NO:
		*member.flag = !strcmp(value, "no");
		if (*member.flag || !strcmp(value, "yes"))
			return 0;
		return reason_refuse(ret_why, REASON_QUOTED " is neither yes nor no", value);
	}
	return -EINVAL;
}

static void take_setting(struct conf *conf, const char *name, const char *value)
{
	const size_t i = find_setting(name);
	struct reason why;

	if (i == SETTINGS && key_find(name) != KEY_COUNT)
		conf_fail(
			conf,
			"'%s' is no key of [portfence] but of an application, write it below a line such "
			"as [curl]",
			name);
	else if (i == SETTINGS)
		conf_fail(conf,
			  "unknown key " REASON_QUOTED " in [portfence], use one of: log, state, "
			  "lease-file, pool, lease, warn",
			  name);
	else if (check_value(conf, i, name, value, "one"))
		note_result(conf, read_setting(conf, &settings[i], value, &why), &why);
}

/* Apart, so that the room for its text is not part of every section's frame. */
__attribute__((noinline)) static void fail_unknown_key(struct conf *conf, const char *name)
{
	char list[LIST_MAX], *to = list;
	int i;

	if (find_setting(name) != SETTINGS) {
		conf_fail(
			conf,
			"'%s' is no key of [%s] but of [portfence], write it below a line [portfence]",
			name, conf->rule->name);
		return;
	}
	for (i = 0; i < KEY_COUNT; i++)
		to = stpcpy(stpcpy(to, i ? ", " : ""), key_table[i].name);
	conf_fail(conf, "unknown key " REASON_QUOTED " in [%s], use one of: %s", name,
		  conf->rule->name, list);
}

/* @size_text: what follows "lease" */
static int read_lease(struct rule *rule, const char *size_text, struct reason *ret_why)
{
	rule->lease = LEASE_UNSAID;
	return *size_text ? pool_parse_lease(size_text, &rule->lease, ret_why) : 0;
}

/* Reads a list of ports into the set of its key. */
static int read_ports(struct conf *conf, enum key key, const char *value, struct reason *ret_why)
{
	const bool excludes = key == KEY_EXCLUDE;
	const int proto = key == KEY_RANGE ? PROTO_COUNT : (int)(key - KEY_TCP_RANGE);
	struct range_set *set = excludes ? &conf->exclude : &conf->set[proto];
	int rc = key_check_quotes(value, ret_why);

	if (!excludes)
		conf->rule->range_line[proto] = conf->line;
	range_set_clear(set);
	if (rc)
		return rc;
	if (key == KEY_RANGE && pool_skip_lease(value) && !strchr(value, ','))
		return read_lease(conf->rule, pool_skip_lease(value), ret_why);
	if (pool_skip_lease(value))
		return reason_refuse(ret_why,
				     "'%s' cannot be " REASON_QUOTED
				     ": a lease is one block for all protocols; "
				     "write 'range = lease' or 'range = lease 100'",
				     key_table[key].name, value);
	if (!excludes && slices_used(value))
		conf->rule->sliced |= 1U << proto;
	rc = slices_expand(value, conf->policy->hosts, conf->arena, &value, ret_why);
	if (!rc)
		rc = range_parse(value, excludes ? preset_add_exclusion : preset_add, set, ret_why);
	if (rc)
		range_set_clear(set);
	return rc;
}

static int read_key(struct conf *conf, enum key key, const char *value, struct reason *ret_why)
{
	int rc = 0;

	if (key_is_ports(key))
		return read_ports(conf, key, value, ret_why);
	if (key_table[key].type == KEY_TYPE_PORTS)
		rc = slices_expand(value, conf->policy->hosts, conf->arena, &value, ret_why);
	return rc ? rc : key_set(conf->rule, key, value, conf->arena, ret_why);
}

static void take_key(struct conf *conf, const char *name, const char *value)
{
	const enum key key = key_find(name);
	struct reason why = { "" };

	if (key == KEY_COUNT) {
		fail_unknown_key(conf, name);
		return;
	}
	if (!*value)
		key_values(key, &why);
	if (!check_value(conf, key, name, value, why.text))
		return;
	if (key == KEY_MATCH)
		conf->rule->match_line = conf->line;
	note_result(conf, read_key(conf, key, value, &why), &why);
}

/* ---- lines ---- */

static bool is_key(void *context, const char *name)
{
	const struct conf *conf = context;

	return conf->where == IN_SETTINGS ? find_setting(name) != SETTINGS
					  : key_find(name) != KEY_COUNT;
}

static bool is_list(void *context, const char *name)
{
	const struct conf *conf = context;
	const enum key key = key_find(name);

	if (conf->where == IN_SETTINGS)
		return !strcmp(name, "pool");
	return conf->where == IN_RULE && key != KEY_COUNT && key_is_list(key);
}

static void take_pair(void *context, unsigned line, const char *name, const char *value)
{
	struct conf *conf = context;

	conf->line = line;
	if (!*name)
		conf_fail(conf, "there is no key before '=', write 'key = value'");
	else if (conf->where == IN_SETTINGS)
		take_setting(conf, name, value);
	else if (conf->where == IN_RULE)
		take_key(conf, name, value);
	else if (conf->where == AT_START)
		conf_fail(conf,
			  REASON_QUOTED " stands before the first section, write [%s] above it",
			  name, find_setting(name) == SETTINGS ? "application" : "portfence");
}

static void take_header(void *context, unsigned number, const char *line, size_t len)
{
	struct conf *conf = context;
	const char *close = memchr(line, ']', len), *end = line + len;

	conf->line = number;
	if (!close) {
		end_section(conf);
		conf->where = IN_REFUSED;
		conf_fail(conf, "the section's name has no ']' at its end, write [name]");
		return;
	}
	begin_section(conf, line + 1, (size_t)(close - line - 1));
	for (close++; close < end && (*close == ' ' || *close == '\t'); close++)
		;
	if (close < end && *close != ';' && *close != '#') {
		conf_fail(conf, "there is text after ']', begin a new line");
		conf->where = IN_REFUSED;
	}
}

static void take_problem(void *context, unsigned line, const char *problem)
{
	struct conf *conf = context;

	conf->line = line;
	conf_fail(conf, "%s", problem);
}

static void read_text_of(struct conf *conf, const struct conf_file *file)
{
	const struct lines_calls calls = {
		.is_key = is_key,
		.is_list = is_list,
		.header = take_header,
		.pair = take_pair,
		.problem = take_problem,
	};

	conf->file = file->path;
	conf->where = AT_START;
	if (lines_read(file->text, file->size, conf->arena, &calls, conf))
		conf->rc = -ENOMEM;
	end_section(conf);
}

/* ---- the section [hosts], which is read before all others ---- */

static bool is_any(void *context, const char *name)
{
	(void)context;
	(void)name;
	return true;
}

static bool is_no_list(void *context, const char *name)
{
	return !is_any(context, name);
}

static void look_for_hosts(void *context, unsigned line, const char *text, size_t len)
{
	static const char header[] = "[hosts]";
	struct conf *conf = context;

	(void)line;
	conf->where = len >= strlen(header) && !memcmp(text, header, strlen(header)) ? IN_HOSTS
										     : IN_REFUSED;
}

static void take_host(void *context, unsigned line, const char *name, const char *value)
{
	struct conf *conf = context;
	struct reason why;

	if (conf->where != IN_HOSTS)
		return;
	conf->line = line;
	note_result(conf,
		    slices_add_host(name, value, line, conf->arena, &conf->policy->hosts, &why),
		    &why);
}

/* All that is wrong but for the hosts is told when the file is read for the rest. */
static void ignore_problem(void *context, unsigned line, const char *problem)
{
	(void)context;
	(void)line;
	(void)problem;
}

static void take_hosts(struct conf *conf, const struct conf_file *file)
{
	static const struct lines_calls calls = {
		.is_key = is_any,
		.is_list = is_no_list,
		.header = look_for_hosts,
		.pair = take_host,
		.problem = ignore_problem,
	};

	conf->file = file->path;
	conf->where = IN_REFUSED;
	if (memmem(file->text, file->size, "[hosts]", strlen("[hosts]")) &&
	    lines_read(file->text, file->size, conf->arena, &calls, conf))
		conf->rc = -ENOMEM;
}

/* Return: what conf_load() answers */
static int fail_reading(const char *file, int rc, bool foreign, conf_error_fn *error, void *context)
{
	char problem[256];

	snprintf(
		problem, sizeof(problem), "cannot be read: %s",
		rc == -EINVAL ? "not a regular file"
		: rc == -EFBIG
			? foreign ? "larger than 64 kB, which is all that is read of another process's"
				  : "larger than 16 MiB, is it a configuration?"
		: rc == -ENODATA ? "it became shorter while it was read"
		: rc == -E2BIG   ? "more than 1024 files"
				 : strerror(-rc));
	error(context, file, 0, problem);
	/* -EINVAL would say that it was read, -ENOENT that there is none */
	return rc == -EINVAL ? -ENODEV : rc == -ENOENT ? -ESTALE : rc;
}

static int set_up(struct conf *conf)
{
	const struct conf_files *files = &conf->files;
	const char **path = arena_alloc(conf->arena, (files->count + 1) * sizeof(*path));
	size_t i;

	/* the shortest section has about twenty bytes */
	for (conf->buckets = 16; conf->buckets < files->size / 64;)
		conf->buckets *= 2;
	conf->names = arena_alloc(conf->arena, conf->buckets * sizeof(*conf->names));
	if (!conf->names || !path)
		return -ENOMEM;
	for (i = 0; i < files->count; i++)
		path[i] = files->file[i].path;
	conf->policy->files = path;
	return 0;
}

int conf_load(const char *file, bool foreign, struct arena *arena, conf_error_fn *error,
	      void *context, struct policy *ret_policy)
{
	struct policy policy = { .file = file };
	/* not for the stack of a thread that calls us before our constructor */
	struct conf *conf = arena_alloc(arena, sizeof(*conf));
	const char *bad = file;
	size_t i;
	int rc = conf ? conf_files_read(file, foreign, arena, &conf->files, &bad) : -ENOMEM;

	if (rc == -ENOENT && bad == file)
		return rc;
	if (!rc) {
		conf->arena = arena;
		conf->error = error;
		conf->context = context;
		conf->policy = &policy;
		rc = set_up(conf);
	}
	if (rc)
		return fail_reading(bad, rc, foreign, error, context);
	for (i = 0; i < conf->files.count; i++)
		take_hosts(conf, &conf->files.file[i]);
	for (i = 0; i < conf->files.count; i++)
		read_text_of(conf, &conf->files.file[i]);
	end_leases(conf);
	if (conf->rc == -ENOMEM)
		error(context, file, 0, "cannot be read: out of memory");
	else if (!conf->rc)
		*ret_policy = policy;
	return conf->rc;
}
