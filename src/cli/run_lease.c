#include "run_lease.h"

#include "../core/pool.h"
#include "../core/variables.h"
#include "../supervisor/supervise.h"
#include "run_map.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- arguments ---- */

/* A placeholder in an argument, such as "{first+2}". */
struct placeholder {
	size_t len;
	bool range;    /* "{range}" */
	int64_t index; /* which port of the lease, counted from its first */
};

/* Return: false if no placeholder begins at @text */
static bool parse_placeholder(const char *text, uint32_t count, struct placeholder *ret_placeholder)
{
	struct placeholder placeholder = { .index = 0 };
	const char *p = text;
	unsigned long offset = 0;
	bool minus = false;
	char *end;

	if (!strncmp(p, "{range}", strlen("{range}"))) {
		ret_placeholder->range = true;
		ret_placeholder->len = strlen("{range}");
		return true;
	}
	if (!strncmp(p, "{first", strlen("{first"))) {
		p += strlen("{first");
	} else if (!strncmp(p, "{last", strlen("{last"))) {
		p += strlen("{last");
		placeholder.index = (int64_t)count - 1;
	} else {
		return false;
	}
	if (*p == '+' || *p == '-') {
		minus = *p++ == '-';
		if (*p < '0' || *p > '9')
			return false;
		offset = strtoul(p, &end, 10);
		p = end;
	}
	if (*p != '}')
		return false;
	/* keeps the sum from overflowing; such an offset is outside any lease */
	if (offset > 65536)
		offset = 65536;
	placeholder.index += minus ? -(int64_t)offset : (int64_t)offset;
	placeholder.len = (size_t)(p + 1 - text);
	*ret_placeholder = placeholder;
	return true;
}

static int check_arguments(char *const argv[], uint32_t count)
{
	struct placeholder placeholder;
	const char *p;
	size_t i;

	for (i = 1; argv[i]; i++) {
		for (p = strchr(argv[i], '{'); p; p = strchr(p + 1, '{')) {
			if (!parse_placeholder(p, count, &placeholder) || placeholder.range ||
			    (placeholder.index >= 0 && placeholder.index < (int64_t)count))
				continue;
			return say_failure("'%.*s' lies outside the lease, which has %u port%s",
					   (int)placeholder.len, p, count, say_plural(count));
		}
	}
	return 0;
}

/* Writes one argument with its placeholders replaced. Return: its length; @ret_text may be NULL */
static size_t replace_placeholders(const char *text, struct run_lease *lease, char *ret_text)
{
	const uint32_t count = lease->block.entry.last - lease->block.entry.first + 1U;
	char number[sizeof("65535-65535")];
	struct placeholder placeholder = { .range = false };
	size_t len = 0;

	while (*text) {
		if (*text != '{' || !parse_placeholder(text, count, &placeholder)) {
			if (ret_text)
				ret_text[len] = *text;
			len++;
			text++;
			continue;
		}
		if (placeholder.range) {
			sprintf(number, "%d-%d", lease->block.entry.first, lease->block.entry.last);
		} else {
			uint16_t port = (uint16_t)(lease->block.entry.first + placeholder.index);

			sprintf(number, "%d", port);
			lease->named[port / 8] |= (uint8_t)(1U << port % 8);
			lease->names = true;
		}
		if (ret_text)
			memcpy(ret_text + len, number, strlen(number));
		len += strlen(number);
		text += placeholder.len;
		placeholder.range = false;
	}
	if (ret_text)
		ret_text[len] = '\0';
	return len;
}

static int replace_arguments(char *argv[], struct run_lease *lease, struct arena *arena)
{
	size_t i;

	for (i = 1; argv[i]; i++) {
		char *text;

		if (!strchr(argv[i], '{'))
			continue;
		text = arena_alloc(arena, replace_placeholders(argv[i], lease, NULL) + 1);
		if (!text)
			return -ENOMEM;
		replace_placeholders(argv[i], lease, text);
		argv[i] = text;
	}
	return 0;
}

/* ---- options ---- */

/* Return: 0, or say_status(). @ret_wanted: is a lease asked for? */
static int parse_block(const struct run_lease_options *options, const struct settings *settings,
		       struct arena *arena, struct lease_block *ret_block, bool *ret_wanted)
{
	const char *idle = options->pool         ? "--pool"
			   : options->wait       ? "--wait"
			   : options->substitute ? "--substitute"
						 : NULL;
	uint32_t count = settings->rule ? settings->rule->lease : 0;
	struct reason why;

	if (options->lease && pool_parse_lease(options->lease, &count, &why))
		return say_failure("--lease: %s", why.text);
	*ret_wanted = count || options->name;
	if (!*ret_wanted && idle)
		return say_failure("'%s' needs a lease; add '--lease N'", idle);
	if (!*ret_wanted)
		return 0;
	return lease_block_parse(count, options->pool, options->wait, options->name, settings,
				 arena, ret_block);
}

/* ---- taking ---- */

