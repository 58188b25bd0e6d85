#include "../core/pool.h"
#include "../core/settings.h"
#include "../machine/lease.h"
#include "../machine/library.h"
#include "../machine/logfile.h"
#include "../machine/programs.h"
#include "../machine/trust.h"
#include "../supervisor/supervise.h"
#include "check_findings.h"
#include "check_indexes.h"
#include "check_ranges.h"
#include "check_sockets.h"
#include "engine_choice.h"
#include "pool_clashes.h"
#include "say.h"
#include "section_ranges.h"
#include "sections.h"
#include "verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTION_CONFIG, OPTION_STRICT, OPTION_ALL_INDEXES, OPTION_JSON };

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_STRICT] = { .name = "strict", .help = "treat warnings as failures" },
	[OPTION_ALL_INDEXES] = { .name = "all-indexes",
				 .help = "also compare the slices that all hosts have, those of "
					 "[hosts], or of all indexes that fit" },
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	{ .name = NULL },
};

static int check(const struct option_values *given);

const struct verb verb_check = {
	.name = "check",
	.summary = "tell what is wrong or doubtful in a configuration",
	.usage = "[FILE]",
	.about =
		"Reads FILE with its drop-ins, each '*.ini' of a folder, or the configuration "
		"that programs would find, as the library does, and reports each mistake with its"
		" line. If there is none, it compares the ranges with each other and with this "
		"machine. It reports ports that two sections share, that the system may give to "
		"other programs (with the command that reserves them), that are reserved for "
		"others, that have a name in /etc/services, that a program listens "
		"on, or that not every program may bind to; and ranges with fewer ports than sockets "
		"in use. It also reports which engine each section gets and why, a 'match' that no "
		"program fits, and which users could replace FILE or the library. An error keeps "
		"programs from getting ports. A warning may be a mistake. A note is for your "
		"information.",
	.options = options,
	.operands = 1,
	.status =
		"0; 1 if there is an error, or with --strict a warning, 2 if it is called wrongly",
	.example = "portfence check\n"
		   "portfence check --strict conf/portfence.ini\n",
	.function = check,
};

struct report {
	const char *file;
	struct sections sections;
	struct check_findings findings;
	char *sysctl;
};

static void note_error(void *context, const char *file, unsigned line, const char *problem)
{
	struct report *report = context;

	report->file = file;
	check_findings_add(&report->findings, SAY_ERROR, line, "syntax", NULL, "%s", problem);
	if (!report->findings.no_memory)
		report->findings.entry[report->findings.count - 1].file = file;
}

/* ---- engines ---- */

static void find_useless_engine(const struct rule *rule, struct check_findings *findings)
{
	struct section_range entry[PROTO_COUNT];
	size_t i, count = section_ranges_of(rule, entry), useless = 0;
	char text[ENGINE_CHOICE_TEXT];
	struct engine_choice choice;
	enum proto proto;

	for (i = 0; i < count; i++) {
		if (!engine_choice_unserved(rule, entry[i].protos, &proto, &choice))
			continue;
		useless++;
		check_findings_add(
			findings, SAY_ERROR, entry[i].line, "engine", rule->name,
			"'engine = kernel' cannot serve '%s' of [%s]: %s; use 'engine = auto'",
			entry[i].key, rule->name, choice.why.text);
	}
	if (useless)
		return;
	engine_choice_describe(rule, text);
	check_findings_add(findings, SAY_NOTE, rule->line, "engine", rule->name, "[%s]: %s",
			   rule->name, text);
}

static void find_mptcp(const struct rule *rule, struct check_findings *findings)
{
	char text[ENGINE_CHOICE_TEXT];

	if (!engine_choice_mptcp(rule, text))
		check_findings_add(findings, rule->mptcp == MPTCP_ALLOW ? SAY_WARNING : SAY_NOTE,
				   rule->line, "mptcp", rule->name, "[%s]: %s", rule->name, text);
}

/* ---- leases ---- */

static void note_lease(const struct rule *rule, struct check_findings *findings)
{
	char pool[SECTION_RANGES_TEXT];

	if (!rule->lease)
		return;
	range_format(rule->range[PROTO_TCP], pool, sizeof(pool));
	check_findings_add(
		findings, SAY_NOTE, rule->range_line[PROTO_COUNT], "lease", rule->name,
		"[%s]: each 'portfence run' takes %u port%s out of %s for itself; a program that is "
		"started in any other way gets no port",
		rule->name, rule->lease, say_plural(rule->lease), pool);
}

