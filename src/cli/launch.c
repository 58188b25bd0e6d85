#include "launch.h"

#include "../core/handover.h"
#include "../core/log_destination.h"
#include "../machine/library.h"
#include "engine_choice.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int set_variable(const char *name, const char *value)
{
	if (!setenv(name, value, 1))
		return 0;
	return say_failure("cannot set %s: %s", name, strerror(errno));
}

/* Makes a path absolute, so that it holds wherever the command goes. @path is the end of @whole. */
static int set_path(const char *name, const char *whole, const char *path)
{
	static char folder[PATH_MAX],
		text[2 * PATH_MAX + 8]; /* the stack may be small (setrlimit(2)) */

	*folder = '\0';
	if (*path != '/') {
		if (!getcwd(folder, sizeof(folder) - 1))
			return say_failure("the current folder cannot be found: %s",
					   strerror(errno));
		strcat(folder, "/");
	}
	if (snprintf(text, sizeof(text), "%.*s%s%s", (int)(path - whole), whole, folder, path) >=
	    (int)sizeof(text))
		return say_failure("the path '%s' is too long", path);
	return set_variable(name, text);
}

/* What the command line has set, as it is called there; "" for an operand. By enum variable */
static const char *given_as[VARIABLE_COUNT];

/* "--log errors.txt" means a file here; in the configuration only an absolute path is a file. */
static int set_log(const char *log)
{
	const struct log_destination destination = log_destination_of(log);

	given_as[VARIABLE_LOG] = "--log";
	if (destination.to != LOG_TO_FILE || !*destination.path)
		return set_variable(variables_name(VARIABLE_LOG), log);
	return set_path(variables_name(VARIABLE_LOG), log, destination.path);
}

int launch_record(const char *path)
{
	return set_path(variables_name(VARIABLE_RECORD), path, path);
}

/* A mistake in a variable that the command line has set is one of the command line. */
static void say_mistake(void *context, const char *file, unsigned line, const char *problem)
{
	int i;

	for (i = 0; i < VARIABLE_COUNT; i++)
		if (given_as[i] && !strcmp(file, variables_name((enum variable)i)))
			break;
	if (i == VARIABLE_COUNT)
		say_conf_error(context, file, line, problem);
	else if (*given_as[i])
		say_failure("%s: %s", given_as[i], problem);
	else
		say_failure("%s", problem);
}

int launch_options(const char *const value[LAUNCH_OPTIONS], const char *app)
{
	const char *const text[VARIABLE_COUNT] = {
#define OPTION_VALUE(id, ...) [VARIABLE_##id] = value[LAUNCH_##id],
#define OPTION_NAME(id, name, ...) [VARIABLE_##id] = "--" name,
		[VARIABLE_APP] = app, KEY_OVERRIDES(OPTION_VALUE)
	};
	static const char *const names[VARIABLE_COUNT] = { [VARIABLE_APP] = "",
							   KEY_OVERRIDES(OPTION_NAME) };
	bool anew = app || value[LAUNCH_CONFIG] || value[LAUNCH_RANGE];
	int i, rc = 0;

	for (i = 0; !rc && i < VARIABLE_COUNT; i++) {
		const struct variables_row *row = &variables_table[i];

		if (text[i]) {
			given_as[i] = names[i];
			rc = set_variable(row->name, text[i]);
		} else if (anew && row->kind == VARIABLES_RULE && variables_get((enum variable)i))
			rc = set_variable(row->name, "");
	}
	if (!rc && value[LAUNCH_CONFIG])
		rc = set_path(variables_name(VARIABLE_CONFIG), "", value[LAUNCH_CONFIG]);
	if (!rc && value[LAUNCH_LOG])
		rc = set_log(value[LAUNCH_LOG]);
	return rc;
}

/* `engine = kernel` fails every call on a machine where it cannot serve: say so before. */
static int refuse_useless_engine(const struct rule *rule)
{
	struct engine_choice choice;
	enum proto proto;

	if (engine_choice_unserved(rule, ~0U, &proto, &choice))
		return say_failure(
			"'engine = kernel' cannot serve '%s' for %s: %s; use 'engine = auto'",
			rule->name, policy_proto_name(proto), choice.why.text);
	return 0;
}

int launch_read(const struct policy_process *process, struct arena *arena,
		struct settings *ret_settings)
{
	int rc = settings_load(process, arena, say_mistake, NULL, ret_settings);

	if (rc == -ENOMEM)
		return say_failure("%s", strerror(ENOMEM));
	return rc ? say_status() : 0;
}

