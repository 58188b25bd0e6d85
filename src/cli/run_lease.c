#include "run_lease.h"

#include "../core/variables.h"
#include "../machine/lease.h"
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
#define GRACE 0.25 /* seconds: a lease ends some milliseconds after the command that had it */

/* What is asked for, after all of it was looked at. */
struct wish {
	uint32_t count;
	const struct range *pool;
	double seconds; /* to wait */
	bool waits;     /* it was asked for */
};

/* ---- arguments ---- */

/* "{first+2}", its length, and which port of a block it is. */
struct place {
	size_t len;
	bool range;    /* it is "{range}" */
	int64_t index; /* from the block's first port on */
};

/* Return: false if what begins here is none of ours */
static bool parse_place(const char *text, uint32_t count, struct place *ret_place)
{
	struct place place = { .index = 0 };
	const char *p = text;
	unsigned long offset = 0;
	bool minus = false;
	char *end;

	if (!strncmp(p, "{range}", strlen("{range}"))) {
		ret_place->range = true;
		ret_place->len = strlen("{range}");
		return true;
	}
	if (!strncmp(p, "{first", strlen("{first"))) {
		p += strlen("{first");
	} else if (!strncmp(p, "{last", strlen("{last"))) {
		p += strlen("{last");
		place.index = (int64_t)count - 1;
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
	/* what is too large is outside, however large it is */
	if (offset > 65536)
		offset = 65536;
	place.index += minus ? -(int64_t)offset : (int64_t)offset;
	place.len = (size_t)(p + 1 - text);
	*ret_place = place;
	return true;
}

static int check_arguments(char *const argv[], uint32_t count)
{
	struct place place;
	const char *p;
	size_t i;

	for (i = 1; argv[i]; i++) {
		for (p = strchr(argv[i], '{'); p; p = strchr(p + 1, '{')) {
			if (!parse_place(p, count, &place) || place.range ||
			    (place.index >= 0 && place.index < (int64_t)count))
				continue;
			return say_failure("'%.*s' lies outside the lease, which has %u port%s",
					   (int)place.len, p, count, count == 1 ? "" : "s");
		}
	}
	return 0;
}

/* Writes one argument as it is to be. Return: its length; @ret_text may be NULL */
static size_t replace(const char *text, struct run_lease *block, char *ret_text)
{
	const uint32_t count = block->lease.last - block->lease.first + 1U;
	char number[sizeof("65535-65535")];
	struct place place = { .range = false };
	size_t len = 0;

	while (*text) {
		if (*text != '{' || !parse_place(text, count, &place)) {
			if (ret_text)
				ret_text[len] = *text;
			len++;
			text++;
			continue;
		}
		if (place.range) {
			sprintf(number, "%d-%d", block->lease.first, block->lease.last);
		} else {
			uint16_t port = (uint16_t)(block->lease.first + place.index);

			sprintf(number, "%d", port);
			block->named[port / 8] |= (uint8_t)(1U << port % 8);
			block->names = true;
		}
		if (ret_text)
			memcpy(ret_text + len, number, strlen(number));
		len += strlen(number);
		text += place.len;
		place.range = false;
	}
	if (ret_text)
		ret_text[len] = '\0';
	return len;
}

static int replace_arguments(char *argv[], struct run_lease *block, struct arena *arena)
{
	size_t i;

	for (i = 1; argv[i]; i++) {
		char *text;

		if (!strchr(argv[i], '{'))
			continue;
		text = arena_alloc(arena, replace(argv[i], block, NULL) + 1);
		if (!text)
			return -ENOMEM;
		replace(argv[i], block, text);
		argv[i] = text;
	}
	return 0;
}

/* ---- what is asked for ---- */

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
static int understand(const struct run_lease_request *request, const struct settings *settings,
		      struct arena *arena, struct wish *ret_wish)
{
	const char *idle = request->pool         ? "--pool"
			   : request->wait       ? "--wait"
			   : request->substitute ? "--substitute"
						 : NULL;
	char why[384];
	int rc;

	ret_wish->count = settings->rule ? settings->rule->lease : 0;
	if (request->lease && key_lease(request->lease, &ret_wish->count, why, sizeof(why)))
		return say_failure("--lease: %s", why);
	if (!ret_wish->count && idle)
		return say_failure(
			"'%s' is for a lease, and there is none to take; use '--lease N'", idle);
	if (!ret_wish->count)
		return 0;
	ret_wish->waits = request->wait;
	ret_wish->seconds = GRACE;
	if (request->wait && parse_wait(request->wait, &ret_wish->seconds))
		return say_failure("--wait: '%s' is no number of seconds, 0 to %d are allowed",
				   request->wait, WAIT_MOST);
	if (request->pool && key_range(request->pool, arena, &ret_wish->pool, why, sizeof(why)))
		return say_failure("--pool: %s", why);
	rc = request->pool ? 0 : key_pool(&settings->policy, arena, &ret_wish->pool);
	if (rc == -EINVAL)
		return say_failure("the sections leave no port of %d-%d for leases, use '--pool'",
				   KEY_POOL_FIRST, KEY_POOL_LAST);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (key_lease_fits(ret_wish->count, ret_wish->pool, why, sizeof(why)))
		return say_failure("%s", why);
	return 0;
}

/* ---- taking ---- */

static int say_taken(const struct wish *wish, int fd)
{
	struct lease *list = NULL;
	size_t count = 0, shown = 0, more = 0, i;
	char text[LEASE_TEXT], pool[64], waited[64] = "";

	range_format(wish->pool, pool, sizeof(pool));
	if (wish->waits)
		snprintf(waited, sizeof(waited), ", after %g seconds", wish->seconds);
	say_failure(
		"no %u ports in a row are free of leases and sockets in the pool %s%s; use a larger "
		"'--pool', or '--wait SECONDS'",
		wish->count, pool, waited);
	/* what cannot be told is not worth another error */
	lease_list(fd, &list, &count);
	for (i = 0; i < count; i++) {
		uint32_t port = list[i].first;

		while (port <= list[i].last && !range_has(wish->pool, (uint16_t)port))
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
	return say_status();
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int take(const struct wish *wish, int fd, struct run_lease *block)
{
	const struct timespec rest = { 0, RETRY_NS };
	const double end = now() + wish->seconds;
	int rc;

	while ((rc = lease_take(fd, wish->pool, wish->count, &block->lease.first)) == -EADDRINUSE &&
	       now() < end)
		nanosleep(&rest, NULL);
	if (rc == -EADDRINUSE)
		return say_taken(wish, fd);
	if (rc == -ESTALE)
		return say_failure("the lease file was removed just now, try again");
	if (rc == -EOPNOTSUPP)
		return say_failure(
			"the kernel does not tell of its sockets, so nobody knows which ports "
			"are free");
	if (rc)
		return say_failure("no lease can be taken: %s", strerror(-rc));
	block->lease.last = (uint16_t)(block->lease.first + wish->count - 1);
	return 0;
}

static int sign(struct run_lease *block)
{
	int rc = lease_publish(block->fd, &block->lease);

	return rc ? say_failure("nobody could tell who has the lease: %s", strerror(-rc)) : 0;
}

static void describe(struct run_lease *block, const struct settings *settings, char *const argv[])
{
	struct lease *lease = &block->lease;

	lease->pid = getpid();
	if (settings->rule && settings->rule->line)
		snprintf(lease->application, sizeof(lease->application), "%s",
			 settings->rule->name);
	lease_command(argv, lease->command);
}

static int export_block(const struct run_lease *block, const struct settings *settings)
{
	char range[sizeof("65535-65535")], first[sizeof("65535")], last[sizeof("65535")];

	sprintf(range, "%d-%d", block->lease.first, block->lease.last);
	sprintf(first, "%d", block->lease.first);
	sprintf(last, "%d", block->lease.last);
	if (variables_set(VARIABLE_RANGE, range) || variables_set(VARIABLE_FIRST, first) ||
	    variables_set(VARIABLE_LAST, last))
		return say_failure("%s", strerror(errno));
	/* with other arguments, another section might fit */
	if (settings->rule && settings->rule->line &&
	    variables_set(VARIABLE_APP, settings->rule->name))
		return say_failure("%s", strerror(errno));
	return 0;
}

int run_lease_take(const struct run_lease_request *request, const struct settings *settings,
		   char *argv[], struct arena *arena, struct run_lease *ret_block)
{
	struct wish wish = { .count = 0 };
	char why[2 * PATH_MAX];
	int fd, rc;

	memset(ret_block, 0, sizeof(*ret_block));
	rc = understand(request, settings, arena, &wish);
	if (!rc && wish.count && request->substitute)
		rc = check_arguments(argv, wish.count);
	if (rc || !wish.count)
		return rc;
	fd = lease_open(settings, true, why, sizeof(why));
	if (fd < 0)
		return say_failure("%s", why);
	rc = take(&wish, fd, ret_block);
	if (!rc && request->substitute && replace_arguments(argv, ret_block, arena))
		rc = say_failure("%s", strerror(ENOMEM));
	ret_block->fd = fd;
	describe(ret_block, settings, argv);
	if (!rc)
		rc = sign(ret_block);
	if (!rc)
		rc = export_block(ret_block, settings);
	if (!rc && supervise_hold(fd))
		rc = say_failure("%s", strerror(ENOSPC));
	if (rc) {
		close(fd);
		return rc;
	}
	ret_block->taken = true;
	return 0;
}

static bool is_named(const struct run_lease *block, uint16_t port)
{
	return block->named[port / 8] >> port % 8 & 1;
}

static int narrow(const struct run_lease *block, struct arena *arena, struct settings *settings)
{
	const struct rule *whole = settings->rule;
	struct range_set *set, *named;
	struct rule *rule;
	uint32_t port;
	int rc;

	if (!block->names || whole->bind == BIND_OWN)
		return 0;
	rule = arena_alloc(arena, sizeof(*rule));
	set = arena_alloc(arena, sizeof(*set));
	named = arena_alloc(arena, sizeof(*named));
	if (!rule || !set || !named)
		return say_failure("%s", strerror(ENOMEM));
	*rule = *whole;
	for (port = block->lease.first; port <= block->lease.last; port++)
		if (is_named(block, (uint16_t)port))
			range_set_add(named, (uint16_t)port, (uint16_t)port);
	/* of a lease, all protocols have one range */
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

int run_lease_finish(struct run_lease *block, struct arena *arena, struct settings *settings)
{
	const struct portmap *map = settings->rule->map;
	uint32_t i;
	int rc;

	if (!block->taken)
		return 0;
	for (i = 0; map && i < map->count; i++) {
		const struct portmap_entry *entry = &map->entry[i];

		if (is_named(block, entry->real))
			return say_failure("an argument names port %d, which stands for %d of the "
					   "map; name one further from the end of the block",
					   entry->real, entry->asked);
	}
	rc = narrow(block, arena, settings);
	if (rc || !map)
		return rc;
	lease_set_map(&block->lease, map);
	return sign(block);
}
