#include "../machine/escapes.h"
#include "say.h"
#include "verbs.h"
#include "view.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTS_SHOWN 5

enum { EXIT_CLEAN = 0, EXIT_ESCAPE = 1, EXIT_FAILED = EXIT_USAGE };

enum { OPTION_CONFIG, OPTION_PID, OPTION_JSON };

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_PID] = { .name = "pid",
			 .argument = "PID",
			 .help = "look only at this process, and say why if it is not fenced" },
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	{ .name = NULL },
};

static int audit(const struct option_values *given);

const struct verb verb_audit = {
	.name = "audit",
	.summary = "tell whether anything has escaped from its range",
	.usage = "[APP]",
	.about =
		"Looks at the sockets of all fenced processes, or of those that are fenced by "
		"section [APP], and lists each socket whose local port lies outside the range. "
		"'escape': only the kernel can have chosen the port. 'explicit': the program named "
		"the port, which 'bind = allow' permits. 'inherited': a process that the range does "
		"not bind holds the same socket. 'fallback': 'exhausted = system' permits it. An "
		"accepted connection has its listener's port and is not listed. The kernel does not "
		"show from outside who chose a port. So with 'bind = allow', a port that the program "
		"named within the system's own range looks like an escape, unless the socket "
		"listens. Processes that are not fenced and use ports of a section's range are "
		"listed as well. A process is judged by the configuration as it is now, and by the "
		"variables that it was started with. Without root, only your own processes are shown.",
	.options = options,
	.operands = 1,
	.failure_status = EXIT_FAILED,
	.status = "0 if nothing has escaped, 1 if something has, 2 if it cannot be told",
	.example = "portfence audit\n"
		   "portfence audit --pid 4711\n",
	.function = audit,
};

/* ---- text ---- */

static void print_kind(const char *kind, const char *colour, bool in_colour)
{
	printf("%s%s:%s ", in_colour ? colour : "", kind, in_colour ? SAY_PLAIN : "");
}

/* "tcp 127.0.0.1:40000 -> 127.0.0.1:80 (ESTAB)" */
static void format_socket(const struct sockets_entry *entry, char *ret_text, size_t size)
{
	char local[SOCKETS_TEXT], remote[SOCKETS_TEXT];

	sockets_format(entry, false, local);
	sockets_format(entry, true, remote);
	snprintf(ret_text, size, "%s %s%s%s (%s)", sockets_protocol_name(entry), local,
		 entry->remote_port ? " -> " : "", entry->remote_port ? remote : "",
		 sockets_state_name(entry));
}

static void print_finding(const struct escapes_finding *finding, bool in_colour)
{
	const struct rule *rule = finding->fenced->rule;
	char socket[2 * SOCKETS_TEXT + 32], range[64];

	format_socket(finding->entry, socket, sizeof(socket));
	range_format(rule->range[sockets_proto(finding->entry)], range, sizeof(range));
	print_kind(port_origin_name(finding->origin),
		   finding->origin == PORT_ORIGIN_ESCAPE ? SAY_RED : SAY_BOLD, in_colour);
	printf("%s of %s (pid %d), outside %s of [%s]: ", socket, finding->process->name,
	       (int)finding->process->pid, range, rule->name);
	if (finding->other)
		printf("%s (pid %d) holds it as well, and its range is another\n",
		       finding->other->name, (int)finding->other->pid);
	else
		puts(finding->why);
}

/* One line for a process and a section. Return: how many ports it was */
static size_t print_unfenced(const struct view *view, const struct escapes_unfenced *first,
			     size_t left, bool in_colour)
{
	size_t i, count = 0;

	while (count < left && first[count].section == first->section &&
	       first[count].process == first->process)
		count++;
	print_kind("warning", SAY_MAGENTA, in_colour);
	printf("%s (pid %d) is not fenced and uses %zu port%s of [%s]:", first->process->name,
	       (int)first->process->pid, count, say_plural(count),
	       view->sections.rule[first->section]->name);
	for (i = 0; i < count && i < PORTS_SHOWN; i++)
		printf("%s %s %d", i ? "," : "", policy_proto_name(first[i].proto), first[i].port);
	puts(count > PORTS_SHOWN ? ", ..." : "");
	return count;
}

