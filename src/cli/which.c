#include "../core/assign.h"
#include "../machine/target.h"
#include "../supervisor/bind_rules.h"
#include "../supervisor/supervise.h"
#include "engine_choice.h"
#include "launch.h"
#include "say.h"
#include "section_ranges.h"
#include "verbs.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_APP = LAUNCH_OPTIONS, OPTION_VIA, OPTION_JSON };

static const struct option_entry options[] = {
	LAUNCH_OPTION_ENTRIES,
	[OPTION_APP] = LAUNCH_OPTION_ENTRY_APP,
	[OPTION_VIA] = LAUNCH_OPTION_ENTRY_VIA,
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	{ .name = NULL },
};

static int which(const struct option_values *given);

const struct verb verb_which = {
	.name = "which",
	.summary = "tell what a command would get, and why",
	.usage = "[--] COMMAND [ARGUMENT]...",
	.about =
		"Tells which section COMMAND falls under and why; its range, order and engine; "
		"whether the library can be preloaded into it, and what to do if not; and in which "
		"way it would be fenced. Nothing is run. It takes those options of 'portfence run' "
		"that select the rule, and reads the same variables, so the answer is true of that "
		"run.",
	.options = options,
	.operands = OPERANDS_ANY,
	.operands_end_options = true,
	.status = "0 if COMMAND would be fenced, 1 if not, 2 if it is called wrongly",
	.example = "portfence which curl\n"
		   "portfence which --app erp -- java -jar /opt/erp/erp.jar\n",
	.function = which,
};

/* What is known of one command. */
struct answer {
	const char *command;
	struct target target;
	struct settings settings;
	struct arena arena;
	char section[3 * PATH_MAX]; /* why this section, or why none: what follows "as" */
	struct reason preload;      /* why no library reaches it, or "" */
	enum via via;               /* as asked for */
	struct obstacle obstacle;   /* why nobody can supervise it; empty if somebody can */
	bool unserved;              /* its engine serves not all of its calls */
};

/* ---- why this section ---- */

/* The first glob of a list that fits. Return: false if none does */
static bool find_glob(const char *match, const char *args, const struct policy_process *process,
		      char ret_glob[POLICY_GLOB_MAX])
{
	const char *list = match ? match : args;

	while (policy_next_glob(&list, ret_glob)) {
		const struct rule one = {
			.name = "",
			.match = match ? ret_glob : NULL,
			.args = match ? NULL : ret_glob,
		};

		if (policy_match(&one, process))
			return true;
	}
	return false;
}

static void explain_match(const struct rule *rule, const struct policy_process *process,
			  char *ret_why, size_t size)
{
	const struct policy_process started = { .exe = process->started_as };
	static char glob[POLICY_GLOB_MAX],
		args[POLICY_GLOB_MAX + 64]; /* the stack may be small (setrlimit(2)) */
	const struct rule one = { .name = "", .match = glob };
	const char *fits;
	bool is_path;

	*args = '\0';
	if (rule->args && find_glob(NULL, rule->args, process, glob))
		snprintf(args, sizeof(args), "its command line fits 'args = %s'", glob);
	if (!rule->match || !find_glob(rule->match, NULL, process, glob)) {
		if (*args)
			snprintf(ret_why, size, "%s", args);
		else
			snprintf(ret_why, size, "its name is '%s'", rule->name);
		return;
	}
	is_path = strchr(glob, '/');
	fits = policy_match(&one, &started) ? process->started_as : process->exe;
	snprintf(ret_why, size, "its %s '%s' fits 'match = %s'%s%s", is_path ? "path" : "name",
		 is_path ? fits : policy_base_name(fits), glob, *args ? " and " : "", args);
}

static void explain_section(const struct option_values *given, const struct policy_process *process,
			    struct answer *answer)
{
	const struct settings *settings = &answer->settings;
	const char *app = variables_get(VARIABLE_APP);
	char *why = answer->section;
	const size_t size = sizeof(answer->section);

	if (!settings->rule && !settings->policy.file)
		snprintf(why, size, "there is no configuration file");
	else if (!settings->rule)
		snprintf(why, size, "no section of %s fits it, and there is no [*]",
			 settings->policy.file);
	else if (!settings->rule->line)
		snprintf(why, size, "%s gives its range",
			 given->value[LAUNCH_RANGE] ? "'--range'" : variables_name(VARIABLE_RANGE));
	else if (app)
		snprintf(why, size, "%s names it",
			 given->value[OPTION_APP] ? "'--app'" : variables_name(VARIABLE_APP));
	else if (!strcmp(settings->rule->name, "*") && !policy_match(settings->rule, process))
		snprintf(why, size, "no other section of %s fits it", settings->policy.file);
	else
		explain_match(settings->rule, process, why, size);
}

/* ---- text ---- */

