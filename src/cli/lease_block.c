#include "lease_block.h"

#include "../core/pool.h"
#include "../core/slices.h"
#include "../core/timing.h"
#include "../core/variables.h"
#include "held_leases.h"
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

int lease_block_parse(uint32_t count, const char *pool, const char *wait, const char *name,
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
	if (name && lease_name_read(name, ret_block->name, &why))
		return say_failure("--name: %s", why.text);
	if (pool && (slices_expand(pool, settings->policy.hosts, arena, &pool, &why) ||
		     key_range(pool, arena, &ret_block->pool, &why)))
		return say_failure("--pool: %s", why.text);
	rc = pool ? 0 : pool_find(&settings->policy, arena, &ret_block->pool);
	if (rc == -EINVAL)
		return say_failure("the sections leave no port of %d-%d for leases; use '--pool'",
				   POOL_FIRST, POOL_LAST);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (count && pool_check_lease(count, ret_block->pool, &why))
		return say_failure("%s", why.text);
	return 0;
}

/* ---- taking ---- */

static void print_holder(const struct lease *lease)
{
	char text[LEASE_TEXT];

	lease_format(lease, text);
	fprintf(stderr, "  %s\n", text);
}

/* Lists who holds leases in the pool. If that fails, the caller's own message is enough. */
static void print_holders(const struct range *pool, const struct settings *settings)
{
	struct held_leases held = { .count = 0 };
	size_t shown = 0, more = 0, i;
	struct reason why;

	held_leases_read(settings, &held, &why);
	for (i = 0; i < held.count; i++) {
		const struct lease *lease = &held.lease[i];
		uint32_t port = lease->first;

		while (port <= lease->last && !range_has(pool, (uint16_t)port))
			port++;
		if (port > lease->last)
			continue;
		if (shown == HOLDERS_SHOWN) {
			more++;
			continue;
		}
		shown++;
		print_holder(lease);
	}
	if (more)
		fprintf(stderr, "  and %zu more, see 'portfence leases'\n", more);
	held_leases_free(&held);
}

void lease_block_holders(const struct settings *settings, const char *name)
{
	struct held_leases held = { .count = 0 };
	struct reason why;
	size_t i;

	held_leases_read(settings, &held, &why);
	for (i = 0; i < held.holders; i++)
		if (!strcmp(held.holder[i].name, name))
			print_holder(&held.holder[i]);
	held_leases_free(&held);
}

static int say_all_taken(const struct lease_block *block, const struct settings *settings)
{
	char pool[64], waited[64] = "", wanted[32] = "port is";

	range_format(block->pool, pool, sizeof(pool));
	if (block->waits)
		snprintf(waited, sizeof(waited), ", after %g seconds", block->seconds);
	if (block->count > 1)
		snprintf(wanted, sizeof(wanted), "%u ports in a row are", block->count);
	if (block->count)
		say_failure("no %s free of leases and sockets in the pool %s%s; use a larger "
			    "'--pool', or '--wait SECONDS'",
			    wanted, pool, waited);
	else
		say_failure(
			"no ports for the lease '%s' are free of leases and sockets in the pool "
			"%s%s; use a larger '--pool', or '--wait SECONDS'",
			block->name, pool, waited);
	print_holders(block->pool, settings);
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

static int say_too_small(const struct lease_block *block, const struct settings *settings,
			 const struct lease *entry)
{
	const int ports = entry->last - entry->first + 1;

	say_failure(
		"the lease '%s' has the %d port%s %d-%d, and not %u, as long as it is held; ask "
		"for no more, or take another name",
		block->name, ports, say_plural((size_t)ports), entry->first, entry->last,
		block->count);
	lease_block_holders(settings, block->name);
	return say_status();
}

static int say_not_taken(const struct lease_block *block, const struct settings *settings,
			 const struct lease *entry, int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return say_all_taken(block, settings);
	case -EMSGSIZE:
		return say_too_small(block, settings, entry);
	case -ENOENT:
		return say_failure("there has been no lease with the name '%s'; say how many ports "
				   "it is to have, with '--lease N'",
				   block->name);
	case -EBUSY:
		return say_failure(
			"the names of leases stay locked by another process, see lslocks(8)");
	case -ESTALE:
		return say_failure("the lease file was removed just now; try again");
	case -EOPNOTSUPP:
		return say_failure(
			"no lease can be taken: the kernel does not list its sockets, so free ports cannot "
			"be found; use '--range'");
	default:
		return say_failure("no lease can be taken: %s", strerror(-rc));
	}
}

/* One try. */
static int take_once(const struct lease_block *block, struct lease_taken *taken)
{
	struct lease *entry = &taken->entry;
	int rc;

	if (!*block->name) {
		rc = lease_take(taken->fd, block->pool, block->count, &entry->first);
		entry->last = (uint16_t)(entry->first + block->count - 1);
		return rc;
	}
	rc = lease_name_take(taken->names_fd, taken->fd, block->pool, block->count, block->name,
			     entry, &taken->named);
	if (rc == -ENOENT && block->if_new)
		rc = lease_name_take(taken->names_fd, taken->fd, block->pool, block->if_new,
				     block->name, entry, &taken->named);
	return rc;
}

static void close_files(const struct lease_taken *taken)
{
	close(taken->fd);
	if (taken->names_fd >= 0)
		close(taken->names_fd);
}

static void warn_of_move(const struct lease_taken *taken)
{
	char text[256];

	snprintf(
		text, sizeof(text),
		"the lease '%s' has other ports than before: %d-%d, as %d-%d are not free or not in "
		"the pool",
		taken->entry.name, taken->entry.first, taken->entry.last, taken->named.before_first,
		taken->named.before_last);
	say_warning(NULL, text);
}

int lease_block_take(const struct lease_block *block, const struct settings *settings,
		     struct lease_taken *taken)
{
	const int64_t end =
		timing_ns(CLOCK_MONOTONIC) + (int64_t)(block->seconds * (double)TIMING_SECOND_NS);
	struct reason why;
	int rc;

	taken->named = (struct lease_named){ .moved = false };
	taken->names_fd = -1;
	taken->fd = lease_open(settings, true, &why);
	if (taken->fd < 0)
		return say_failure("%s", why.text);
	if (*block->name) {
		taken->names_fd = lease_name_open(settings, true, &why);
		if (taken->names_fd < 0) {
			close(taken->fd);
			return say_failure("%s", why.text);
		}
	}
	while ((rc = take_once(block, taken)) == -EADDRINUSE && timing_ns(CLOCK_MONOTONIC) < end)
		if (!rest(block))
			break;
	if (rc)
		rc = say_not_taken(block, settings, &taken->entry, rc);
	else if (!*block->name)
		rc = lease_block_publish(taken);
	if (rc)
		close_files(taken);
	else if (taken->named.moved)
		warn_of_move(taken);
	return rc;
}

int lease_block_publish(const struct lease_taken *taken)
{
	int rc = 0;

	if (taken->names_fd >= 0)
		rc = lease_name_publish(taken->names_fd, &taken->named, &taken->entry);
	if (!rc && !taken->named.joined)
		rc = lease_publish(taken->fd, &taken->entry);
	return rc ? say_failure("the holder of the lease cannot be noted: %s", strerror(-rc)) : 0;
}
