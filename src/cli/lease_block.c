#include "lease_block.h"

#include "../core/pool.h"
#include "../core/slices.h"
#include "../core/timing.h"
#include "../core/variables.h"
#include "../machine/lease_holder.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOLDERS_SHOWN 10
#define WAIT_MOST 86400
#define RETRY_NS 50000000
#define GRACE 0.25 /* seconds: a lease ends some milliseconds after the command that held it */

/* ---- options ---- */

int lease_block_settings(const char *config, struct arena *arena, struct settings *ret_settings)
{
	const struct policy_process nobody = { .exe = NULL };

	/* those of a program and of a run tell nothing about the machine */
	variables_unset(VARIABLES_RULE | VARIABLES_RUN);
	if (config && variables_set(VARIABLE_CONFIG, config))
		return say_failure("%s", strerror(ENOMEM));
	return settings_load(&nobody, arena, say_conf_error, NULL, ret_settings) ? say_status() : 0;
}

static int parse_wait(const char *text, double *ret_seconds)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (*rest || rest == text || !(seconds >= 0 && seconds <= WAIT_MOST))
		return -EINVAL;
	*ret_seconds = seconds;
	return 0;
}

int lease_block_parse(uint32_t count, const char *pool, const char *wait,
		      const struct settings *settings, struct arena *arena,
		      struct lease_block *ret_block)
{
	struct reason why;
	int rc;

	memset(ret_block, 0, sizeof(*ret_block));
	ret_block->count = count;
	ret_block->waits = wait;
	ret_block->seconds = GRACE;
	if (wait && parse_wait(wait, &ret_block->seconds))
		return say_failure("--wait: '%s' is not a number of seconds from 0 to %d", wait,
				   WAIT_MOST);
	if (pool && (slices_expand(pool, settings->policy.hosts, arena, &pool, &why) ||
		     key_range(pool, arena, &ret_block->pool, &why)))
		return say_failure("--pool: %s", why.text);
	rc = pool ? 0 : pool_find(&settings->policy, arena, &ret_block->pool);
	if (rc == -EINVAL)
		return say_failure("the sections leave no port of %d-%d for leases; use '--pool'",
				   POOL_FIRST, POOL_LAST);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (pool_check_lease(count, ret_block->pool, &why))
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

static int say_all_taken(const struct lease_block *block, int fd)
{
	char pool[64], waited[64] = "";

	range_format(block->pool, pool, sizeof(pool));
	if (block->waits)
		snprintf(waited, sizeof(waited), ", after %g seconds", block->seconds);
	say_failure(
		"no %u ports in a row are free of leases and sockets in the pool %s%s; use a larger "
		"'--pool', or '--wait SECONDS'",
		block->count, pool, waited);
	print_holders(block->pool, fd);
	return say_status();
}

/* Return: false to give up */
static bool rest(const struct lease_block *block)
{
	const struct timespec time = { 0, RETRY_NS };

	if (block->rest)
		return block->rest(block->context, RETRY_NS);
	nanosleep(&time, NULL);
	return true;
}

int lease_block_take(const struct lease_block *block, int fd, struct lease *entry)
{
	const int64_t end =
		timing_ns(CLOCK_MONOTONIC) + (int64_t)(block->seconds * (double)TIMING_SECOND_NS);
	int rc;

	while ((rc = lease_take(fd, block->pool, block->count, &entry->first)) == -EADDRINUSE &&
	       timing_ns(CLOCK_MONOTONIC) < end)
		if (!rest(block))
			return say_status();
	if (rc == -EADDRINUSE)
		return say_all_taken(block, fd);
	if (rc == -ESTALE)
		return say_failure("the lease file was removed just now; try again");
	if (rc == -EOPNOTSUPP)
		return say_failure(
			"no lease can be taken: the kernel does not list its sockets, so free ports cannot "
			"be found; use '--range'");
	if (rc)
		return say_failure("no lease can be taken: %s", strerror(-rc));
	entry->last = (uint16_t)(entry->first + block->count - 1);
	return 0;
}

int lease_block_publish(int fd, const struct lease *entry)
{
	int rc = lease_publish(fd, entry);

	return rc ? say_failure("the holder of the lease cannot be noted: %s", strerror(-rc)) : 0;
}