static bool is_preloaded(const struct answer *answer)
{
	return !*answer->preload.text && answer->via != VIA_SUPERVISE;
}

/* What no preload reaches for other reasons than what it is, `run` does not start. */
static bool is_supervised(const struct answer *answer)
{
	return !*answer->obstacle.why && answer->via != VIA_PRELOAD &&
	       (!*answer->preload.text || *answer->target.remedy);
}

static bool is_reached(const struct answer *answer)
{
	if (answer->via == VIA_BOTH)
		return is_supervised(answer);
	return is_preloaded(answer) || is_supervised(answer);
}

/* The way that `run` would take, NULL for none */
static const char *via_name(const struct answer *answer)
{
	if (!is_reached(answer))
		return NULL;
	if (!is_supervised(answer))
		return policy_via_names[VIA_PRELOAD];
	return policy_via_names[is_preloaded(answer) ? VIA_BOTH : VIA_SUPERVISE];
}

static bool is_fenced(const struct answer *answer)
{
	return answer->settings.rule && is_reached(answer) && !answer->unserved;
}

static const char *colour(const char *code)
{
	return say_in_colour(stdout) ? code : "";
}

static void print_head(const char *name)
{
	printf("  %s%-8s%s ", colour(SAY_BOLD), name, colour(SAY_PLAIN));
}

static void print_headline(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;

	printf("'%s' ", answer->command);
	if (!rule)
		printf("%sfalls under no section and is left alone%s\n", colour(SAY_YELLOW),
		       colour(SAY_PLAIN));
	else if (!is_reached(answer))
		printf("falls under [%s], but %scannot be fenced%s\n", rule->name, colour(SAY_RED),
		       colour(SAY_PLAIN));
	else if (answer->unserved)
		printf("falls under [%s], but %swould get no ports%s\n", rule->name,
		       colour(SAY_RED), colour(SAY_PLAIN));
	else
		printf("falls under [%s], and a %s it\n", rule->name,
		       is_preloaded(answer) ? "preload reaches" : "supervisor fences");
}

static void print_program(const struct answer *answer)
{
	const struct target *target = &answer->target;

	print_head("program");
	if (!*target->exe)
		printf("%s\n", target->path);
	else if (*target->script)
		printf("%s, which runs the script %s\n", target->exe, target->path);
	else if (strcmp(target->exe, target->path))
		printf("%s, started as %s\n", target->exe, target->path);
	else
		printf("%s\n", target->exe);
}

static void print_section(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;

	print_head("section");
	if (!rule)
		printf("none, as %s; add one, or use --app or --range\n", answer->section);
	else if (!rule->line)
		printf("[%s], not from a file, as %s\n", rule->name, answer->section);
	else
		printf("[%s] in %s:%u, as %s\n", rule->name,
		       policy_file(&answer->settings.policy, rule), rule->line, answer->section);
}

static void print_lease(const struct rule *rule)
{
	char pool[SECTION_RANGES_TEXT];

	range_format(rule->range[PROTO_TCP], pool, sizeof(pool));
	print_head("range");
	printf("a lease of %u port%s out of %s, another for each run\n", rule->lease,
	       say_plural(rule->lease), pool);
}

static void print_ranges(const struct rule *rule)
{
	struct section_range entry[PROTO_COUNT];
	size_t i, count = section_ranges_of(rule, entry);
	int proto;

	if (rule->lease) {
		print_lease(rule);
		return;
	}

	for (i = 0; i < count; i++) {
		char range[SECTION_RANGES_TEXT];
		const char *before = "";

		print_head(i ? "" : "range");
		for (proto = 0; count > 1 && proto < PROTO_COUNT; proto++) {
			if (!(entry[i].protos & 1U << proto))
				continue;
			printf("%s%s", before, policy_proto_name((enum proto)proto));
			before = ", ";
		}
		range_format(entry[i].range, range, sizeof(range));
		printf("%s%s (%u port%s)\n", count > 1 ? ": " : "", range, entry[i].range->count,
		       say_plural(entry[i].range->count));
	}
}

static void print_map(const struct rule *rule)
{
	struct portmap map;

	if (!section_ranges_map(rule, &map))
		return;
	print_head("map");
	section_ranges_print_map(&map, stdout);
}

/* Would the kernel itself enforce `bind`? @ret_why is set if not. */
static bool is_bind_enforced(const struct answer *answer, char *ret_why, size_t size)
{
	if (is_supervised(answer))
		return bind_rules_suit(answer->settings.rule, ret_why, size);
	snprintf(ret_why, size, "%s", BIND_RULES_NO_SUPERVISOR);
	return false;
}

