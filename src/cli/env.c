#include "../machine/lease_name.h"
#include "../machine/library.h"
#include "held_leases.h"
#include "launch.h"
#include "say.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A range that nobody gets: which ports a lease has is not known before the configuration is. */
#define UNKNOWN_YET "1-65535"

enum { OPTION_LEASE = LAUNCH_OPTIONS, OPTION_UNSET };

static const struct option_entry options[] = {
	LAUNCH_OPTION_ENTRIES,
	[OPTION_LEASE] = { .name = "lease",
			   .argument = "NAME",
			   .help = "use the block of the lease that others hold by this name" },
	[OPTION_UNSET] = { .name = "unset", .help = "print lines that undo this" },
	{ .name = NULL },
};

static int env(const struct option_values *given);

const struct verb verb_env = {
	.name = "env",
	.summary = "print the variables that fence what a shell starts",
	.usage = "[APP]",
	.about =
		"Prints lines for eval, in the syntax of sh, that fence all programs which the shell "
		"starts from then on: by section [APP], or without APP each program by the section "
		"that fits it. The shell itself is not fenced, as it is already running. If "
		"portfence fails, it prints 'false', so that eval fails as well.",
	.options = options,
	.operands = 1,
	.status = "0; 1 if portfence fails, 2 if it is called wrongly",
	.if_failed = "false",
	.example = "eval \"$(portfence env curl)\"\n"
		   "eval \"$(portfence env --unset)\"\n",
	.function = env,
};

/* Writes a word that sh takes as it is: within single quotes, nothing but these is special. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
	putchar('\'');
}

static void print_variable(const char *name)
{
	const char *value = getenv(name);

	if (value && *value) {
		printf("export %s=", name);
		print_quoted(value);
		putchar('\n');
	} else if (value) {
		printf("unset %s\n", name);
	}
}

static void print_variables(void)
{
	char **entry;
	int i;

	print_variable("LD_PRELOAD");
	for (i = 0; i < VARIABLE_COUNT; i++)
		if (variables_table[i].printed)
			print_variable(variables_table[i].name);
	/* these are launch's own by now: a port's number needs no quotes */
	for (entry = environ; *entry; entry++)
		if (launch_map_variable(*entry))
			printf("export %s\n", *entry);
}

/*
 * The lines that remove each PORTFENCE_MAP_PORT which the shell has now: an earlier env may have set
 * them for another map. Return: NULL if there is no memory; to be freed
 */
static char *write_map_unset(void)
{
	char **entry, *lines;
	size_t size;
	FILE *to = open_memstream(&lines, &size);

	if (!to)
		return NULL;
	for (entry = environ; *entry; entry++)
		fprintf(to, launch_map_variable(*entry) ? "unset %.*s\n" : "%.*s",
			(int)launch_map_variable(*entry), *entry);
	return fclose(to) ? NULL : lines;
}

/* Empties what the lines of another `portfence env` have set. */
static int unset_variables(const char *library)
{
	char *list = NULL;
	int i;

	if (library_unload(library, getenv("LD_PRELOAD"), &list))
		return say_failure("%s", strerror(ENOMEM));
	setenv("LD_PRELOAD", list, 1);
	for (i = 0; i < VARIABLE_COUNT; i++)
		if (variables_table[i].printed)
			variables_set((enum variable)i, "");
	launch_unset_map();
	free(list);
	return 0;
}

/* What tells of a lease; NULL: of none */
static int set_lease(const struct lease *lease)
{
	char range[sizeof("65535-65535")] = "", first[sizeof("65535")] = "";
	char last[sizeof("65535")] = "";

	if (lease) {
		sprintf(range, "%d-%d", lease->first, lease->last);
		sprintf(first, "%d", lease->first);
		sprintf(last, "%d", lease->last);
		if (variables_set(VARIABLE_RANGE, range))
			return say_failure("%s", strerror(ENOMEM));
	}
	/* emptied, not removed, if they are there: 'env' prints that they are to be unset */
	if (((lease || getenv(variables_name(VARIABLE_FIRST))) &&
	     variables_set(VARIABLE_FIRST, first)) ||
	    ((lease || getenv(variables_name(VARIABLE_LAST))) &&
	     variables_set(VARIABLE_LAST, last)))
		return say_failure("%s", strerror(ENOMEM));
	return 0;
}

