#include "conf.h"

#include "fd.h"
#include "log_destination.h"
#include "pool.h"
#include "preset.h"
#include "range.h"
#include "siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * inih splits a line into key and value, conf knows what they mean. As packaged
 * (Debian's 55), inih cuts lines at 199 bytes and section names at 49 without a
 * word, takes an indented line for a second value of the key before, calls no
 * handler for a section without keys, tells the handler no line number, and
 * reports only the first line that it cannot split. So conf gives it a reader
 * that counts lines, strips indentation and finds section headers. If a line
 * should have reached the handler, but had not when the next line was asked for,
 * it was no "key = value".
 *
 * A value may be longer than inih's lines, and a list may go on in indented
 * lines. The reader hands both over in pieces, each with the key in front, and
 * the handler joins them. What the value means is looked at when it is complete:
 * at the next line that begins something else.
 *
 * A line that inih is not to see is replaced with an empty one, so that reading
 * goes on and all errors are told in one go.
 */

#define KEY_LONGEST 199 /* no line of inih is longer */
#define NAME_LONGEST 49 /* MAX_SECTION of ini.c, less the terminating NUL */
#define FILE_LARGEST (16L << 20)
#define LIST_MAX 1024
#define LEASE_UNSAID 65536 /* [portfence], which says how many, may be further down */

enum where { AT_START, IN_SETTINGS, IN_RULE, IN_REFUSED };

struct named {
	struct named *next;
	struct rule *rule;
};

/* Part of the file's text */
struct slice {
	const char *at;
	size_t len;
};

/* A key and its value, to which pieces are added until it is complete. */
struct entry {
	bool open;
	bool is_list;
	unsigned line;
	char name[KEY_LONGEST + 1];
	char *value; /* in the arena, with a NUL */
	size_t len, room;
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

	const char *text, *end;       /* what is still to be read */
	struct slice piece_key, rest; /* of a line that is handed over in pieces */
	unsigned line;
	bool pending; /* the line went to inih, the handler was not called yet */
	bool goes_on; /* what the handler is called with belongs to the open entry */
	char list_above[KEY_LONGEST +
			1]; /* the key of the list above an indented line, for its error */

	struct entry entry;
	enum where where;
	unsigned settings_line; /* of [portfence], 0 before it */
	struct rule *rule;
	unsigned seen; /* keys of the section so far, by bit */
	/* only for the keys that were seen; others are not even touched, as each has pages of its own */
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

/* Takes over what reading a value came to. */
static void note_result(struct conf *conf, int rc, const struct reason *why)
{
	if (rc == -EINVAL)
		fail(conf, "%s", why->text);
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
		fail(conf, "'exclude' leaves no port of '%s' in [%s], take out less", key,
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
			fail(conf,
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
		conf->line = rule->range_line[PROTO_COUNT];
		rc = pool ? 0 : pool_find(policy, conf->arena, &pool);
		if (rc == -EINVAL) {
			fail(conf,
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
		fail(conf,
		     "[%s] would only be for a program of that name; write [*] for all programs without "
		     "a section of their own, [portfence] for the log, or add 'match = %s'",
		     name, name);
		return false;
	}
	if (!is_seen(conf, KEY_MATCH) && !is_seen(conf, KEY_ARGS) && strpbrk(name, "/*?[") &&
	    strcmp(name, "*") != 0)
		fail(conf,
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
		fail(conf, "[%s] has no 'range', give it one%s", rule->name,
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

/*
 * The keys of [portfence]. To add one, add its row, its member of struct policy, its use, its manual
 * entry and its test.
 */
enum setting_type { SETTING_LOG, SETTING_FOLDER, SETTING_FILE, SETTING_POOL, SETTING_LEASE };

static const struct setting {
	const char *name;
	enum setting_type type;
	size_t member; /* offset in struct policy; a const char *, unless it is a pool or a lease */
} settings[] = {
	{ "log", SETTING_LOG, offsetof(struct policy, log) },
	{ "state", SETTING_FOLDER, offsetof(struct policy, state) },
	{ "lease-file", SETTING_FILE, offsetof(struct policy, lease_file) },
	{ "pool", SETTING_POOL, offsetof(struct policy, pool) },
	{ "lease", SETTING_LEASE, offsetof(struct policy, lease) },
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
		fail(conf, "'%s' is given twice in this section, keep one", name);
		return false;
	}
	conf->seen |= bit;
	if (!*value) {
		fail(conf, "'%s' has no value, write %s after '=' or take the line out", name,
		     values);
		return false;
	}
	/* to inih, '#' begins a comment in front of a line only: behind a value it is part of it */
	while (hash && hash != value && hash[-1] != ' ' && hash[-1] != '\t')
		hash = strchr(hash + 1, '#');
	if (hash)
		fail(conf, "'#' begins no comment behind a value, write ';' instead");
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
		return key_range(value, conf->arena, member.range, ret_why);
	case SETTING_LEASE:
		return pool_parse_lease(value, member.number, ret_why);
	}
	return -EINVAL;
}

static void take_setting(struct conf *conf, const char *name, const char *value)
{
	const size_t i = find_setting(name);
	struct reason why;

	if (i == SETTINGS && key_find(name) != KEY_COUNT)
		fail(conf,
		     "'%s' is no key of [portfence] but of an application, write it below a line such "
		     "as [curl]",
		     name);
	else if (i == SETTINGS)
		fail(conf,
		     "unknown key " REASON_QUOTED " in [portfence], use one of: log, state, "
		     "lease-file, pool, lease",
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
		fail(conf,
		     "'%s' is no key of [%s] but of [portfence], write it below a line [portfence]",
		     name, conf->rule->name);
		return;
	}
	for (i = 0; i < KEY_COUNT; i++)
		to = stpcpy(stpcpy(to, i ? ", " : ""), key_table[i].name);
	fail(conf, "unknown key " REASON_QUOTED " in [%s], use one of: %s", name, conf->rule->name,
	     list);
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
	const int proto = key == KEY_RANGE ? PROTO_COUNT : key - KEY_TCP_RANGE;
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
	rc = range_parse(value, excludes ? preset_add_exclusion : preset_add, set, ret_why);
	if (rc)
		range_set_clear(set);
	return rc;
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
	note_result(conf,
		    key_is_ports(key) ? read_ports(conf, key, value, &why)
				      : key_set(conf->rule, key, value, conf->arena, &why),
		    &why);
}

/* ---- entries ---- */

static bool is_list_key(const struct conf *conf, const char *name)
{
	const enum key key = key_find(name);

	if (conf->where == IN_SETTINGS)
		return !strcmp(name, "pool");
	return conf->where == IN_RULE && key != KEY_COUNT && key_is_list(key);
}

/* Adds a piece to the open entry's value. */
static int append(struct conf *conf, const char *piece)
{
	struct entry *entry = &conf->entry;
	const size_t len = strlen(piece);

	if (entry->len + len >= entry->room) {
		const size_t room = 2 * (entry->len + len) + 64;
		char *value = arena_alloc(conf->arena, room);

		if (!value)
			return -ENOMEM;
		if (entry->len)
			memcpy(value, entry->value, entry->len);
		entry->value = value;
		entry->room = room;
	}
	memcpy(entry->value + entry->len, piece, len + 1);
	entry->len += len;
	return 0;
}

static void open_entry(struct conf *conf, const char *name, const char *value)
{
	struct entry *entry = &conf->entry;

	/* the buffer of the entry before is used again: what it held was copied where it matters */
	entry->open = true;
	entry->is_list = is_list_key(conf, name);
	entry->line = conf->line;
	entry->len = 0;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	if (append(conf, value))
		conf->rc = -ENOMEM;
}

/* The entry's value is complete. Errors are told at its first line. */
static void close_entry(struct conf *conf)
{
	struct entry *entry = &conf->entry;
	const unsigned line = conf->line;

	if (!entry->open)
		return;
	entry->open = false;
	conf->line = entry->line;
	if (!*entry->name)
		fail(conf, "there is no key before '=', write 'key = value'");
	else if (conf->where == IN_SETTINGS)
		take_setting(conf, entry->name, entry->value);
	else if (conf->where == IN_RULE)
		take_key(conf, entry->name, entry->value);
	else if (conf->where == AT_START)
		fail(conf, REASON_QUOTED " stands before the first section, write [%s] above it",
		     entry->name,
		     find_setting(entry->name) == SETTINGS ? "application" : "portfence");
	conf->line = line;
}

/* inih's handler. Return: not 0, or inih would count an error of its own. */
static int handle(void *user, const char *section, const char *name, const char *value)
{
	struct conf *conf = user;

	(void)section; /* the reader knows it better: names are cut here */
	conf->pending = false;
	if (!conf->goes_on)
		open_entry(conf, name, value);
	else if (append(conf, value))
		conf->rc = -ENOMEM;
	return 1;
}

/* ---- lines ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_text(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' ? line[i] != '\t' : line[i] == 0x7f)
			return false;
	return true;
}

static struct slice trim(struct slice text)
{
	while (text.len && is_blank(*text.at)) {
		text.at++;
		text.len--;
	}
	while (text.len && (is_blank(text.at[text.len - 1]) || text.at[text.len - 1] == '\r'))
		text.len--;
	return text;
}

/* Without the comment behind it: for inih, ';' begins one where a blank is in front of it. */
static struct slice without_comment(struct slice line)
{
	size_t i;

	for (i = 1; i < line.len; i++)
		if (line.at[i] == ';' && is_blank(line.at[i - 1]))
			line.len = i;
	return trim(line);
}

/* The key of "key = value" or "key: value"; its length is that of the whole line if it is neither */
static struct slice key_of(struct slice line)
{
	size_t i;

	for (i = 0; i < line.len && line.at[i] != '=' && line.at[i] != ':'; i++)
		;
	return (struct slice){ line.at, i };
}

/* Is it "key = value" with a key that may stand in this section? */
static bool begins_known_key(const struct conf *conf, struct slice line)
{
	const struct slice key = trim(key_of(line));
	char name[32];

	if (key_of(line).len == line.len || key.len >= sizeof(name))
		return false;
	memcpy(name, key.at, key.len);
	name[key.len] = '\0';
	return conf->where == IN_SETTINGS ? find_setting(name) != SETTINGS
					  : key_find(name) != KEY_COUNT;
}

/*
 * Does an indented line go on with the list above it? It does only where a comma says so, or where
 * the list has not begun: a key whose '=' was forgotten must not become part of a list.
 */
static bool continues_list(const struct conf *conf, struct slice line)
{
	const struct entry *entry = &conf->entry;

	if (!entry->open || !entry->is_list || begins_known_key(conf, line))
		return false;
	if (!entry->len)
		return key_of(line).len == line.len;
	return *line.at == ',' || entry->value[entry->len - 1] == ',';
}

/* A line that went to inih and did not come back was no "key = value". */
static void refuse_pending(struct conf *conf)
{
	if (conf->pending && *conf->list_above)
		fail(conf,
		     "this is neither '[section]' nor 'key = value'; to go on with the list of '%s', end "
		     "the line above with a comma",
		     conf->list_above);
	else if (conf->pending)
		fail(conf, "this is neither '[section]' nor 'key = value'");
	conf->pending = false;
}

/* Return: false if the header is refused */
static bool admit_header(struct conf *conf, struct slice line)
{
	const char *close = memchr(line.at, ']', line.len), *end = line.at + line.len;

	if (!close) {
		end_section(conf);
		conf->where = IN_REFUSED;
		fail(conf, "the section's name has no ']' at its end, write [name]");
		return false;
	}
	begin_section(conf, line.at + 1, (size_t)(close - line.at - 1));
	for (close++; close < end && is_blank(*close); close++)
		;
	if (close < end && *close != ';' && *close != '#') {
		fail(conf, "there is text after ']', begin a new line");
		conf->where = IN_REFUSED;
	}
	return conf->where != IN_REFUSED;
}

/* Sets up a line to be handed over in pieces, each with the key in front. */
static void begin_pieces(struct conf *conf, struct slice line, size_t most)
{
	const struct slice key = key_of(line);

	if (key.len == line.len) {
		conf->pending = true;
		refuse_pending(conf);
	} else if (key.len > most / 2) {
		fail(conf, "there are %zu characters before '=', no key is so long", key.len);
	} else {
		conf->piece_key = trim(key);
		conf->rest = trim((struct slice){ line.at + key.len + 1, line.len - key.len - 1 });
		conf->goes_on = false;
	}
}

/* Return: what of a line inih can have as it is; nothing if the line is not for it, or comes in pieces */
static struct slice admit(struct conf *conf, struct slice line, bool indented, size_t most)
{
	const struct slice nothing = { line.at, 0 };

	if (!is_text(line.at, line.len)) {
		close_entry(conf);
		fail(conf, "this is not text, a configuration holds printable characters only");
		return nothing;
	}
	if (line.len == 0 || *line.at == ';' || *line.at == '#')
		return nothing;
	if (indented && continues_list(conf, line)) {
		conf->piece_key = (struct slice){ conf->entry.name, strlen(conf->entry.name) };
		conf->rest = without_comment(line);
		conf->goes_on = true;
		return nothing;
	}
	snprintf(conf->list_above, sizeof(conf->list_above), "%s",
		 indented && conf->entry.open && conf->entry.is_list ? conf->entry.name : "");
	close_entry(conf);
	if (*line.at == '[')
		return admit_header(conf, line) && line.len <= most ? line : nothing;
	if (line.len > most)
		line = without_comment(line);
	if (line.len > most) {
		begin_pieces(conf, line, most);
		return nothing;
	}
	conf->pending = true;
	conf->goes_on = false;
	return line;
}

/* inih takes blanks off both ends of a value, so a piece neither begins nor ends with one. */
static size_t cut_piece(struct slice rest, size_t most)
{
	size_t cut = most;

	if (rest.len <= most)
		return rest.len;
	while (cut && (is_blank(rest.at[cut - 1]) || is_blank(rest.at[cut])))
		cut--;
	return cut;
}

/* Writes the next piece of a line, if there is one. */
static bool put_piece(struct conf *conf, char *buffer, size_t most)
{
	const struct slice key = conf->piece_key;
	const size_t len = cut_piece(conf->rest, most - key.len - 1);

	if (!conf->rest.len)
		return false;
	if (!len) {
		fail(conf, "the value has too many blanks in a row, take some out");
		conf->rest.len = 0;
		return false;
	}
	buffer = mempcpy(buffer, key.at, key.len);
	*buffer++ = '=';
	buffer = mempcpy(buffer, conf->rest.at, len);
	strcpy(buffer, "\n");
	conf->rest.at += len;
	conf->rest.len -= len;
	conf->pending = true;
	return true;
}

/* The next line of the file. Return: false at the end, and where it is no text */
static bool next_line(struct conf *conf, struct slice *ret_line)
{
	struct slice line = { conf->text, 0 };
	const char *end;

	if (conf->text == conf->end)
		return false;
	end = memchr(line.at, '\n', (size_t)(conf->end - line.at));
	line.len = (size_t)((end ? end : conf->end) - line.at);
	conf->text = end ? end + 1 : conf->end;
	conf->line++;
	if (memchr(line.at, '\0', line.len)) {
		close_entry(conf);
		/* once: each line of a program or of UTF-16 would say the same */
		fail(conf, "this is no text file, as it holds a NUL byte; save it as UTF-8");
		conf->text = conf->end;
		return false;
	}
	if (conf->line == 1 && line.len >= 3 && !memcmp(line.at, "\xEF\xBB\xBF", 3)) {
		line.at += 3;
		line.len -= 3;
	}
	*ret_line = line;
	return true;
}

/* inih's reader, in the manner of fgets(). */
static char *read_line(char *buffer, int size, void *stream)
{
	struct conf *conf = stream;
	const size_t most =
		(size_t)size - 2; /* less the newline that inih wants to see, and the NUL */
	struct slice line, whole;

	if (conf->rest.len) {
		/* this piece belongs to the entry that the piece before has opened */
		conf->goes_on = true;
	} else {
		refuse_pending(conf);
		if (!next_line(conf, &whole))
			return NULL;
		line = admit(conf, trim(whole), whole.len && is_blank(*whole.at), most);
		memcpy(buffer, line.at, line.len);
		strcpy(buffer + line.len, "\n");
	}
	put_piece(conf, buffer, most);
	return buffer;
}

static int read_whole(struct conf *conf, int fd)
{
	struct stat st;
	size_t used = 0, size;
	char *text;

	if (fd_stat(fd, &st))
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
		/* half of a configuration may lack the section that fits */
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

	/* without blocking: a FIFO must not stop every program at its start */
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
		/* the shortest section has about twenty bytes */
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
	refuse_pending(conf);
	close_entry(conf);
	end_section(conf);
	end_leases(conf);
	if (conf->rc == -ENOMEM)
		error(context, file, 0, "cannot be read: out of memory");
	else if (!conf->rc)
		*ret_policy = policy;
	return conf->rc;
}
