#include "../core/assign.h"
#include "../core/log.h"
#include "../machine/broker.h"
#include "../machine/library.h"
#include "../machine/logfile.h"
#include "../machine/programs.h"
#include "../machine/target.h"
#include "../supervisor/bind_rules.h"
#include "../supervisor/newsocket.h"
#include "../supervisor/supervise.h"
#include "launch.h"
#include "run_fresh.h"
#include "run_lease.h"
#include "say.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A range that nobody gets: of a lease, the block is not known before the configuration is. */
#define UNKNOWN_YET "1-65535"

#define DNS 53

enum {
	OPTION_APP = LAUNCH_OPTIONS,
	OPTION_VIA,
	OPTION_RECORD,
	OPTION_LEASE,
	OPTION_POOL,
	OPTION_WAIT,
	OPTION_NAME,
	OPTION_SUBSTITUTE,
	OPTION_FRESH,
	OPTION_STRICT,
	OPTION_QUIET,
	OPTION_VERBOSE
};

static const struct option_entry options[] = {
	LAUNCH_OPTION_ENTRIES,
	[OPTION_APP] = LAUNCH_OPTION_ENTRY_APP,
	[OPTION_VIA] = LAUNCH_OPTION_ENTRY_VIA,
	[OPTION_RECORD] = { .name = "record",
			    .argument = "FILE",
			    .help = "write a JSON line for each assignment to this file, and a "
				    "summary at its end" },
	[OPTION_LEASE] = { .name = "lease",
			   .argument = "N",
			   .help = "use a block of N ports that no other lease has and no socket uses, as long as any "
				   "process of COMMAND runs" },
	[OPTION_POOL] = OPTION_ENTRY_POOL("lease"),
	[OPTION_WAIT] = OPTION_ENTRY_WAIT,
	[OPTION_NAME] = OPTION_ENTRY_NAME,
	[OPTION_SUBSTITUTE] = { .name = "substitute",
				.help = "in COMMAND's arguments, replace {first}, {last}, {first+N}, {last-N} and {range} "
					"with ports of the lease" },
	[OPTION_FRESH] = { .name = "fresh",
			   .help = "give out the same ports in each run, from a new sequence of its own" },
	[OPTION_STRICT] = { .name = "strict",
			    .help = "do not run COMMAND where no supervisor can fence what bypasses "
				    "the library" },
	[OPTION_QUIET] = { .name = "quiet",
			   .letter = 'q',
			   .help = "do not warn where no supervisor fences what bypasses the library" },
	[OPTION_VERBOSE] = { .name = "verbose",
			     .letter = 'v',
			     .help = "say on standard error how COMMAND is fenced" },
	{ .name = NULL },
};

static int run(const struct option_values *given);

const struct verb verb_run = {
	.name = "run",
	.summary = "run a command whose ports come from a range of its own",
	.usage = "[--] COMMAND [ARGUMENT]...",
	.about =
		"Runs COMMAND and all programs that it starts. Each port that the kernel would have "
		"chosen comes from a range instead: by a preloaded library, and by a supervisor for "
		"what bypasses the library. The rule is the section of the configuration that fits "
		"COMMAND, or the one that --app names, or --range or --lease alone. With --config, "
		"--app, --range or --lease, the PORTFENCE_ variables for section, range, order and "
		"seed are ignored.",
	.options = options,
	.operands = OPERANDS_ANY,
	.operands_end_options = true,
	.usage_status = EXIT_OWN,
	.failure_status = EXIT_OWN,
	.status = "COMMAND's own; 125 if portfence fails, 126 if COMMAND cannot be run, 127 if it "
		  "is not found",
	.example = "portfence run --range 20000-20999 -- curl http://example.org/\n"
		   "portfence run --lease 100 -- make check\n"
		   "portfence run --lease 10 --substitute -- nc -l 127.0.0.1 {first}\n",
	.function = run,
};

static int read_rule(const struct target *target, char *argv[], struct arena *arena,
		     struct settings *ret_settings)
{
	struct policy_process process;
	int rc = target_describe(target, argv, arena, &process);