static void print_unknown(const struct escapes_unknown *unknown, bool in_colour)
{
	const struct process *process = &unknown->process;

	print_kind("warning", SAY_MAGENTA, in_colour);
	printf("%s (pid %d) is fenced, but ", process->name, (int)process->pid);
	if (unknown->broker)
		printf("%s (pid %d), which is not, may make its sockets\n", unknown->broker->name,
		       (int)unknown->broker->pid);
	else if (unknown->why)
		printf("its rule is unknown: %s\n", unknown->why);
	else
		printf("in another network namespace; look there: nsenter -t %d -n portfence audit\n",
		       (int)process->pid);
}

/* A process keeps to the configuration that it was started with. */
static void print_ages(const struct escapes *escapes, bool in_colour)
{
	const struct process *before = NULL;
	size_t i;

	for (i = 0; i < escapes->findings; i++) {
		const struct escapes_finding *finding = &escapes->finding[i];
		const char *file = finding->fenced->file;
		struct stat st;
		time_t since;

		if (finding->origin != PORT_ORIGIN_ESCAPE || finding->process == before)
			continue;
		before = finding->process;
		since = fenced_since(before->pid);
		if (!file || !since || stat(file, &st) || st.st_mtime <= since)
			continue;
		print_kind("note", SAY_CYAN, in_colour);
		printf("%s (pid %d) was started before '%s' was last changed, and still follows the old "
		       "version\n",
		       before->name, (int)before->pid, file);
	}
}

static void print_head(const struct escapes *escapes, bool in_colour)
{
	size_t count = escapes->count[PORT_ORIGIN_ESCAPE];

	if (count)
		printf("%s%zu escape%s%s", in_colour ? SAY_RED : "", count, say_plural(count),
		       in_colour ? SAY_PLAIN : "");
	else
		fputs("no escape", stdout);
	printf(" among %zu socket%s of %zu fenced process%s", escapes->sockets,
	       say_plural(escapes->sockets), escapes->processes,
	       escapes->processes == 1 ? "" : "es");
	if (escapes->findings > count)
		printf("; %zu outside the range for a reason", escapes->findings - count);
	putchar('\n');
}

static void print_text(const struct view *view, const struct escapes *escapes)
{
	bool in_colour = say_in_colour(stdout);
	size_t i;

	print_head(escapes, in_colour);
	for (i = 0; i < escapes->findings; i++)
		print_finding(&escapes->finding[i], in_colour);
	print_ages(escapes, in_colour);
	for (i = 0; i < escapes->unfenced_ports;)
		i += print_unfenced(view, &escapes->unfenced[i], escapes->unfenced_ports - i,
				    in_colour);
	for (i = 0; i < escapes->unknowns; i++)
		print_unknown(&escapes->unknown[i], in_colour);
	if (escapes->unseen) {
		print_kind("note", SAY_CYAN, in_colour);
		printf("%zu process%s cannot be looked at%s\n", escapes->unseen,
		       escapes->unseen == 1 ? "" : "es",
		       geteuid() ? "; root can look at other users' processes"
				 : ", not even by root");
	}
}

/* ---- JSON ---- */

static json_t *describe_process(const struct process *process)
{
	return json_pack("{s:i, s:s, s:I}", "pid", (int)process->pid, "name", process->name, "uid",
			 (json_int_t)process->uid);
}

static json_t *describe_finding(const struct escapes_finding *finding)
{
	const struct sockets_entry *entry = finding->entry;
	char local[SOCKETS_TEXT], remote[SOCKETS_TEXT];

	sockets_format(entry, false, local);
	sockets_format(entry, true, remote);
	return json_pack("{s:s, s:o, s:s, s:s, s:s?, s:s, s:I, s:o, s:o, s:o?}", "kind",
			 port_origin_name(finding->origin), "why", say_json(finding->why),
			 "protocol", sockets_protocol_name(entry), "local", local, "remote",
			 entry->remote_port ? remote : NULL, "state", sockets_state_name(entry),
			 "inode", (json_int_t)entry->inode, "section",
			 say_json(finding->fenced->rule->name), "process",
			 describe_process(finding->process), "other",
			 finding->other ? describe_process(finding->other) : NULL);
}

static json_t *describe_unknown(const struct escapes_unknown *unknown)
{
	return json_pack("{s:o, s:o}", "why",
			 say_json(unknown->broker
					  ? "a process that is not fenced may make its sockets"
				  : unknown->why ? unknown->why
						 : "it is in another network namespace"),
			 "process", describe_process(&unknown->process));
}