static void print_bind(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;
	char why[256];

	if (!bind_rules_wanted(rule))
		return;
	print_head("bind");
	if (is_bind_enforced(answer, why, sizeof(why)))
		printf("%s: kernel-enforced for tcp\n", policy_bind_names[rule->bind]);
	else
		printf("%s: not kernel-enforced, as %s\n", policy_bind_names[rule->bind], why);
}

/* The order in which a call's ports are tried. */
static const char *order_of(const struct rule *rule, enum engine_choice_call call,
			    enum engine engine)
{
	if (engine != ENGINE_BIND)
		return "the kernel's own";
	return order_name(assign_order(rule, call == ENGINE_CHOICE_CONNECT));
}

static void print_order(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;
	struct engine_choice connect, other;
	const char *first, *second;

	engine_choice_make(rule, ENGINE_CHOICE_CONNECT, &connect);
	engine_choice_make(rule, ENGINE_CHOICE_TCP, &other);
	if (is_supervised(answer) && !is_preloaded(answer))
		connect.engine = other.engine = ENGINE_BIND;
	first = order_of(rule, ENGINE_CHOICE_CONNECT, connect.engine);
	second = order_of(rule, ENGINE_CHOICE_TCP, other.engine);
	print_head("order");
	if (strcmp(first, second))
		printf("%s for tcp connects, %s for other calls", first, second);
	else
		printf("%s", first);
	if (rule->seeded)
		printf(", seed %llu", (unsigned long long)rule->seed);
	putchar('\n');
}

static void print_engine(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;
	char text[ENGINE_CHOICE_TEXT];
	struct engine_choice choice;
	enum proto proto;

	print_head("engine");
	if (!answer->unserved && !is_preloaded(answer) && is_supervised(answer)) {
		puts("every call gets the bind engine, as a supervisor has no other");
		return;
	}
	if (!answer->unserved) {
		engine_choice_describe(rule, text);
		puts(text);
		return;
	}
	if (engine_choice_unserved(rule, ~0U, &proto, &choice))
		printf("'engine = kernel' cannot serve %s: %s; use 'engine = auto'\n",
		       policy_proto_name(proto), choice.why.text);
}

static void print_mptcp(const struct answer *answer)
{
	char text[ENGINE_CHOICE_TEXT];

	engine_choice_mptcp(answer->settings.rule, text);
	print_head("mptcp");
	puts(text);
}

static void print_preload(const struct answer *answer)
{
	const struct target *target = &answer->target;
	const char *libc = target_libc(target);

	print_head("preload");
	if (*answer->preload.text) {
		printf("does not reach it: %s", answer->preload.text);
		if (*target->remedy && answer->via == VIA_PRELOAD)
			printf("; use '--via supervise', or %s", target->remedy);
		else if (*target->remedy && *answer->obstacle.why)
			printf(", and it cannot be supervised: %s; %s%s%s", answer->obstacle.why,
			       answer->obstacle.remedy, *answer->obstacle.remedy ? ", or " : "",
			       target->remedy);
		putchar('\n');
		return;
	}
	printf("reaches it: %d-bit, dynamically linked with %s (%s)\n", target->bits,
	       libc ? libc : "an unknown C library", target->linker);
	if (target->gain) {
		print_head("");
		printf("for you, but not for other users: %s\n", target->gain);
	}
	if (!strcmp(policy_base_name(target->exe), "env")) {
		print_head("");
		puts("env starts another program, so ask for that one as well");
	}
}

static void print_via(const struct answer *answer)
{
	if (!is_reached(answer))
		return;
	print_head("via");
	if (is_preloaded(answer) && is_supervised(answer))
		puts("both: what bypasses the preload is left to a supervisor");
	else if (is_supervised(answer))
		puts("supervise: a supervisor fences every call");
	else if (answer->via == VIA_PRELOAD)
		puts("preload: what bypasses it is not fenced");
	else
		printf("preload: what bypasses it is not fenced, as %s%s%s\n", answer->obstacle.why,
		       *answer->obstacle.remedy ? "; " : "", answer->obstacle.remedy);
}

static void print_text(const struct answer *answer)
{
	print_headline(answer);
	print_program(answer);
	print_section(answer);
	if (answer->settings.rule) {
		print_ranges(answer->settings.rule);
		print_map(answer->settings.rule);
		print_bind(answer);
		print_order(answer);
		print_engine(answer);
		print_mptcp(answer);
	}
	print_preload(answer);
	if (answer->settings.rule)
		print_via(answer);
}

/* ---- JSON ---- */