/* Takes over the block of a lease that others hold. @ret_map: ports that their map keeps */
static int find_lease(const char *text, const struct settings *settings, struct portmap *ret_map)
{
	struct held_leases held;
	char name[LEASE_NAME_MOST + 1];
	struct reason why;
	size_t i;
	int rc;

	if (lease_name_read(text, name, &why))
		return say_failure("--lease: %s", why.text);
	if (held_leases_read(settings, &held, &why))
		return say_failure("%s", why.text);
	for (i = 0; i < held.holders && strcmp(held.holder[i].name, name) != 0; i++)
		;
	if (i < held.holders)
		rc = set_lease(&held.holder[i]);
	else
		rc = say_failure(
			"nobody holds a lease '%s'; take it first, with 'portfence lease N "
			"--name %s --detach'",
			name, name);
	for (ret_map->count = 0; i < held.holders && !ret_map->count; i++)
		if (strcmp(held.holder[i].name, name) != 0 || !lease_map(&held.holder[i], ret_map))
			ret_map->count = 0;
	held_leases_free(&held);
	return rc;
}

/* Keeps the optional ports of the map that the other holders of the lease keep. */
static int keep_ports(const struct portmap *theirs, struct arena *arena, struct settings *settings)
{
	struct portmap *map = arena_alloc(arena, sizeof(*map));
	struct rule *rule = arena_alloc(arena, sizeof(*rule));
	uint32_t i;

	if (!map || !rule)
		return say_failure("%s", strerror(ENOMEM));
	*map = *settings->rule->map;
	*rule = *settings->rule;
	rule->map = map;
	for (i = 0; i < map->count; i++) {
		struct portmap_entry *entry = &map->entry[i];

		if (entry->optional && portmap_real(theirs, entry->asked) == entry->asked)
			entry->real = entry->asked;
	}
	settings->rule = rule;
	/* the library has it from the variable, and cannot ask who holds the lease */
	return variables_get(VARIABLE_MAP) ? launch_map(map) : 0;
}

static int set_variables(const struct option_values *given, const char *library)
{
	/* no program is known yet, so only [*] fits */
	const struct policy_process nobody = { .exe = NULL };
	const char *app = given->operand[0];
	struct settings settings = { .rule = NULL };
	struct portmap theirs = { .count = 0 };
	struct arena arena = { 0 };
	const char *value[LAUNCH_OPTIONS];
	int rc;

	launch_unset_map();
	memcpy(value, given->value, sizeof(value));
	if (given->value[OPTION_LEASE])
		value[LAUNCH_RANGE] = UNKNOWN_YET;
	rc = launch_options(value, app);
	/* what tells of a lease tells of the range; of one that is another, it would be wrong */
	if (!rc && (value[LAUNCH_RANGE] || !variables_get(VARIABLE_RANGE)))
		rc = set_lease(NULL);
	if (!rc && given->value[OPTION_LEASE])
		rc = launch_read(&nobody, &arena, &settings);
	if (!rc && given->value[OPTION_LEASE])
		rc = find_lease(given->value[OPTION_LEASE], &settings, &theirs);
	if (!rc)
		rc = launch_read(&nobody, &arena, &settings);
	if (!rc && given->value[OPTION_LEASE] && settings.rule && settings.rule->map)
		rc = keep_ports(&theirs, &arena, &settings);
	app = variables_get(VARIABLE_APP);
	if (!rc && app && settings.rule && settings.rule->lease)
		rc = say_failure(
			"[%s] has 'range = lease', and only 'portfence run' takes a lease; use "
			"that, or '--range'",
			app);
	if (!rc)
		rc = launch_check(&settings);
	if (rc)
		return rc;
	if (!app)
		settings.rule = NULL;
	launch_warn(&settings, library);
	rc = launch_environment(&settings, library, true);
	arena_free(&arena);
	return rc;
}

static int env(const struct option_values *given)
{
	char *map_unset, library[PATH_MAX];
	int rc;

	if (given->operand[0] && !*given->operand[0])
		return option_wrong(&verb_env, "the section's name is empty");
	if (given->value[OPTION_LEASE] && given->value[LAUNCH_RANGE])
		return option_wrong(&verb_env,
				    "'--lease' takes the place of '--range', give only one");
	rc = launch_library(library);
	if (rc)
		return rc;
	map_unset = write_map_unset();
	if (!map_unset)
		return say_failure("%s", strerror(ENOMEM));
	rc = given->value[OPTION_UNSET] ? unset_variables(library) : set_variables(given, library);
	if (!rc) {
		fputs(map_unset, stdout);
		print_variables();
	}
	free(map_unset);
	return rc;
}
