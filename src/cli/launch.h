/* launch: fences what is started next, by the variables of this process; it starts nothing. */
#ifndef PORTFENCE_CLI_LAUNCH_H
#define PORTFENCE_CLI_LAUNCH_H

#include "../core/key.h"
#include "../core/settings.h"
#include "../core/variables.h"
#include "option.h"

#define LAUNCH_ENUM(id, ...) LAUNCH_##id,

/* The options that stand for variables. A verb's own follow them: its first is LAUNCH_OPTIONS. */
enum { LAUNCH_CONFIG, KEY_OVERRIDES(LAUNCH_ENUM) LAUNCH_LOG, LAUNCH_OPTIONS };

/* clang-format off */
#define LAUNCH_OPTION_ENTRY(id, option, of_argument, of_help) \
	[LAUNCH_##id] = { .name = option, .argument = of_argument, .help = of_help },

#define LAUNCH_OPTION_ENTRIES \
	[LAUNCH_CONFIG] = OPTION_ENTRY_CONFIG, \
	KEY_OVERRIDES(LAUNCH_OPTION_ENTRY) \
	[LAUNCH_LOG] = { .name = "log", .argument = "LOG", \
		.help = "a line for each port: stderr, syslog, journal, none or a file; json:LOG for JSON " \
			"lines" }

/* Of verbs that take a command. */
#define LAUNCH_OPTION_ENTRY_APP \
	{ .name = "app", .argument = "APP", \
	  .help = "use section [APP], whatever COMMAND is called" }

#define LAUNCH_OPTION_ENTRY_VIA \
	{ .name = "via", .argument = "WAY", \
	  .help = "preload, supervise, both, or auto (default: 'via' of the section)" }
/* clang-format on */

/* Each of these returns 0, or reports the problem on standard error and returns say_status(). */

/* launch_library() - Find the library. Return: 0, or say_status() */
int launch_library(char ret_path[PATH_MAX]);

/* launch_warn() - Warn about what may be a mistake in the rule, and about files that others could replace */
void launch_warn(const struct settings *settings, const char *library);

/**
 * launch_options() - Put what was given on the command line into the variables
 * @value:	by the enum above, NULL where not given
 * @app:	section to use, NULL if none was named
 *
 * Who names a section, a file or a range does not mean what a run around this
 * one was told: those of the variables that were not given are emptied then.
 *
 * Return: 0, or say_status()
 */
int launch_options(const char *const value[LAUNCH_OPTIONS], const char *app);

/* launch_map_variable() - Length of the name of an entry PORTFENCE_MAP_PORT=...; 0 if it is none */
size_t launch_map_variable(const char *entry);

/**
 * launch_map() - Set the variables that tell of a map
 * @map:	placed; NULL: of none
 *
 * PORTFENCE_MAP holds the whole map, for the library. PORTFENCE_MAP_PORT holds one port each, for scripts.
 *
 * Return: 0, or say_status() after the problem was reported
 */
int launch_map(const struct portmap *map);

/* launch_unset_map() - Remove the variables PORTFENCE_MAP_PORT, which an outer run may have set */
void launch_unset_map(void);

/* launch_record() - Name the record in its variable. Return: 0, or say_status() */
int launch_record(const char *path);

/**
 * launch_read() - Read the configuration that the variables name
 * @process:	what is to be started
 *
 * Return: 0, or say_status()
 */
int launch_read(const struct policy_process *process, struct arena *arena,
		struct settings *ret_settings);

/**
 * launch_check() - Is what was read good for this machine?
 * @settings:	its rule may be NULL, but not where there is no file
 *
 * Return: 0, or say_status()
 */
int launch_check(const struct settings *settings);

/**
 * launch_via() - What --via says, or the rule
 * @text:	NULL if not given
 *
 * Return: 0, or say_status()
 */
int launch_via(const char *text, const struct rule *rule, enum via *ret_via);

/**
 * launch_environment() - Set LD_PRELOAD and the variables that hold a process tree to what was found
 * @settings:	a rule that is not NULL is the whole tree's
 * @preload:	false: take the library from LD_PRELOAD instead
 *
 * Return: 0, or say_status()
 */
int launch_environment(const struct settings *settings, const char *library, bool preload);

/**
 * launch_rule() - Hand the rule to the tree, so that none of its processes reads the file again
 *
 * Call it last: it holds for the variables as they are now.
 *
 * Return: 0, or say_status()
 */
int launch_rule(const struct settings *settings);

#endif
