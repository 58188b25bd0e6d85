#include "../core/engine_kernel.h"
#include "../core/settings.h"
#include "target.h"
#include "verbs.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_NAME "libportfence.so"

enum { OPTION_CONFIG = 256, OPTION_APP, OPTION_RANGE, OPTION_ORDER, OPTION_SEED, OPTION_LOG };

#define OPTIONS (OPTION_LOG - OPTION_CONFIG + 1)

static const struct option options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "app", required_argument, NULL, OPTION_APP },
	{ "range", required_argument, NULL, OPTION_RANGE },
	{ "order", required_argument, NULL, OPTION_ORDER },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "log", required_argument, NULL, OPTION_LOG },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void print_help(FILE *to)
{
	fputs("usage: portfence run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	      "\n"
	      "Runs COMMAND, and all that it starts, with every port that the kernel would have\n"
	      "chosen taken from a range. The rule is the section of the configuration that fits\n"
	      "COMMAND, or the one that --app names, or --range alone.\n"
	      "\n"
	      "  --config FILE   the configuration; default: $PORTFENCE_CONFIG, portfence.ini under\n"
	      "                  $XDG_CONFIG_HOME or ~/.config, /etc/portfence.ini\n"
	      "  --app NAME      use section [NAME], whatever COMMAND is called\n"
	      "  --range RANGE   use this range: first-last, first+count, a preset, or a list\n"
	      "  --order ORDER   auto, sequential, random, random-simple, hash, double-hash or\n"
	      "                  random-increments\n"
	      "  --seed N        draw the same random numbers in every run\n"
	      "  --log LOG       a line for each port: stderr, syslog, none or a file; json:LOG\n"
	      "                  for JSON lines\n"
	      "  -h, --help      this text\n"
	      "\n"
	      "With --config, --app or --range, what the PORTFENCE_ variables say of section,\n"
	      "range, order and seed no longer counts.\n"
	      "\n"
	      "exit status: COMMAND's own; 125 if portfence fails, 126 if COMMAND cannot be run,\n"
	      "127 if it is not found\n"
	      "\n"
	      "example:\n"
	      "  portfence run --range 20000-20999 -- curl http://example.org/\n",
	      to);
}