static int print_json(const struct view *view, const struct escapes *escapes)
{
	json_t *findings = json_array(), *unfenced = json_array(), *unknown = json_array(), *all;
	size_t i;

	for (i = 0; i < escapes->findings; i++)
		json_array_append_new(findings, describe_finding(&escapes->finding[i]));
	for (i = 0; i < escapes->unfenced_ports; i++) {
		const struct escapes_unfenced *one = &escapes->unfenced[i];

		json_array_append_new(unfenced,
				      json_pack("{s:o, s:s, s:i, s:o}", "section",
						say_json(view->sections.rule[one->section]->name),
						"protocol", policy_proto_name(one->proto), "port",
						(int)one->port, "process",
						describe_process(one->process)));
	}
	for (i = 0; i < escapes->unknowns; i++)
		json_array_append_new(unknown, describe_unknown(&escapes->unknown[i]));
	all = json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I}", "escapes",
			(json_int_t)escapes->count[PORT_ORIGIN_ESCAPE], "processes",
			(json_int_t)escapes->processes, "sockets", (json_int_t)escapes->sockets,
			"accepted", (json_int_t)escapes->count[PORT_ORIGIN_ACCEPTED], "outside",
			findings, "unfenced", unfenced, "unknown", unknown, "unseen",
			(json_int_t)escapes->unseen);
	/* what jansson did not take is missing in its array */
	if (all && json_array_size(findings) == escapes->findings &&
	    json_array_size(unfenced) == escapes->unfenced_ports &&
	    json_array_size(unknown) == escapes->unknowns)
		return say_object(stdout, all, JSON_INDENT(2));
	json_decref(all);
	return say_object(stdout, NULL, 0);
}

/* ---- the verb ---- */

/* A question about one process that is not fenced has no answer. */
static int check_pid(struct view *view, pid_t pid)
{
	struct process process = { .pid = pid };

	if (!processes_find(&view->machine.processes, pid) || processes_describe(pid, &process))
		return say_failure("there is no process %d", (int)pid);
	switch (fenced_look(&view->machine.looks, pid)->state) {
	case FENCED_GONE:
		return say_failure("there is no process %d", (int)pid);
	case FENCED_UNSEEN:
		return say_failure("%s (pid %d) may not be looked at%s", process.name, (int)pid,
				   geteuid() ? "; ask as root or as its user" : "");
	case FENCED_NOT:
		return say_failure(
			"%s (pid %d) is not fenced: it has not loaded libportfence.so, or "
			"no section fits it; start it with 'portfence run'",
			process.name, (int)pid);
	default:
		return 0;
	}
}

static int read_escapes(const struct option_values *given, pid_t pid, struct view *view,
			struct escapes *ret_escapes)
{
	struct escapes_scope scope = {
		.app = given->operand[0],
		.pid = pid,
		.snapshot = &view->machine,
	};
	int rc;

	rc = sections_load(given->value[OPTION_CONFIG], given->operand, &view->sections);
	scope.rules = view->sections.rule;
	scope.rule_count = (uint32_t)view->sections.count;
	if (!rc)
		rc = view_take(view, SOCKETS_SIDES);
	if (!rc && pid)
		rc = check_pid(view, pid);
	if (rc)
		return rc;
	rc = escapes_read(&scope, ret_escapes);
	if (rc)
		return say_failure("%s", strerror(-rc));
	if (ret_escapes->count[PORT_ORIGIN_ESCAPE])
		return EXIT_ESCAPE;
	return pid && ret_escapes->unknowns ? EXIT_FAILED : EXIT_CLEAN;
}

static int audit(const struct option_values *given)
{
	struct view view = { .sections = { .rule = NULL } };
	struct escapes escapes = { .findings = 0 };
	unsigned long pid = 0;
	char *rest;
	int rc;

	if (given->value[OPTION_PID]) {
		pid = strtoul(given->value[OPTION_PID], &rest, 10);
		if (*rest || !pid || pid > INT32_MAX)
			return option_wrong(&verb_audit, "'%s' is not a process id",
					    given->value[OPTION_PID]);
		if (given->operand[0])
			return option_wrong(
				&verb_audit,
				"'--pid' and a section exclude each other, give only one");
	}
	rc = read_escapes(given, (pid_t)pid, &view, &escapes);
	if (rc != EXIT_FAILED || escapes.unknowns) {
		if (given->value[OPTION_JSON] && print_json(&view, &escapes))
			rc = EXIT_FAILED;
		else if (!given->value[OPTION_JSON])
			print_text(&view, &escapes);
	}
	escapes_free(&escapes);
	view_free(&view);
	return rc;
}