static json_t *describe_calls(const struct rule *rule)
{
	json_t *object = json_object();
	int call;

	for (call = 0; call < ENGINE_CHOICE_CALLS; call++) {
		const enum proto proto = engine_choice_proto((enum engine_choice_call)call);
		char *range = section_ranges_list(rule->range[proto]);
		struct engine_choice choice;

		engine_choice_make(rule, (enum engine_choice_call)call, &choice);
		json_object_set_new(
			object, engine_choice_call_name((enum engine_choice_call)call),
			json_pack("{s:s, s:i, s:s, s:s, s:s}", "range", range ? range : "", "ports",
				  (int)rule->range[proto]->count, "order",
				  order_of(rule, (enum engine_choice_call)call, choice.engine),
				  "engine", policy_engine_name(choice.engine), "why",
				  choice.why.text));
		free(range);
	}
	return object;
}

static json_t *describe_bind(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;
	char why[256] = "";
	bool enforced = bind_rules_wanted(rule) && is_bind_enforced(answer, why, sizeof(why));

	return json_pack("{s:s, s:b, s:s?}", "policy", policy_bind_names[rule->bind],
			 "kernel_enforced", enforced, "obstacle", *why ? why : NULL);
}

static json_t *describe_section(const struct answer *answer)
{
	const struct rule *rule = answer->settings.rule;
	const char *file = rule ? policy_file(&answer->settings.policy, rule) : NULL;
	char seed[32] = "", text[ENGINE_CHOICE_TEXT];

	if (!rule)
		return json_null();
	/* a text, as not every reader's numbers go that far */
	if (rule->seeded)
		snprintf(seed, sizeof(seed), "%llu", (unsigned long long)rule->seed);
	return json_pack("{s:o, s:o, s:o, s:s?, s:o, s:o, s:o, s:s, s:o}", "name",
			 say_json(rule->name), "file", say_json(rule->line ? file : NULL), "line",
			 rule->line ? json_integer(rule->line) : json_null(), "seed",
			 *seed ? seed : NULL, "map", section_ranges_json_map(rule), "lease",
			 rule->lease ? json_integer(rule->lease) : json_null(), "bind",
			 describe_bind(answer), "mptcp",
			 engine_choice_mptcp(rule, text) ? "kept" : policy_mptcp_names[rule->mptcp],
			 "calls", describe_calls(rule));
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static int print_json(const struct answer *answer)
{
	const struct target *target = &answer->target;
	json_t *object = json_pack(
		"{s:o, s:b, s:s?, s:o, s:o, s:o, s:b, s:o, s:o, s:b, s:o, s:o, s:s?, s:s?}",
		"command", say_json(answer->command), "fenced", is_fenced(answer), "via",
		answer->settings.rule ? via_name(answer) : NULL, "section",
		describe_section(answer), "why", say_json(answer->section), "path",
		say_json(target->path), "script", *target->script != '\0', "executable",
		say_json(or_null(target->exe)), "bits",
		target->bits ? json_integer(target->bits) : json_null(), "preload",
		!*answer->preload.text, "obstacle", say_json(or_null(answer->preload.text)),
		"linker", say_json(or_null(target->linker)), "libc", target_libc(target),
		"gains_rights", target->gain);

	return say_object(stdout, object, JSON_INDENT(2));
}

/* ---- the verb ---- */

static int find_answer(const struct option_values *given, struct answer *answer)
{
	struct policy_process process;
	char library[PATH_MAX];
	struct engine_choice choice;
	enum proto proto;
	int rc;

	rc = launch_options(given->value, given->value[OPTION_APP]);
	if (rc)
		return rc;
	rc = launch_library(library);
	if (rc)
		return rc;
	answer->command = given->operand[0];
	rc = target_find(answer->command, &answer->target);
	if (rc)
		return say_failure("'%s' cannot be run: %s", answer->command, strerror(-rc));
	target_check(&answer->target, library, &answer->preload);
	rc = target_describe(&answer->target, given->operand, &answer->arena, &process);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (launch_read(&process, &answer->arena, &answer->settings))
		return say_status();
	rc = launch_via(given->value[OPTION_VIA], answer->settings.rule, &answer->via);
	if (rc)
		return rc;
	if (answer->via != VIA_PRELOAD)
		supervise_check(is_preloaded(answer) ? supervise_gate() : 0,
				answer->via == VIA_AUTO && !*answer->preload.text &&
					answer->settings.rule && answer->settings.rule->map,
				&answer->obstacle);
	explain_section(given, &process, answer);
	answer->unserved = answer->settings.rule &&
			   engine_choice_unserved(answer->settings.rule, ~0U, &proto, &choice);
	return 0;
}

static int which(const struct option_values *given)
{
	static struct answer answer; /* the stack may be small (setrlimit(2)) */
	int rc;

	if (!given->operand[0])
		return option_wrong(&verb_which, "there is no command to look at");
	rc = find_answer(given, &answer);
	if (!rc && given->value[OPTION_JSON])
		rc = print_json(&answer);
	else if (!rc)
		print_text(&answer);
	if (!rc && !is_fenced(&answer))
		rc = EXIT_FAILURE;
	arena_free(&answer.arena);
	return rc;
}