/* Says what is wrong. Return: the exit status for it */
__attribute__((format(printf, 2, 3))) static int complain(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("portfence: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return status;
}

static void print_error(void *context, const char *file, unsigned line, const char *problem)
{
	(void)context;
	if (line)
		complain(0, "%s:%u: %s", file, line, problem);
	else
		complain(0, "%s: %s", file, problem);
}

static void print_warning(void *context, const char *warning)
{
	(void)context;
	complain(0, "warning: %s", warning);
}

static int set_variable(const char *name, const char *value)
{
	if (!setenv(name, value, 1))
		return 0;
	return complain(EXIT_OWN, "cannot set %s: %s", name, strerror(errno));
}

/* A path that holds wherever the command goes. */
static int set_path(const char *name, const char *prefix, const char *path)
{
	char folder[PATH_MAX] = "", text[2 * PATH_MAX + 8];

	if (*path != '/') {
		if (!getcwd(folder, sizeof(folder) - 1))
			return complain(EXIT_OWN, "cannot tell the current folder: %s",
					strerror(errno));
		strcat(folder, "/");
	}
	if (snprintf(text, sizeof(text), "%s%s%s", prefix, folder, path) >= (int)sizeof(text))
		return complain(EXIT_OWN, "the path '%s' is too long", path);
	return set_variable(name, text);
}

/* "--log errors.txt" means a file here; in the configuration only an absolute path is a file. */
static int set_log(const char *log)
{
	const char *prefix = strncmp(log, "json:", 5) ? "" : "json:";
	const char *where = log + strlen(prefix);

	if (!*where || !strcmp(where, "stderr") || !strcmp(where, "syslog") ||
	    !strcmp(where, "none"))
		return set_variable("PORTFENCE_LOG", log);
	return set_path("PORTFENCE_LOG", prefix, where);
}

/*
 * Who names a section, a file or a range does not mean what a run around this
 * one was told: that is in the environment now, and is taken out of it.
 */
static int start_anew(const bool given[OPTIONS])
{
	static const struct {
		int option;
		const char *variable;
	} table[] = {
		{ OPTION_APP, "PORTFENCE_APP" },
		{ OPTION_RANGE, "PORTFENCE_RANGE" },
		{ OPTION_ORDER, "PORTFENCE_ORDER" },
		{ OPTION_SEED, "PORTFENCE_SEED" },
	};
	size_t i;
	int rc = 0;

	if (!given[OPTION_APP - OPTION_CONFIG] && !given[OPTION_RANGE - OPTION_CONFIG] && !given[0])
		return 0;
	for (i = 0; !rc && i < sizeof(table) / sizeof(table[0]); i++)
		if (!given[table[i].option - OPTION_CONFIG])
			rc = set_variable(table[i].variable, "");
	return rc;
}

/* Return: 0, or an exit status; -1 after --help */
static int parse_options(int argc, char *argv[])
{
	bool given[OPTIONS] = { false };
	int c, rc = 0;

	/* '+': COMMAND's own options are not ours */
	while (!rc && (c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (c >= OPTION_CONFIG && c < OPTION_CONFIG + OPTIONS)
			given[c - OPTION_CONFIG] = true;
		switch (c) {
		case OPTION_CONFIG:
			rc = set_path("PORTFENCE_CONFIG", "", optarg);
			break;
		case OPTION_APP:
			rc = set_variable("PORTFENCE_APP", optarg);
			break;
		case OPTION_RANGE:
			rc = set_variable("PORTFENCE_RANGE", optarg);
			break;
		case OPTION_ORDER:
			rc = set_variable("PORTFENCE_ORDER", optarg);
			break;
		case OPTION_SEED:
			rc = set_variable("PORTFENCE_SEED", optarg);
			break;
		case OPTION_LOG:
			rc = set_log(optarg);
			break;
		case 'h':
			print_help(stdout);
			return -1;
		default:
			return complain(EXIT_OWN, "see 'portfence run --help'");
		}
		if (optarg && !*optarg)
			return complain(EXIT_OWN,
					"an option has an empty value, see 'portfence run --help'");
	}
	if (rc)
		return rc;
	rc = start_anew(given);
	if (!rc && optind >= argc)
		rc = complain(EXIT_OWN, "there is no command to run, see 'portfence run --help'");
	return rc;
}

/* The library beside this executable in a build tree, else where it is installed. */
static int find_library(char ret_path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret_path, PATH_MAX - sizeof(LIBRARY_NAME));
	char *slash;

	if (n > 0) {
		ret_path[n] = '\0';
		slash = strrchr(ret_path, '/');
		strcpy(slash + 1, LIBRARY_NAME);
		if (!access(ret_path, R_OK))
			return 0;
	}
	snprintf(ret_path, PATH_MAX, "%s/%s", PORTFENCE_LIBDIR, LIBRARY_NAME);
	if (access(ret_path, R_OK))
		return complain(EXIT_OWN, "the library '%s' cannot be read: %s", ret_path,
				strerror(errno));
	return 0;
}

/* Is a library among the entries of a list as LD_PRELOAD has it? */
static bool has_entry(const char *list, const char *library)
{
	size_t len;

	for (; *list; list += len + (list[len] != '\0')) {
		len = strcspn(list, ": ");
		if (len == strlen(library) && !memcmp(list, library, len))
			return true;
	}
	return false;
}

/* Puts the library in front of an LD_PRELOAD that is there already. */
static int set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *text;
	int rc;

	if (strpbrk(library, ": $"))
		return complain(
			EXIT_OWN,
			"the library's path '%s' has a blank, a colon or a dollar sign, which LD_PRELOAD "
			"cannot hold; install portfence elsewhere",
			library);
	if (!old || !*old)
		return set_variable("LD_PRELOAD", library);
	/* once is enough where a run stands inside another */
	if (has_entry(old, library))
		return 0;
	if (asprintf(&text, "%s:%s", library, old) < 0)
		return complain(EXIT_OWN, "%s", strerror(ENOMEM));
	rc = set_variable("LD_PRELOAD", text);
	free(text);
	return rc;
}