static void describe_holder(const struct settings *settings, char *const argv[],
			    struct lease *entry)
{
	entry->pid = getpid();
	if (settings->rule && settings->rule->line)
		snprintf(entry->application, sizeof(entry->application), "%s",
			 settings->rule->name);
	lease_command(argv, entry->command);
}

static int export_lease(const struct lease *entry, const struct settings *settings)
{
	char range[sizeof("65535-65535")], first[sizeof("65535")], last[sizeof("65535")];

	sprintf(range, "%d-%d", entry->first, entry->last);
	sprintf(first, "%d", entry->first);
	sprintf(last, "%d", entry->last);
	if (variables_set(VARIABLE_RANGE, range) || variables_set(VARIABLE_FIRST, first) ||
	    variables_set(VARIABLE_LAST, last))
		return say_failure("%s", strerror(errno));
	/* the substituted arguments could fit another section, so keep the one found first */
	if (settings->rule && settings->rule->line &&
	    variables_set(VARIABLE_APP, settings->rule->name))
		return say_failure("%s", strerror(errno));
	return 0;
}

/* Hands the block to the command. */
static int use_block(const struct run_lease_options *options, const struct settings *settings,
		     char *argv[], struct arena *arena, struct run_lease *lease)
{
	const struct lease *entry = &lease->block.entry;
	int rc = 0;

	if (options->substitute)
		rc = check_arguments(argv, entry->last - entry->first + 1U);
	if (!rc && options->substitute && replace_arguments(argv, lease, arena))
		rc = say_failure("%s", strerror(ENOMEM));
	if (!rc)
		rc = export_lease(entry, settings);
	if (!rc && (supervise_hold(lease->block.fd) ||
		    (lease->block.names_fd >= 0 && supervise_hold(lease->block.names_fd))))
		rc = say_failure("%s", strerror(ENOSPC));
	return rc;
}

int run_lease_take(const struct run_lease_options *options, const struct settings *settings,
		   char *argv[], struct arena *arena, struct run_lease *ret_lease)
{
	struct lease_block block;
	bool wanted = false;
	int rc;

	memset(ret_lease, 0, sizeof(*ret_lease));
	ret_lease->block.names_fd = -1;
	describe_holder(settings, argv, &ret_lease->block.entry);
	rc = parse_block(options, settings, arena, &block, &wanted);
	/* before anything is taken, where it can be told by then */
	if (!rc && wanted && block.count && options->substitute)
		rc = check_arguments(argv, block.count);
	if (rc || !wanted)
		return rc;
	rc = lease_block_take(&block, settings, &ret_lease->block);
	if (rc)
		return rc;
	rc = use_block(options, settings, argv, arena, ret_lease);
	ret_lease->taken = !rc;
	/* main() ends where it fails, and gives the block back */
	return rc;
}

static bool is_named(const struct run_lease *lease, uint16_t port)
{
	return lease->named[port / 8] >> port % 8 & 1;
}

static int exclude_named(const struct run_lease *lease, struct arena *arena,
			 struct settings *settings)
{
	const struct rule *whole = settings->rule;
	struct range_set *set, *named;
	struct rule *rule;
	uint32_t port;
	int rc;

	if (!lease->names || whole->bind == BIND_OWN || whole->bind == BIND_MOVE)
		return 0;
	rule = arena_alloc(arena, sizeof(*rule));
	set = arena_alloc(arena, sizeof(*set));
	named = arena_alloc(arena, sizeof(*named));
	if (!rule || !set || !named)
		return say_failure("%s", strerror(ENOMEM));
	*rule = *whole;
	for (port = lease->block.entry.first; port <= lease->block.entry.last; port++)
		if (is_named(lease, (uint16_t)port))
			range_set_add(named, (uint16_t)port, (uint16_t)port);
	/* under a lease, all protocols share one range */
	range_set_add_range(set, whole->range[PROTO_TCP]);
	range_set_remove(set, named);
	rc = range_build(set, arena, &rule->range[PROTO_TCP]);
	if (rc == -EINVAL)
		return 0;
	if (rc)
		return say_failure("%s", strerror(-rc));
	rule->range[PROTO_UDP] = rule->range[PROTO_SCTP] = rule->range[PROTO_TCP];
	settings->rule = rule;
	return 0;
}

static int check_named(const struct run_lease *lease, const struct portmap *map)
{
	uint32_t i;

	for (i = 0; map && i < map->count; i++) {
		const struct portmap_entry *entry = &map->entry[i];

		if (is_named(lease, entry->real))
			return say_failure("an argument names port %d, which the map uses for port "
					   "%d; name a port nearer to the beginning of the lease",
					   entry->real, entry->asked);
	}
	return 0;
}

int run_lease_finish(struct run_lease *lease, struct arena *arena, struct settings *settings)
{
	int rc = lease->taken ? check_named(lease, settings->rule->map) : 0;

	if (!rc && lease->taken)
		rc = exclude_named(lease, arena, settings);
	if (!rc && settings->rule->map)
		rc = run_map_keep(&lease->block, arena, settings);
	if (rc || !lease->taken || !settings->rule->map)
		return rc;
	lease_set_map(&lease->block.entry, settings->rule->map);
	return lease_block_publish(&lease->block);
}
