#include "../core/log.h"
#include "fresh.h"
#include "library.h"
#include "logfile.h"
#include "pin.h"
#include "say.h"
#include "supervise.h"
#include "target.h"
#include "trust.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_APP = PIN_OPTIONS, OPTION_VIA, OPTION_FRESH, OPTION_RECORD, OPTION_VERBOSE };

static const struct option_entry options[] = {
	PIN_OPTION_ENTRIES,
	[OPTION_APP] = PIN_OPTION_ENTRY_APP,
	[OPTION_VIA] = PIN_OPTION_ENTRY_VIA,
	[OPTION_FRESH] = { .name = "fresh",
			   .help = "give out the same ports in each run: from the begin of a sequence "
				   "that is this run's own" },
	[OPTION_RECORD] = { .name = "record",
			    .argument = "FILE",
			    .help = "write a JSON line for each assignment to this file, and a "
				    "summary at its end" },
	[OPTION_VERBOSE] = { .name = "verbose",
			     .letter = 'v',
			     .help = "say on standard error how COMMAND is fenced" },
	{ .name = NULL },
};

static int run(int argc, char *argv[]);

const struct verb verb_run = {
	.name = "run",
	.summary = "run a command whose ports come from a range of its own",
	.usage = "[--] COMMAND [ARGUMENT]...",
	.about = "Runs COMMAND, and all that it starts, with every port that the kernel would have "
		 "chosen taken from a range: by a preloaded library, and by a supervisor for what "
		 "bypasses it. The rule is the section of the configuration that "
		 "fits COMMAND, or the one that --app names, or --range alone. With --config, "
		 "--app or --range, what the PORTFENCE_ variables say of section, range, order "
		 "and seed no longer counts.",
	.options = options,
	.operands = OPERANDS_ANY,
	.operands_end_options = true,
	.usage_status = EXIT_OWN,
	.status = "COMMAND's own; 125 if portfence fails, 126 if COMMAND cannot be run, 127 if it "
		  "is not found",
	.example = "portfence run --range 20000-20999 -- curl http://example.org/\n",
	.function = run,
};

static int find_rule(const struct target *target, char *argv[], struct arena *arena,
		     struct settings *ret_settings)
{
	struct policy_process process;
	int rc = target_describe(target, argv, arena, &process);

	if (rc)
		return say_failure(EXIT_OWN, "%s", strerror(-rc));
	rc = pin_load(&process, arena, EXIT_OWN, ret_settings);
	if (rc || ret_settings->rule)
		return rc;
	return say_failure(
		EXIT_OWN,
		"no section of %s fits '%s' and there is no [*]; add one, or use --app or --range",
		ret_settings->policy.file, argv[0]);
}

/* Empties the record that was asked for; one of a run around this goes on. */
static int begin_record(const struct record *record)
{
	int rc = record_begin(record);

	if (rc == -EINVAL || rc == -ELOOP || rc == -EISDIR)
		return say_failure(EXIT_OWN, "'%s' is no regular file, which a record has to be",
				   record->path);
	if (rc == -EBUSY)
		return say_failure(
			EXIT_OWN, "the record '%s' stays locked by another process, see lslocks(8)",
			record->path);
	if (rc)
		return say_failure(EXIT_OWN, "the record '%s' cannot be written to: %s",
				   record->path, strerror(-rc));
	return 0;
}

static int cannot_run(const char *command, int error)
{
	return say_failure(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN,
			   "'%s' cannot be run: %s", command, strerror(error));
}

/* What was asked for is no news to the log. */
static void tell_way(const struct settings *settings, const char *command, bool chosen,
		     bool verbose, const char *way)
{
	struct log log = { .destination = settings->log, .application = settings->rule->name };
	char text[5 * PATH_MAX];

	snprintf(text, sizeof(text), "'%s' is fenced by %s", command, way);
	if (verbose)
		fprintf(stderr, "portfence: %s\n", text);
	log_start(&log);
	if (chosen)
		log_say(&log, "info", text);
}

/* What is held for the tree has to last as long as it does, or it must not run. */
static int cannot_hold(const char *command, int error, const char *why)
{
	return say_failure(EXIT_OWN,
			   "the lease or state of '%s' would not last as long as it runs: %s; %s",
			   command, why,
			   error == EBUSY ? "take it with the outer 'portfence run'"
					  : "run it without '--fresh' and without a lease");
}

/*
 * Fences this process in the way that was asked for. `auto` means preload and
 * supervisor, as each reaches what the other does not, or does so at less cost;
 * or the one of them that can be had. A supervisor that stops at the making of
 * sockets alone has to be asked for: it serves no program that leaves its network
 * namespace.
 *
 * @unreached:	why no preload reaches the command, or NULL
 */
