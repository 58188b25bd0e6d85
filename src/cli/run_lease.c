#include "run_lease.h"

#include "../core/pool.h"
#include "../core/slices.h"
#include "../core/timing.h"
#include "../core/variables.h"
#include "../machine/lease_holder.h"
#include "../supervisor/supervise.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOLDERS_SHOWN 10
#define WAIT_MOST 86400
#define RETRY_NS 50000000
#define GRACE 0.25 /* seconds: a lease ends some milliseconds after the command that held it */

/* What the options ask for, parsed. */
struct request {
	uint32_t count; /* of ports; 0: no lease */
	const struct range *pool;
	double seconds; /* to wait until a block is free */
	bool waits;     /* '--wait' was given */
};

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
	const uint32_t count = lease->entry.last - lease->entry.first + 1U;
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
			sprintf(number, "%d-%d", lease->entry.first, lease->entry.last);
		} else {
			uint16_t port = (uint16_t)(lease->entry.first + placeholder.index);

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

static int parse_wait(const char *text, double *ret_seconds)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (*rest || rest == text || !(seconds >= 0 && seconds <= WAIT_MOST))
		return -EINVAL;
	*ret_seconds = seconds;
	return 0;
}

/* Return: 0 (with a count of 0 if no lease is asked for), or say_status() */
static int parse_request(const struct run_lease_options *options, const struct settings *settings,
			 struct arena *arena, struct request *ret_request)
{
	const char *idle = options->pool         ? "--pool"
			   : options->wait       ? "--wait"
			   : options->substitute ? "--substitute"
						 : NULL;
	const char *pool;
	struct reason why;
	int rc;

	ret_request->count = settings->rule ? settings->rule->lease : 0;
	if (options->lease && pool_parse_lease(options->lease, &ret_request->count, &why))
		return say_failure("--lease: %s", why.text);
	if (!ret_request->count && idle)
		return say_failure("'%s' needs a lease; add '--lease N'", idle);
	if (!ret_request->count)
		return 0;
	ret_request->waits = options->wait;
	ret_request->seconds = GRACE;
	if (options->wait && parse_wait(options->wait, &ret_request->seconds))
		return say_failure("--wait: '%s' is not a number of seconds from 0 to %d",
				   options->wait, WAIT_MOST);
	if (options->pool &&
	    (slices_expand(options->pool, settings->policy.hosts, arena, &pool, &why) ||
	     key_range(pool, arena, &ret_request->pool, &why)))
		return say_failure("--pool: %s", why.text);
	rc = options->pool ? 0 : pool_find(&settings->policy, arena, &ret_request->pool);
	if (rc == -EINVAL)
		return say_failure("the sections leave no port of %d-%d for leases; use '--pool'",
				   POOL_FIRST, POOL_LAST);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (pool_check_lease(ret_request->count, ret_request->pool, &why))
		return say_failure("%s", why.text);
	return 0;
}

/* ---- taking ---- */

/* Lists who holds leases in the pool. If that fails, the caller's own message is enough. */
static void print_holders(const struct range *pool, int fd)
{
	struct lease *list = NULL;
	size_t count = 0, shown = 0, more = 0, i;
	char text[LEASE_TEXT];

	lease_list(fd, &list, &count);
	lease_holder_find(list, count);
	for (i = 0; i < count; i++) {
		uint32_t port = list[i].first;

		while (port <= list[i].last && !range_has(pool, (uint16_t)port))
			port++;
		if (port > list[i].last)
			continue;
		if (shown == HOLDERS_SHOWN) {
			more++;
			continue;
		}
		shown++;
		lease_format(&list[i], text);
		fprintf(stderr, "  %s\n", text);
	}
	if (more)
		fprintf(stderr, "  and %zu more, see 'portfence leases'\n", more);
	free(list);
}

static int say_all_taken(const struct request *request, int fd)
{
	char pool[64], waited[64] = "";

	range_format(request->pool, pool, sizeof(pool));
	if (request->waits)
		snprintf(waited, sizeof(waited), ", after %g seconds", request->seconds);
	say_failure(
		"no %u ports in a row are free of leases and sockets in the pool %s%s; use a larger "
		"'--pool', or '--wait SECONDS'",
		request->count, pool, waited);
	print_holders(request->pool, fd);
	return say_status();
}

static int take_block(const struct request *request, int fd, struct lease *entry)
{
	const struct timespec rest = { 0, RETRY_NS };
	const int64_t end =
		timing_ns(CLOCK_MONOTONIC) + (int64_t)(request->seconds * (double)TIMING_SECOND_NS);
	int rc;

	while ((rc = lease_take(fd, request->pool, request->count, &entry->first)) == -EADDRINUSE &&
	       timing_ns(CLOCK_MONOTONIC) < end)
		nanosleep(&rest, NULL);
	if (rc == -EADDRINUSE)
		return say_all_taken(request, fd);
	if (rc == -ESTALE)
		return say_failure("the lease file was removed just now; try again");
	if (rc == -EOPNOTSUPP)
		return say_failure(
			"no lease can be taken: the kernel does not list its sockets, so free ports cannot "
			"be found; use '--range'");
	if (rc)
		return say_failure("no lease can be taken: %s", strerror(-rc));
	entry->last = (uint16_t)(entry->first + request->count - 1);
	return 0;
}

static int publish_lease(const struct run_lease *lease)
{
	int rc = lease_publish(lease->fd, &lease->entry);

	return rc ? say_failure("the holder of the lease cannot be noted: %s", strerror(-rc)) : 0;
}

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

int run_lease_take(const struct run_lease_options *options, const struct settings *settings,
		   char *argv[], struct arena *arena, struct run_lease *ret_lease)
{
	struct request request = { .count = 0 };
	struct reason why;
	int fd, rc;

	memset(ret_lease, 0, sizeof(*ret_lease));
	rc = parse_request(options, settings, arena, &request);
	if (!rc && request.count && options->substitute)
		rc = check_arguments(argv, request.count);
	if (rc || !request.count)
		return rc;
	fd = lease_open(settings, true, &why);
	if (fd < 0)
		return say_failure("%s", why.text);
	rc = take_block(&request, fd, &ret_lease->entry);
	if (!rc && options->substitute && replace_arguments(argv, ret_lease, arena))
		rc = say_failure("%s", strerror(ENOMEM));
	ret_lease->fd = fd;
	describe_holder(settings, argv, &ret_lease->entry);
	if (!rc)
		rc = publish_lease(ret_lease);
	if (!rc)
		rc = export_lease(&ret_lease->entry, settings);
	if (!rc && supervise_hold(fd))
		rc = say_failure("%s", strerror(ENOSPC));
	if (rc) {
		close(fd);
		return rc;
	}
	ret_lease->taken = true;
	return 0;
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
	for (port = lease->entry.first; port <= lease->entry.last; port++)
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

int run_lease_finish(struct run_lease *lease, struct arena *arena, struct settings *settings)
{
	const struct portmap *map = settings->rule->map;
	uint32_t i;
	int rc;

	if (!lease->taken)
		return 0;
	for (i = 0; map && i < map->count; i++) {
		const struct portmap_entry *entry = &map->entry[i];

		if (is_named(lease, entry->real))
			return say_failure("an argument names port %d, which the map uses for port "
					   "%d; name a port nearer to the beginning of the lease",
					   entry->real, entry->asked);
	}
	rc = exclude_named(lease, arena, settings);
	if (rc || !map)
		return rc;
	lease_set_map(&lease->entry, map);
	return publish_lease(lease);
}
