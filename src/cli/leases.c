#include "../core/pool.h"
#include "../core/settings.h"
#include "held_leases.h"
#include "lease_block.h"
#include "pool_clashes.h"
#include "say.h"
#include "section_ranges.h"
#include "verbs.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_CONFIG, OPTION_JSON };

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	{ .name = NULL },
};

static int leases(const struct option_values *given);

const struct verb verb_leases = {
	.name = "leases",
	.summary = "list the blocks of ports that runs have leased, and who has them",
	.usage = "",
	.about =
		"Lists each block that a 'portfence run --lease', or a run of a section with 'range "
		"= lease', holds now: its ports, their number, the command with its process and "
		"user, and since when. All this is as the holder has noted it. Then it shows how "
		"much of the pool is leased. The leases are your own, or those of all users if the "
		"configuration names a 'lease-file'. The process is the one that COMMAND began as; "
		"once that has ended, the oldest one that it left behind.",
	.options = options,
	.status = "0; 1 if it fails, 2 if it is called wrongly",
	.example = "portfence leases\n"
		   "portfence leases --json\n",
	.function = leases,
};

/* What was found. */
struct found {
	struct settings settings;
	const struct range *pool;
	struct held_leases leases;
	uint32_t held; /* ports of the pool */
};

/* ---- text ---- */

/* "erp" of "user erp" */
static const char *user_name(uid_t uid, char text[PROCESSES_USER])
{
	const char *blank;

	processes_format_user(uid, text);
	blank = strchr(text, ' ');
	return blank ? blank + 1 : text;
}

/* The width of the column for names; 0 if no lease has one */
static int name_width(const struct held_leases *leases)
{
	int width = 0;
	size_t i;

	for (i = 0; i < leases->count; i++)
		if (width < (int)strlen(leases->lease[i].name))
			width = (int)strlen(leases->lease[i].name);
	return width && width < (int)strlen("NAME") ? (int)strlen("NAME") : width;
}

static void print_holder(const struct lease *lease, int width)
{
	char user[PROCESSES_USER], since[LEASE_SINCE], pid[16] = "?";

	lease_format_since(lease, since);
	if (lease->pid)
		snprintf(pid, sizeof(pid), "%d", (int)lease->pid);
	printf("%5s  %-8s  %-19s  ", pid, user_name(lease->uid, user), since);
	if (width)
		printf("%-*s  ", width, lease->name);
	if (*lease->application)
		printf("[%s] ", lease->application);
	fputs(lease->command, stdout);
	if (*lease->heir)
		printf(" (has ended, %s goes on)", lease->heir);
	else if (!lease->pid)
		fputs(" (has ended, an unknown process goes on)", stdout);
	putchar('\n');
}

static void print_lease(const struct held_leases *leases, const struct lease *lease, int width)
{
	char ports[sizeof("65535-65535")];
	const struct lease *holder;
	size_t count = held_leases_holders(leases, lease, &holder), i;
	struct portmap map;

	snprintf(ports, sizeof(ports), "%d-%d", lease->first, lease->last);
	printf("%-11s  %5d  ", ports, lease->last - lease->first + 1);
	if (!lease->known) {
		printf("    ?  ?         ?                    %s?\n", width ? "?     " : "");
		return;
	}
	for (i = 0; i < count; i++) {
		if (i)
			printf("%20s", "");
		print_holder(&holder[i], width);
	}
	/* others may have written it */
	if (lease_map(lease, &map)) {
		printf("%11s  map  ", "");
		section_ranges_print_map(&map, stdout);
	}
}

static int print_text(const struct found *found)
{
	const int width = name_width(&found->leases);
	char pool[128];
	size_t i;

	if (found->leases.count)
		printf("%-11s  %5s  %5s  %-8s  %-19s  %-*s%s%s\n", "PORTS", "COUNT", "PID", "USER",
		       "SINCE", width, width ? "NAME" : "", width ? "  " : "", "COMMAND");
	for (i = 0; i < found->leases.count; i++)
		print_lease(&found->leases, &found->leases.lease[i], width);
	range_format(found->pool, pool, sizeof(pool));
	printf("%zu lease%s; of the %u ports of the pool %s, %u are leased and %u are not\n",
	       found->leases.count, say_plural(found->leases.count), found->pool->count, pool,
	       found->held, found->pool->count - found->held);
	return 0;
}

/* ---- JSON ---- */

static int print_json(const struct found *found)
{
	json_t *list = json_array(), *object;
	char *range = section_ranges_list(found->pool);
	size_t i;

	for (i = 0; i < found->leases.count; i++)
		json_array_append_new(list, held_leases_describe(&found->leases,
								 &found->leases.lease[i]));
	object = json_pack("{s:{s:s?, s:i, s:i, s:i}, s:o}", "pool", "range", range, "ports",
			   (int)found->pool->count, "leased", (int)found->held, "free",
			   (int)(found->pool->count - found->held), "leases", list);
	free(range);
	return say_object(stdout, object, JSON_INDENT(2));
}

/* ---- the verb ---- */

static int read_settings(const char *config, struct arena *arena, struct found *found)
{
	int rc = lease_block_settings(config, arena, &found->settings);

	if (rc)
		return rc;
	rc = pool_find(&found->settings.policy, arena, &found->pool);
	if (rc == -EINVAL)
		return say_failure(
			"the sections leave no port of %d-%d for leases, give [portfence] a "
			"'pool'",
			POOL_FIRST, POOL_LAST);
	return rc ? say_failure("%s", strerror(-rc)) : 0;
}

/* How many ports of the pool are leased. */
static uint32_t count_held(const struct held_leases *leases, const struct range *pool)
{
	uint32_t port, held = 0;
	size_t i;

	for (i = 0; i < leases->count; i++)
		for (port = leases->lease[i].first; port <= leases->lease[i].last; port++)
			held += range_has(pool, (uint16_t)port);
	return held;
}

static int leases(const struct option_values *given)
{
	struct found found = { .held = 0 };
	struct arena arena = { 0 };
	struct reason why;
	int rc;

	rc = read_settings(given->value[OPTION_CONFIG], &arena, &found);
	if (!rc && held_leases_read(&found.settings, &found.leases, &why))
		rc = say_failure("%s", why.text);
	/* there is a pool where nothing has failed */
	if (!rc && found.pool) {
		found.held = count_held(&found.leases, found.pool);
		pool_clashes_find(found.pool, say_warning, NULL);
		rc = (given->value[OPTION_JSON] ? print_json : print_text)(&found);
	}
	held_leases_free(&found.leases);
	arena_free(&arena);
	return rc;
}
