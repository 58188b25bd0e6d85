#include "../machine/library.h"
#include "launch.h"
#include "say.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_UNSET = LAUNCH_OPTIONS };

static const struct option_entry options[] = {
	LAUNCH_OPTION_ENTRIES,
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

static int set_variables(const struct option_values *given, const char *library)
{
	/* no program is known yet, so only [*] fits */
	const struct policy_process nobody = { .exe = NULL };
	const char *app = given->operand[0];
	struct settings settings = { .rule = NULL };
	struct arena arena = { 0 };
	int rc;

	launch_unset_map();
	rc = launch_options(given->value, app);
	if (!rc)
		rc = launch_read(&nobody, &arena, &settings);
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