static void try_lease_file(const struct policy *policy, struct check_findings *findings)
{
	const struct settings settings = { .policy = *policy };
	struct reason why;
	struct stat st;
	int fd = policy->lease_file ? lease_open(&settings, true, &why) : -ENOENT;

	if (policy->lease_file && fd < 0)
		check_findings_add(findings, SAY_ERROR, 0, "lease", NULL, "%s", why.text);
	if (fd < 0)
		return;
	/* a lock for reading takes a file that is open to read (fcntl(2)), and no lease goes beside it */
	if (!fstat(fd, &st) && st.st_mode & 0044 & ~(st.st_mode << 1))
		check_findings_add(
			findings, SAY_WARNING, 0, "lease", NULL,
			"the lease file '%s' may be read by users who may not write to it: they get no "
			"lease, but any of them can keep all others from one; 'chmod 600' or 'chmod 666' "
			"mends it",
			policy->lease_file);
	close(fd);
}

static void note_clash(void *context, const char *text)
{
	check_findings_add(context, SAY_WARNING, 0, "pool", NULL, "%s", text);
}

/* Nothing is said of a pool that the file does not use. */
static void find_pool_clashes(const struct sections *sections, struct check_findings *findings)
{
	struct arena arena = { 0 };
	const struct range *pool;
	bool used = sections->policy.pool;
	size_t i;

	for (i = 0; i < sections->count; i++)
		used |= sections->rule[i]->lease != 0;
	if (used && !pool_find(&sections->policy, &arena, &pool))
		pool_clashes_find(pool, note_clash, findings);
	arena_free(&arena);
}

/* ---- programs ---- */

static void find_programs(const struct rule *rule, struct check_findings *findings)
{
	static char text[2 * POLICY_GLOB_MAX]; /* the stack may be small (setrlimit(2)) */
	int rc = programs_find(rule, text, sizeof(text));

	if (rc <= 0)
		check_findings_add(findings, rc || !rule->match ? SAY_NOTE : SAY_WARNING,
				   rule->match ? rule->match_line : rule->line, "match", rule->name,
				   "%s", text);
}

/* ---- the log ---- */

static void try_log(const char *log, struct check_findings *findings)
{
	struct reason why;

	if (!logfile_writable(log, &why))
		check_findings_add(findings, SAY_WARNING, 0, "log", NULL, "%s", why.text);
}

/* ---- the supervisor ---- */

/* The section asks for a supervisor: with a library beside it, or not. */
static void find_refusal(const struct rule *rule, struct check_findings *findings)
{
	struct obstacle obstacle;

	if (supervise_check(rule->via == VIA_BOTH ? supervise_gate() : 0, false, &obstacle))
		check_findings_add(findings, SAY_ERROR, rule->line, "supervisor", rule->name,
				   "[%s] has 'via = %s', and cannot be supervised here: %s%s%s",
				   rule->name, policy_via_names[rule->via], obstacle.why,
				   *obstacle.remedy ? "; " : "", obstacle.remedy);
}

/* What `run` would say, or refuse, for want of a supervisor on this machine */
static void find_obstacles(const struct sections *sections, struct check_findings *findings)
{
	struct obstacle obstacle;
	bool automatic = false;
	size_t i;

	for (i = 0; i < sections->count; i++) {
		automatic |= sections->rule[i]->via == VIA_AUTO;
		if (sections->rule[i]->via == VIA_BOTH || sections->rule[i]->via == VIA_SUPERVISE)
			find_refusal(sections->rule[i], findings);
	}
	if (automatic && supervise_check(supervise_gate(), false, &obstacle))
		check_findings_add(
			findings, sections->policy.no_warning ? SAY_NOTE : SAY_WARNING, 0,
			"supervisor", NULL,
			"the library alone fences what is run here, so DNS queries, static "
			"programs and raw system calls take %s: %s%s%s",
			obstacle_bypass(&obstacle), obstacle.why, *obstacle.remedy ? "; " : "",
			obstacle.remedy);
}

/* ---- files ---- */

/* @file: what it is told of, NULL for the configuration as a whole */
static void find_file_rights(const char *what, const char *path, const char *file,
			     struct check_findings *findings)
{
	static char text[3 * PATH_MAX]; /* the stack may be small (setrlimit(2)) */

	if (!trust_doubt(what, path, text, sizeof(text)))
		return;
	check_findings_add(findings, SAY_WARNING, 0, "rights", NULL, "%s", text);
	if (!findings->no_memory)
		findings->entry[findings->count - 1].file = file;
}