static int fence(enum via via, const struct target *target, const char *unreached,
		 const char *library, const char *command, bool verbose, struct settings *settings)
{
	char why[256], unkept[256], way[3 * PATH_MAX];
	bool preload = !unreached && via != VIA_SUPERVISE;
	/* what is left to the kernel is not there to be recorded */
	bool births =
		via == VIA_SUPERVISE && !settings->record.path && supervise_births(settings->rule);
	int rc, kept;

	if (unreached && via == VIA_PRELOAD)
		return say_failure(EXIT_OWN, "%s; use '--via supervise', or %s", unreached,
				   target->remedy);
	if (preload && via != VIA_PRELOAD)
		settings->gate = supervise_gate();
	rc = via == VIA_PRELOAD ? -EOPNOTSUPP
				: supervise_start(settings, births, via == VIA_AUTO && preload, why,
						  sizeof(why));
	if (rc)
		settings->gate = 0;
	if (rc == -EBUSY && supervise_holds())
		return cannot_hold(command, EBUSY, why);
	if (rc && unreached)
		return say_failure(EXIT_OWN, "%s, and it cannot be supervised: %s; %s", unreached,
				   why, target->remedy);
	if (rc && (via == VIA_SUPERVISE || via == VIA_BOTH))
		return say_failure(EXIT_OWN, "%s; use '--via preload'", why);
	if (rc && supervise_holds()) {
		kept = supervise_keep(unkept, sizeof(unkept));
		if (kept)
			return cannot_hold(command, -kept, unkept);
	}
	if (via == VIA_PRELOAD)
		snprintf(way, sizeof(way), "preload, as asked for");
	else if (rc)
		snprintf(way, sizeof(way), "preload alone: %s", why);
	else if (preload)
		snprintf(way, sizeof(way), "preload and supervisor");
	else if (unreached)
		snprintf(way, sizeof(way), "a supervisor alone: %s", unreached);
	else
		snprintf(way, sizeof(way), "a supervisor, as asked for");
	rc = pin_environment(settings, library, preload, EXIT_OWN);
	if (!rc)
		rc = pin_rule(settings, EXIT_OWN);
	if (!rc)
		tell_way(settings, command, via == VIA_AUTO, verbose, way);
	return rc;
}

static int run(int argc, char *argv[])
{
	struct option_values given;
	struct settings settings = { .rule = NULL };
	struct arena arena = { 0 };
	struct target target;
	char library[PATH_MAX], why[2 * PATH_MAX];
	char **command;
	enum via via;
	int rc, reached;

	rc = option_parse(&verb_run, argc, argv, &given);
	if (rc != OPTION_GO_ON)
		return rc;
	command = given.operand;
	if (!command[0])
		return option_wrong(&verb_run, "there is no command to run");
	rc = pin_options(given.value, given.value[OPTION_APP], EXIT_OWN);
	if (!rc && given.value[OPTION_RECORD])
		rc = pin_record(given.value[OPTION_RECORD], EXIT_OWN);
	if (rc)
		return rc;
	rc = library_find(library);
	if (rc)
		return say_failure(EXIT_OWN, "the library '%s' cannot be read: %s", library,
				   strerror(-rc));
	rc = target_find(command[0], &target);
	if (rc)
		return cannot_run(command[0], -rc);
	reached = target_check(&target, library, why, sizeof(why));
	/* what we may not read we may still execute, but nobody can say that it will be fenced */
	if (reached && !*target.remedy)
		return say_failure(EXIT_OWN, "%s", why);
	rc = find_rule(&target, command, &arena, &settings);
	if (!rc)
		rc = pin_via(given.value[OPTION_VIA], settings.rule, EXIT_OWN, &via);
	if (!rc && given.value[OPTION_FRESH])
		rc = fresh_start(&settings, &arena, EXIT_OWN);
	if (rc)
		return rc;
	policy_warnings(&settings.policy, settings.rule, settings_port_start(), say_warning, NULL);
	trust_warn("the library", library);
	if (settings.policy.file)
		trust_warn("the configuration", settings.policy.file);
	if (given.value[OPTION_RECORD])
		rc = begin_record(&settings.record);
	if (rc)
		return rc;
	if (!logfile_writable(settings.log, why, sizeof(why)))
		say_warning(NULL, why);
	rc = fence(via, &target, reached ? why : NULL, library, command[0],
		   given.value[OPTION_VERBOSE], &settings);
	if (rc)
		return rc;
	execvp(command[0], command);
	return cannot_run(command[0], errno);
}