	if (rc)
		return say_failure("%s", strerror(-rc));
	return launch_read(&process, arena, ret_settings);
}

/* What tells of a lease tells of the range; of one that is another, it would be wrong. */
static void forget_lease(const struct option_values *given)
{
	if (variables_get(VARIABLE_RANGE) && !given->value[LAUNCH_RANGE])
		return;
	/* emptied, as a fence around this process would put back what is missing */
	if (variables_get(VARIABLE_FIRST))
		variables_set(VARIABLE_FIRST, "");
	if (variables_get(VARIABLE_LAST))
		variables_set(VARIABLE_LAST, "");
}

/*
 * A command without a section of its own may be meant by one whose `match` fits nothing. Where [*] is
 * there for the rest, programs that are not on this machine are no mistake.
 */
static void warn_of_matches(const struct settings *settings)
{
	const struct policy *policy = &settings->policy;
	static char text[2 * POLICY_GLOB_MAX],
		line[PATH_MAX + sizeof(text)]; /* the stack may be small (setrlimit(2)) */
	size_t i;

	if (settings->rule && settings->rule->line && strcmp(settings->rule->name, "*") != 0)
		return;
	for (i = 0; i < policy->count; i++) {
		const struct rule *rule = policy->rules[i];

		if (!rule->match || (settings->rule && !programs_relative(rule)) ||
		    programs_find(rule, text, sizeof(text)))
			continue;
		snprintf(line, sizeof(line), "%s:%u: %s", policy_file(policy, rule),
			 rule->match_line, text);
		say_warning(NULL, line);
	}
}

/*
 * The supervisor puts the map's ports into what a program sends to, but not into what recvfrom() and
 * recvmsg() tell. A resolver that compares the two, as musl's does, then waits in vain.
 */
static void warn_of_resolver(const struct rule *rule, const char *command)
{
	char text[PATH_MAX + 512];

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a command that is run has a rule */
	if (!portmap_real(rule->map, DNS) || portmap_real(rule->map, DNS) == DNS)
		return;
	snprintf(
		text, sizeof(text),
		"the map has port %d, and '%s' is left to the supervisor, which does not translate the "
		"sender that recvfrom(2) tells: a resolver such as musl's will not take the answers; "
		"use a program that the library reaches",
		DNS, command);
	say_warning(NULL, text);
}

/* Its sockets are then made by a process that is no child of ours, and has no fence. */
static void warn_of_broker(const char *command)
{
	const struct broker *broker = broker_of(command);
	const pid_t pid = broker ? broker_running(broker) : 0;
	struct process server;
	char text[PATH_MAX + 512];

	if (!pid || processes_describe(pid, &server))
		return;
	snprintf(
		text, sizeof(text),
		"'%s' may leave its sockets to '%s' (pid %d), which runs already and is not fenced; %s",
		command, server.name, (int)pid, broker->advice);
	say_warning(NULL, text);
}

static int find_rule(const struct option_values *given, const struct target *target,
		     struct arena *arena, struct settings *ret_settings, bool *ret_leased)
{
	const struct run_lease_options lease_options = {
		.lease = given->value[OPTION_LEASE],
		.pool = given->value[OPTION_POOL],
		.wait = given->value[OPTION_WAIT],
		.name = given->value[OPTION_NAME],
		.substitute = given->value[OPTION_SUBSTITUTE],
	};
	char **argv = given->operand;
	struct run_lease lease;
	int rc = read_rule(target, argv, arena, ret_settings);

	if (!rc)
		rc = run_lease_take(&lease_options, ret_settings, argv, arena, &lease);
	if (rc)
		return rc;
	*ret_leased = lease.taken;
	if (lease.taken)
		rc = read_rule(target, argv, arena, ret_settings);
	else
		forget_lease(given);
	if (!rc)
		rc = launch_check(ret_settings);
	if (rc)
		return rc;
	warn_of_matches(ret_settings);
	if (!ret_settings->rule)
		return say_failure(
			"no section of %s fits '%s' and there is no [*]; add one, or use "
			"--app or --range",
			ret_settings->policy.file, argv[0]);
	if (lease.taken && given->value[OPTION_VERBOSE])
		fprintf(stderr, "portfence: '%s' has a lease of the ports %d-%d\n", argv[0],
			lease.block.entry.first, lease.block.entry.last);
	return run_lease_finish(&lease, arena, ret_settings);
}

