#include "conf.h"

#include "fd.h"
#include "log_destination.h"
#include "preset.h"
#include "range.h"

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

static const char *const key_names[KEY_COUNT] = {
	[KEY_MATCH] = "match",
	[KEY_ARGS] = "args",
	[KEY_RANGE] = "range",
	[KEY_TCP_RANGE] = "tcp.range",
	[KEY_UDP_RANGE] = "udp.range",
	[KEY_SCTP_RANGE] = "sctp.range",
	[KEY_EXCLUDE] = "exclude",
	[KEY_ORDER] = "order",
	[KEY_SEED] = "seed",
	[KEY_BIND] = "bind",
	[KEY_EXHAUSTED] = "exhausted",
	[KEY_ENGINE] = "engine",
	[KEY_VIA] = "via",
	[KEY_IO_URING] = "io-uring",
	[KEY_MAP] = "map",
};

static const char *const settings_names[SETTINGS_KEYS] = {
	[SETTINGS_LOG] = "log",   [SETTINGS_STATE] = "state", [SETTINGS_LEASE_FILE] = "lease-file",
	[SETTINGS_POOL] = "pool", [SETTINGS_LEASE] = "lease",
};

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

/* Of a section with `range = lease`: its block is all that it has. */
static void end_leased(struct conf *conf)
{
	static const enum key others[] = { KEY_TCP_RANGE, KEY_UDP_RANGE, KEY_SCTP_RANGE,
					   KEY_EXCLUDE };
	char why[256];
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is_seen(conf, others[i]))
			fail(conf,
			     "[%s] has 'range = lease', which is one block for all protocols; take "
			     "'%s' out",
			     conf->rule->name, key_names[others[i]]);
	if (key_check(conf->rule, why, sizeof(why)))
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
		rc = pool ? 0 : key_pool(policy, conf->arena, &pool);
		if (rc == -EINVAL) {
			fail(conf,
			     "the sections leave no port of %d-%d for leases, give [portfence] a "
			     "'pool'",
			     KEY_POOL_FIRST, KEY_POOL_LAST);
			return;
		}
		if (rc) {
			conf->rc = rc;
			return;
		}
		if (rule->lease == LEASE_UNSAID)
			rule->lease = policy->lease ? policy->lease : KEY_LEASE;
		if (key_lease_fits(rule->lease, pool, why, sizeof(why)))
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
	unsigned ranges =
		1U << KEY_RANGE | 1U << KEY_TCP_RANGE | 1U << KEY_UDP_RANGE | 1U << KEY_SCTP_RANGE;
	unsigned line = conf->line;
	struct rule *rule = conf->rule;
	const struct range *all;
	struct rule copy;
	char why[256];
	int proto, rc;

	if (conf->where != IN_RULE)
		return;
	conf->line = rule->line;
	if (!is_seen(conf, KEY_MATCH) && !is_seen(conf, KEY_ARGS) && strpbrk(rule->name, "/*?[") &&
	    strcmp(rule->name, "*"))
		fail(conf,
		     "[%s] would have to be a program's name, which it can not be; write another name "
		     "and 'match = %s'",
		     rule->name, rule->name);
	if (!is_seen(conf, KEY_RANGE)) {
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
		if (is_seen(conf, KEY_TCP_RANGE + proto) && conf->set[proto].count &&
		    build_range(conf, &conf->set[proto], key_names[KEY_TCP_RANGE + proto],
				&rule->range[proto]))
			goto out;
	}
	copy = *rule;
	rc = key_place_map(&copy, conf->arena, why, sizeof(why));
	if (rc == -ENOMEM)
		conf->rc = rc;
	else if (rc || key_check(&copy, why, sizeof(why)))
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
	if (key == SETTINGS_LOG && log_destination_check(value, why, sizeof(why))) {
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
			     ? key_lease(value, &conf->policy->lease, why, sizeof(why))
			     : key_range(value, conf->arena, &conf->policy->pool, why, sizeof(why));
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

	for (i = 0; i < KEY_COUNT; i++) {
		strcat(list, i ? ", " : "");
		strcat(list, key_names[i]);
	}
	fail(conf, "unknown key '%s' in [%s], use one of: %s", name, conf->rule->name, list);
}

/* @size_text: what follows "lease" */
static int set_lease(struct rule *rule, const char *size_text, char *ret_why, size_t size)
{
	rule->lease = LEASE_UNSAID;
	return *size_text ? key_lease(size_text, &rule->lease, ret_why, size) : 0;
}

static void rule_key(struct conf *conf, const char *name, const char *value)
{
	int key = find_name(key_names, name, KEY_COUNT);
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
	if (key == KEY_RANGE && key_skip_lease(value) && !strchr(value, ',')) {
		conf->rule->range_line[PROTO_COUNT] = conf->line;
		rc = set_lease(conf->rule, key_skip_lease(value), why, sizeof(why));
	} else if (key >= KEY_RANGE && key <= KEY_EXCLUDE && key_skip_lease(value)) {
		rc = -EINVAL;
		snprintf(
			why, sizeof(why),
			"'%s' cannot be '%s': a lease is one block for all protocols; write 'range "
			"= lease' or 'range = lease 100'",
			name, value);
	} else if (key == KEY_EXCLUDE) {
		range_set_clear(&conf->exclude);
		rc = range_parse(value, preset_add_exclusion, &conf->exclude, why, sizeof(why));
		if (rc)
			range_set_clear(&conf->exclude);
	} else if (key >= KEY_RANGE && key <= KEY_SCTP_RANGE) {
		int proto = key == KEY_RANGE ? PROTO_COUNT : key - KEY_TCP_RANGE;
		struct range_set *set = &conf->set[proto];

		conf->rule->range_line[proto] = conf->line;
		range_set_clear(set);
		rc = range_parse(value, preset_add, set, why, sizeof(why));
		if (rc)
			range_set_clear(set);
	} else {
		if (key == KEY_MATCH)
			conf->rule->match_line = conf->line;
		rc = key_set(conf->rule, (enum key)key, value, conf->arena, why, sizeof(why));
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