/* The command line as /proc/PID/cmdline will show it, joined by blanks. */
static char *join_arguments(const struct target *target, char *argv[], struct arena *arena)
{
	size_t size = strlen(target->script) + strlen(target->path) + 1, i;
	char *text, *p;

	for (i = 0; argv[i]; i++)
		size += strlen(argv[i]) + 1;
	text = arena_alloc(arena, size);
	if (!text)
		return NULL;
	p = stpcpy(text, target->script);
	/* of a script, the kernel puts the path where argv[0] was */
	p = stpcpy(p, *target->script ? target->path : argv[0]);
	for (i = 1; argv[i]; i++)
		p = stpcpy(stpcpy(p, " "), argv[i]);
	return text;
}

/* `engine = kernel` fails every call on a machine where it cannot serve: say so before. */
static int check_engine(const struct rule *rule)
{
	char why[256] = "the system's range cannot be read";
	int proto;

	for (proto = 0; rule->engine == ENGINE_KERNEL && proto < PROTO_COUNT; proto++)
		if (engine_kernel_judge(rule->range[proto], why, sizeof(why)))
			return complain(
				EXIT_OWN,
				"'engine = kernel' cannot serve '%s' for %s: %s; use 'engine = auto'",
				rule->name, policy_proto_name((enum proto)proto), why);
	return 0;
}

static int find_rule(const struct target *target, char *argv[], struct arena *arena,
		     struct settings *ret_settings)
{
	const struct policy_process process = {
		.exe = target->exe,
		.started_as = target->path,
		.args = join_arguments(target, argv, arena),
	};
	int rc = settings_load(&process, arena, print_error, NULL, ret_settings);

	if (rc == -ENOMEM)
		return complain(EXIT_OWN, "%s", strerror(ENOMEM));
	if (rc)
		return EXIT_OWN;
	if (ret_settings->rule)
		return check_engine(ret_settings->rule);
	if (ret_settings->policy.file)
		return complain(
			EXIT_OWN,
			"no section of %s fits '%s' and there is no [*]; add one, or use --app or --range",
			ret_settings->policy.file, argv[0]);
	return complain(EXIT_OWN,
			"there is no configuration file; write %s, or use --config or --range",
			SETTINGS_SYSTEM_FILE);
}

/* Pins the command and all that it starts to what was found. */
static int pin(const struct settings *settings, const char *library)
{
	const char *file = settings->policy.file;
	int rc = set_variable("PORTFENCE_APP", settings->rule->name);

	if (!rc && file)
		rc = set_path("PORTFENCE_CONFIG", "", file);
	return rc ? rc : set_preload(library);
}

int verb_run(int argc, char *argv[])
{
	struct settings settings;
	struct arena arena = { 0 };
	struct target target;
	char library[PATH_MAX], why[2 * PATH_MAX];
	char **command;
	int rc;

	rc = parse_options(argc, argv);
	if (rc)
		return rc < 0 ? 0 : rc;
	command = argv + optind;
	rc = find_library(library);
	if (rc)
		return rc;
	rc = target_find(command[0], &target);
	if (rc)
		return complain(rc == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN,
				"'%s' cannot be run: %s", command[0], strerror(-rc));
	rc = target_check(&target, library, why, sizeof(why));
	/* what we may not read we may still execute, but nobody can say that it will be fenced */
	if (rc)
		return complain(EXIT_OWN, "%s", why);
	rc = find_rule(&target, command, &arena, &settings);
	if (rc)
		return rc;
	policy_warnings(&settings.policy, settings.rule, settings_port_start(), print_warning,
			NULL);
	rc = pin(&settings, library);
	if (rc)
		return rc;
	execvp(command[0], command);
	rc = errno;
	return complain(rc == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "'%s' cannot be run: %s",
			command[0], strerror(rc));
}