int launch_library(char ret_path[PATH_MAX])
{
	int rc = library_find(ret_path);

	return rc ? say_failure("the library '%s' cannot be read: %s", ret_path, strerror(-rc)) : 0;
}

void launch_warn(const struct settings *settings, const char *library)
{
	const char *const *file;

	if (settings->rule)
		policy_warnings(&settings->policy, settings->rule, settings_port_start(),
				say_warning, NULL);
	say_distrust("the library", library);
	for (file = settings->policy.files; file && *file; file++)
		say_distrust("the configuration", *file);
}

int launch_check(const struct settings *settings)
{
	if (settings->rule)
		return refuse_useless_engine(settings->rule);
	if (settings->policy.file)
		return 0;
	return say_failure("there is no configuration file; write %s, or use --config or --range",
			   SETTINGS_SYSTEM_FILE);
}

int launch_via(const char *text, const struct rule *rule, enum via *ret_via)
{
	struct reason why;
	struct rule copy = { .via = rule ? rule->via : VIA_AUTO };

	if (text && key_override(&copy, KEY_VIA, text, NULL, &why))
		return say_failure("--via: %s", why.text);
	*ret_via = copy.via;
	return 0;
}

#define MAP_PORT_PREFIX "PORTFENCE_MAP_"

size_t launch_map_variable(const char *entry)
{
	const size_t prefix = strlen(MAP_PORT_PREFIX);
	size_t digits;

	if (strncmp(entry, MAP_PORT_PREFIX, prefix) != 0)
		return 0;
	digits = strspn(entry + prefix, "0123456789");
	return digits && digits <= 5 && entry[prefix + digits] == '=' ? prefix + digits : 0;
}

void launch_unset_map(void)
{
	char name[sizeof(MAP_PORT_PREFIX "65535")];
	char **entry = environ;

	while (*entry) {
		size_t len = launch_map_variable(*entry);

		if (!len) {
			entry++;
			continue;
		}
		*(char *)mempcpy(name, *entry, len) = '\0';
		unsetenv(name);
		/* the list is another now */
		entry = environ;
	}
}

int launch_map(const struct portmap *map)
{
	char text[PORTMAP_TEXT], name[sizeof(MAP_PORT_PREFIX "65535")], port[8];
	uint32_t i;
	int rc;

	launch_unset_map();
	if (!map)
		return 0;
	portmap_format(map, text, sizeof(text));
	rc = set_variable(variables_name(VARIABLE_MAP), text);
	for (i = 0; !rc && i < map->count; i++) {
		snprintf(name, sizeof(name), MAP_PORT_PREFIX "%d", map->entry[i].asked);
		snprintf(port, sizeof(port), "%d", map->entry[i].real);
		rc = set_variable(name, port);
	}
	return rc;
}

static int set_preload(const char *library, bool preload)
{
	const char *now = getenv("LD_PRELOAD");
	char *list;
	int rc = preload ? library_preload(library, now, &list)
			 : library_unload(library, now, &list);

	if (rc == -EINVAL)
		return say_failure(
			"the library's path '%s' has a blank, a colon or a dollar sign, which LD_PRELOAD "
			"cannot hold; install portfence elsewhere",
			library);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (*list)
		rc = set_variable("LD_PRELOAD", list);
	else if (now)
		unsetenv("LD_PRELOAD");
	free(list);
	return rc;
}

int launch_environment(const struct settings *settings, const char *library, bool preload)
{
	const char *file = settings->policy.file;
	int rc = 0;

	if (settings->rule)
		rc = set_variable(variables_name(VARIABLE_APP), settings->rule->name);
	if (!rc && settings->rule)
		rc = launch_map(settings->rule->map);
	if (!rc && file)
		rc = set_path(variables_name(VARIABLE_CONFIG), "", file);
	return rc ? rc : set_preload(library, preload);
}

int launch_rule(const struct settings *settings)
{
	const struct handover handover = {
		.rule = settings->rule,
		.file = settings->policy.file,
		.log = settings->log,
		.state = settings->state,
		.record = settings->record,
		.gate = settings->gate,
		.tracer = settings->tracer,
		.tracer_space = settings->tracer_space,
		.verbose = settings->verbose,
		.unseen = settings->unseen,
	};
	char text[HANDOVER_MAX];

	/* too long: then they read the file */
	if (handover_write(&handover, text))
		text[0] = '\0';
	return set_variable(variables_name(VARIABLE_RULE), text);
}