/* ---- the verb ---- */

static void find_all(struct report *report)
{
	const struct sections *sections = &report->sections;
	char library[PATH_MAX];
	struct section_range *entry;
	size_t i, count;

	entry = section_ranges_of_all(sections->rule, sections->count, &count);
	if (!entry) {
		report->findings.no_memory = true;
		return;
	}
	for (i = 0; i < sections->count; i++) {
		find_useless_engine(sections->rule[i], &report->findings);
		find_mptcp(sections->rule[i], &report->findings);
		note_lease(sections->rule[i], &report->findings);
		find_programs(sections->rule[i], &report->findings);
	}
	try_lease_file(&sections->policy, &report->findings);
	find_pool_clashes(sections, &report->findings);
	try_log(sections->policy.log, &report->findings);
	find_obstacles(sections, &report->findings);
	for (i = 0; sections->policy.files[i]; i++)
		find_file_rights("this file", sections->policy.files[i], sections->policy.files[i],
				 &report->findings);
	if (!library_find(library))
		find_file_rights("the library", library, NULL, &report->findings);
	check_ranges_find(entry, count, &report->findings, &report->sysctl);
	check_sockets_find(entry, count, &report->findings);
	free(entry);
}

static int print_json(const struct report *report)
{
	const size_t *of_level = report->findings.of_level;

	return say_object(stdout,
			  json_pack("{s:o, s:I, s:I, s:I, s:o, s:o}", "file",
				    say_json(report->file), "applications",
				    (json_int_t)report->sections.count, "errors",
				    (json_int_t)of_level[SAY_ERROR], "warnings",
				    (json_int_t)of_level[SAY_WARNING], "findings",
				    check_findings_describe(&report->findings), "sysctl",
				    say_json(report->sysctl)),
			  JSON_INDENT(2));
}

static void print_text(const struct report *report, bool whole)
{
	const size_t *of_level = report->findings.of_level;
	const size_t applications = report->sections.count;

	check_findings_print(&report->findings, report->file, stdout);
	if (whole)
		printf("%zu application%s, %zu error%s, %zu warning%s\n", applications,
		       say_plural(applications), of_level[SAY_ERROR],
		       say_plural(of_level[SAY_ERROR]), of_level[SAY_WARNING],
		       say_plural(of_level[SAY_WARNING]));
	else
		printf("%zu error%s; the rest is checked once there is none\n", of_level[SAY_ERROR],
		       say_plural(of_level[SAY_ERROR]));
}

/* Does what was found let the verb succeed? */
static bool is_fine(const struct check_findings *findings, bool strict)
{
	return !findings->of_level[SAY_ERROR] && !(strict && findings->of_level[SAY_WARNING]);
}

static int check_file(const struct option_values *given, struct report *report)
{
	const char *file = given->operand[0] ? given->operand[0] : given->value[OPTION_CONFIG];
	const bool all = given->value[OPTION_ALL_INDEXES];
	bool whole;
	int rc = all ? check_indexes_begin() : 0;

	rc = rc ? rc : sections_read(file, note_error, report, &report->sections);
	whole = !rc;
	if (!rc && !report->sections.policy.file)
		return say_failure("there is no configuration file; write %s, or name one",
				   SETTINGS_SYSTEM_FILE);
	if (report->sections.policy.file)
		report->file = report->sections.policy.file;
	if (whole)
		find_all(report);
	if (whole && all)
		check_indexes_find(file, &report->sections.policy, &report->findings);
	if (rc == -ENOMEM || report->findings.no_memory)
		return say_failure("%s", strerror(ENOMEM));
	check_findings_sort(&report->findings, &report->sections.policy);
	rc = 0;
	if (given->value[OPTION_JSON])
		rc = print_json(report);
	else
		print_text(report, whole);
	return rc || is_fine(&report->findings, given->value[OPTION_STRICT]) ? rc : EXIT_FAILURE;
}

static int check(const struct option_values *given)
{
	struct report report = { .file = NULL };
	int rc;

	if (given->operand[0] && !*given->operand[0])
		return option_wrong(&verb_check, "the file's name is empty");
	if (given->operand[0] && given->value[OPTION_CONFIG])
		return option_wrong(&verb_check, "'--config' names a file already, give only one");
	rc = check_file(given, &report);
	check_findings_free(&report.findings);
	sections_free(&report.sections);
	free(report.sysctl);
	return rc;
}