/* Empties the record that was asked for; one of a run around this goes on. */
static int empty_record(const struct record *record)
{
	int rc = record_begin(record);

	if (rc == -EINVAL || rc == -ELOOP || rc == -EISDIR)
		return say_failure("'%s' is not a regular file; name another file for the record",
				   record->path);
	if (rc == -EPERM)
		return say_failure(
			"'%s' belongs to another user, or has a second name, in a folder that others may "
			"write to; name another file for the record",
			record->path);
	if (rc == -EBUSY)
		return say_failure(
			"the record '%s' stays locked by another process, see lslocks(8)",
			record->path);
	if (rc)
		return say_failure("the record '%s' cannot be written to: %s", record->path,
				   strerror(-rc));
	return 0;
}

static int cannot_run(const char *command, int error)
{
	say_failure("'%s' cannot be run: %s", command, strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

/* The command, and how it is to be fenced. */
struct job {
	const char *command;
	const struct target *target;
	const char *unreached; /* why no preload reaches it, or NULL */
	enum via via;          /* as asked for */
	bool strict;           /* not without a supervisor, unless that was asked for */
	bool quiet;
	bool verbose;
	bool fresh;
	bool leased; /* it has a block of ports */
};

/* What became of fencing this process. */
struct way {
	enum {
		WAY_FENCED,
		WAY_UNREACHED,    /* only a preload was asked for, and none reaches the command */
		WAY_UNSUPERVISED, /* there is no supervisor, and a preload alone is not enough */
		WAY_UNKEPT,       /* what is held for the tree would not last as long as it does */
		WAY_STUCK         /* this process is under a filter that nobody serves */
	} outcome;
	bool preload;             /* the library is to be preloaded */
	bool supervisor;          /* there is one */
	bool enforced;            /* the kernel holds the rule's `bind` */
	struct obstacle obstacle; /* why there is no supervisor, or why the outcome is a failure */
	char loose[256];          /* why the kernel does not hold the rule's `bind` */
};

/*
 * Fences this process. `auto` means preload and supervisor, as each reaches what the other does not,
 * or does so at less cost; or the one of them that can be had.
 */
static void try_ways(const struct job *job, struct settings *settings, struct way *ret_way)
{
	const enum via via = job->via;
	int rc = -EOPNOTSUPP;

	memset(ret_way, 0, sizeof(*ret_way));
	ret_way->preload = !job->unreached && via != VIA_SUPERVISE;
	if (job->unreached && via == VIA_PRELOAD) {
		ret_way->outcome = WAY_UNREACHED;
		return;
	}
	if (ret_way->preload && via != VIA_PRELOAD)
		settings->gate = supervise_gate();
	if (via != VIA_PRELOAD)
		rc = supervise_start(settings,
				     via == VIA_AUTO && ret_way->preload && settings->rule->map,
				     &ret_way->obstacle);
	ret_way->supervisor = !rc;
	if (!rc)
		return;
	settings->gate = 0;
	if (rc == -ENOTRECOVERABLE)
		ret_way->outcome = WAY_STUCK;
	else if (via != VIA_PRELOAD && (!ret_way->preload || via == VIA_BOTH || job->strict))
		ret_way->outcome = WAY_UNSUPERVISED;
	else if (supervise_holds()) {
		rc = supervise_keep(&ret_way->obstacle);
		ret_way->outcome = rc ? WAY_UNKEPT : WAY_FENCED;
	}
}

/* What is held for the tree has to last as long as it does, or it must not run. */
static int cannot_hold(const struct job *job, const struct way *way)
{
	const struct obstacle *obstacle = &way->obstacle;

	if (job->fresh)
		return say_failure("the state of '%s' would not last as long as it runs: %s; run "
				   "it without '--fresh'",
				   job->command, obstacle->why);
	if (job->leased)
		return say_failure("the lease of '%s' would not last as long as it runs: %s; run "
				   "it without a lease, with '--range'",
				   job->command, obstacle->why);
	return say_failure("the lease of the ports that the map of '%s' keeps would not last as "
			   "long as it runs: %s; write the map without '?'",
			   job->command, obstacle->why);
}

/* Return: 0 if the command is fenced, or say_status() after the problem was reported */
static int say_unfenced(const struct job *job, const struct way *way)
{
	const struct obstacle *obstacle = &way->obstacle;
	const char *remedy = job->target->remedy, *comma = *obstacle->remedy ? ", or " : "";

	switch (way->outcome) {
	case WAY_UNREACHED:
		return say_failure("%s; use '--via supervise', or %s", job->unreached, remedy);
	case WAY_UNSUPERVISED:
		if (!job->unreached)
			return say_failure("'%s' cannot be supervised: %s; %s%s%s", job->command,
					   obstacle->why, obstacle->remedy, comma,
					   "go without a supervisor with '--via preload'");
		return say_failure("%s, and it cannot be supervised: %s; %s%s%s", job->unreached,
				   obstacle->why, obstacle->remedy, comma, remedy);
	case WAY_UNKEPT:
		return cannot_hold(job, way);
	case WAY_STUCK:
		return say_failure("%s", obstacle->why);
	default:
		return 0;
	}
}

/* What was not asked for, and leaves the range, is said once. */
static void warn_of_obstacle(const struct job *job, const struct obstacle *obstacle)
{
	char text[PATH_MAX + sizeof(*obstacle) + 128];

	snprintf(
		text, sizeof(text),
		"the library alone fences '%s', so its DNS queries, static programs and raw system "
		"calls take %s: %s%s%s",
		job->command, obstacle_bypass(obstacle), obstacle->why,
		*obstacle->remedy ? "; " : "", obstacle->remedy);
	say_warning(NULL, text);
}

/* What was asked for is no news to the log. */
static void report_way(const struct job *job, const struct way *way,
		       const struct settings *settings)
{
	struct log log = { .application = settings->rule->name };
	char text[PATH_MAX + sizeof(struct reason) + sizeof(way->loose) + 128];
	const char *by = supervise_is_inside() ? "preload and the outer run's supervisor"
					       : "preload and supervisor",
		   *why = "";
	const struct rule *rule = settings->rule;
	int len;

	if (job->via == VIA_PRELOAD) {
		by = "preload, as asked for";
	} else if (!way->supervisor) {
		by = "preload alone: ";
		why = way->obstacle.why;
	} else if (!way->preload) {
		by = job->unreached ? "a supervisor alone: " : "a supervisor, as asked for";
		why = job->unreached ? job->unreached : "";
	}
	len = snprintf(text, sizeof(text), "'%s' is fenced by %s%s", job->command, by, why);
	if (bind_rules_wanted(rule) && len > 0 && (size_t)len < sizeof(text))
		snprintf(text + len, sizeof(text) - (size_t)len, "; the kernel %s 'bind = %s'%s%s",
			 way->enforced ? "enforces" : "does not enforce",
			 policy_bind_names[rule->bind], way->enforced ? " for tcp" : ", as ",
			 way->loose);
	if (job->verbose)
		fprintf(stderr, "portfence: %s\n", text);
	log_start(&log, settings->log);
	if (job->via == VIA_AUTO)
		log_say(&log, "info", text);
}

/* Lets the kernel itself hold what the rule says of ports that programs name. */
static void enforce_bind(const struct rule *rule, struct way *way)
{
	if (!way->supervisor || supervise_is_inside())
		snprintf(way->loose, sizeof(way->loose), "%s", BIND_RULES_NO_SUPERVISOR);
	else if (bind_rules_wanted(rule))
		way->enforced = bind_rules_set(rule, way->loose, sizeof(way->loose));
}

static void keep_inherited(int fd, void *fence)
{
	assign_keep_port(fence, fd);
}

/* What the program inherits has its port from outside. */
static void mark_inherited(const struct rule *rule)
{
	static const struct socket_calls calls = { .getsockname = getsockname,
						   .getsockopt = getsockopt,
						   .setsockopt = setsockopt };
	struct fence fence = { .calls = &calls, .rule = rule };

	newsocket_inherited(keep_inherited, &fence);
}

static int fence(const struct job *job, const char *library, struct settings *settings)
{
	struct way way;
	int rc;

	mark_inherited(settings->rule);
	try_ways(job, settings, &way);
	rc = say_unfenced(job, &way);
	if (!rc)
		enforce_bind(settings->rule, &way);
	if (!rc)
		rc = launch_environment(settings, library, way.preload);
	if (!rc)
		rc = launch_rule(settings);
	if (!rc)
		report_way(job, &way, settings);
	if (!rc && !way.supervisor && job->via != VIA_PRELOAD && !job->quiet)
		warn_of_obstacle(job, &way.obstacle);
	return rc;
}

static int launch_own_options(const struct option_values *given)
{
	const char *value[LAUNCH_OPTIONS];

	memcpy(value, given->value, sizeof(value));
	if (given->value[OPTION_LEASE] || given->value[OPTION_NAME])
		value[LAUNCH_RANGE] = UNKNOWN_YET;
	return launch_options(value, given->value[OPTION_APP]);
}

/* `--via supervise` preloads nothing, so a command that was copied alone will do. */
static int find_library(const char *via_text, char ret_path[PATH_MAX])
{
	enum via via;
	int rc = launch_via(via_text, NULL, &via);

	if (rc || via != VIA_SUPERVISE)
		return rc ? rc : launch_library(ret_path);
	library_find(ret_path);
	return 0;
}

static int run(const struct option_values *given)
{
	struct settings settings = { .rule = NULL };
	struct arena arena = { 0 };
	static struct target target; /* the stack may be small (setrlimit(2)) */
	char library[PATH_MAX], **command = given->operand;
	struct reason unreached, why;
	struct job job = { .command = command[0], .target = &target };
	int rc, reached;

	if (!command[0])
		return option_wrong(&verb_run, "there is no command to run");
	if ((given->value[OPTION_LEASE] || given->value[OPTION_NAME]) && given->value[LAUNCH_RANGE])
		return option_wrong(&verb_run, "'--%s' takes the place of '--range', give only one",
				    given->value[OPTION_LEASE] ? "lease" : "name");
	rc = launch_own_options(given);
	if (!rc && given->value[OPTION_RECORD])
		rc = launch_record(given->value[OPTION_RECORD]);
	if (rc)
		return rc;
	rc = find_library(given->value[OPTION_VIA], library);
	if (rc)
		return rc;
	rc = target_find(command[0], &target);
	if (rc)
		return cannot_run(command[0], -rc);
	reached = target_check(&target, library, &unreached);
	/* what we may not read we may still execute, but nobody can say that it will be fenced */
	if (reached && !*target.remedy)
		return say_failure("%s", unreached.text);
	rc = find_rule(given, &target, &arena, &settings, &job.leased);
	if (!rc)
		rc = launch_via(given->value[OPTION_VIA], settings.rule, &job.via);
	if (!rc && given->value[OPTION_FRESH])
		rc = run_fresh_start(&settings, &arena);
	if (rc)
		return rc;
	settings.verbose = given->value[OPTION_VERBOSE];
	launch_warn(&settings, library);
	warn_of_broker(command[0]);
	if (reached || job.via == VIA_SUPERVISE)
		warn_of_resolver(settings.rule, command[0]);
	if (given->value[OPTION_RECORD])
		rc = empty_record(&settings.record);
	if (rc)
		return rc;
	if (!logfile_writable(settings.log, &why))
		say_warning(NULL, why.text);
	job.unreached = reached ? unreached.text : NULL;
	job.strict = given->value[OPTION_STRICT];
	job.quiet = given->value[OPTION_QUIET] || settings.policy.no_warning;
	job.verbose = given->value[OPTION_VERBOSE];
	job.fresh = given->value[OPTION_FRESH];
	rc = fence(&job, library, &settings);
	if (rc)
		return rc;
	execvp(command[0], command);
	return cannot_run(command[0], errno);
}
