/*
 * bench: what the fence costs. Nothing is asserted about time; it is shown.
 *
 * Everything happens in network namespaces of the bench's own, on loopback.
 * The rest of what has to be known is said where it is done: rows.c (what an
 * operation is), server.h (the far end), measure.c (how it is compared),
 * curves.c (how a range is filled), subject.c (what is compared).
 */
#include "calls.h"
#include "curves.h"
#include "dear.h"
#include "leases.h"
#include "measure.h"
#include "place.h"
#include "report.h"
#include "scene.h"
#include "subject.h"
#include "supervised.h"
#include "views.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many operations for each of a crowd, or it is the start that is timed. */
#define CROWD_EACH 100

static struct measure_effort effort = { .rounds = 21, .batch_ns = 30000000 };
static char **patterns; /* none: everything */

static void print_help(FILE *to)
{
	fputs("usage: bench [OPTION]... [PATTERN]...\n"
	      "\n"
	      "Times socket operations under portfence against the same without. A PATTERN is a\n"
	      "glob for a group (rows, orders, shared, start, run, lease, status, supervised, threads, processes, curves), a\n"
	      "row (tcp4-connect), or both (curves/same*); none: everything.\n"
	      "\n"
	      "  --quick        short batches and fewer points, less than a minute in all\n"
	      "  --rounds N     batches for each subject, at least 3; default 21\n"
	      "  --batch MS     how long a batch takes; default 30\n"
	      "  --calls        only count system calls; exit status 1 if they are more than known\n"
	      "  --known FILE   the counts that are known; default: test/bench/calls.txt\n"
	      "  --cpu          count CPU time, not time; for a machine that has other work\n"
	      "  --dear NS      first make a system call take so long, as on other machines\n"
	      "  --json FILE    write all results to FILE\n"
	      "  --svg FILE     plot the occupancy curves (needs gnuplot)\n"
	      "  --build DIR    what is measured; default: $BUILD, else build\n"
	      "  -h, --help     this text\n",
	      to);
}

static bool wanted(const char *group, const char *label)
{
	char **pattern, both[80];

	snprintf(both, sizeof(both), "%s/%s", group, label);
	if (!*patterns)
		return true;
	for (pattern = patterns; *pattern; pattern++) {
		if (!fnmatch(*pattern, group, 0) || !fnmatch(*pattern, label, 0) ||
		    !fnmatch(*pattern, both, 0))
			return true;
	}
	return false;
}

static bool any_wanted(const char *group, const char *const *labels)
{
	while (*labels) {
		if (wanted(group, *labels++))
			return true;
	}
	return false;
}

static void run_row(const char *group, const char *row, unsigned threads, unsigned processes,
		    struct subject *subjects, unsigned count)
{
	struct measure_result results[MEASURE_SUBJECTS_MAX];
	struct subject able[MEASURE_SUBJECTS_MAX];
	struct measure measure = {
		.group = group,
		.label = row,
		.row = row,
		.threads = threads,
		.processes = processes,
		.counts = threads == 1 && processes == 1,
		.least = threads * processes == 1 ? 1 : CROWD_EACH * threads * processes,
		.subjects = able,
	};
	unsigned i;

	if (!wanted(group, row))
		return;
	for (i = 0; i < count; i++) {
		if (subject_can(&subjects[i], row))
			able[measure.count++] = subjects[i];
	}
	measure_run(&measure, &effort, results);
	report_add(results, measure.count);
}

static void stop_all(struct subject *subjects, unsigned count)
{
	while (count)
		subject_stop(&subjects[--count]);
}

/* ---- groups ---- */

static const char *const row_labels[] = {
	"tcp4-connect", "tcp6-connect", "bind-tcp", "bind-udp",     "listen",
	"udp-first",    "udp-connect",  "sendto",   "sendmsg",      "sendmmsg",
	"udp-send",     "tcp-send",     "write",    "unix-connect", NULL,
};

static void run_rows(void)
{
	const struct subject_neighbour *neighbour = subject_neighbours();
	struct scene_process servers[MEASURE_SUBJECTS_MAX] = { { .pid = 0 } };
	struct subject subjects[MEASURE_SUBJECTS_MAX];
	const char *const *label;
	unsigned count = 0;

	if (!any_wanted("rows", row_labels))
		return;
	subject_plain(&subjects[count++], "plain", -1);
	subject_plain(&subjects[count++], "control", -1);
	if (!effort.calls) {
		subject_shim(&subjects[count++], "floor", -1);
		subject_shim(&subjects[count++], "least", -1);
	}
	subject_fenced(&subjects[count++], "kernel", -1, PLACE_INSIDE, NULL);
	subject_fenced(&subjects[count++], "bind", -1, PLACE_OUTSIDE, NULL);
	report_group("rows: from socket() to close(), or one call on a socket that has its port");
	for (; neighbour->name && !effort.calls; neighbour++) {
		if (subject_neighbour_start(&subjects[count], neighbour, &servers[count]))
			count++;
		else
			report_note("%s: not installed, or does not run here", neighbour->name);
	}
	for (label = row_labels; *label; label++)
		run_row("rows", *label, 1, 1, subjects, count);
	stop_all(subjects, count);
	while (count)
		scene_stop(&servers[--count]);
}

static void run_orders(void)
{
	static const char *const orders[] = {
		"sequential", "random", "random-simple", "hash", "double-hash", "random-increments",
	};
	static const char *const labels[] = { "tcp4-connect", "bind-tcp", "bind-udp", NULL };
	struct subject subjects[MEASURE_SUBJECTS_MAX];
	unsigned count = 0, i;

	if (!any_wanted("orders", labels))
		return;
	subject_plain(&subjects[count++], "plain", -1);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		subject_fenced(&subjects[count++], orders[i], -1, PLACE_OUTSIDE, orders[i]);
	report_group("orders: the bind engine, by order");
	for (i = 0; labels[i]; i++)
		run_row("orders", labels[i], 1, 1, subjects, count);
	stop_all(subjects, count);
}

static void run_start(void)
{
	static const unsigned sizes[] = { 1, 10, 1000, 10000 };
	struct subject subjects[MEASURE_SUBJECTS_MAX];
	unsigned count = 0, i;
	char name[24];

	if (!wanted("start", "spawn"))
		return;
	subject_plain(&subjects[count++], "plain", -1);
	subject_plain(&subjects[count++], "control", -1);
	subject_shim(&subjects[count++], "lean", -1);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(name, sizeof(name), "file-%u", sizes[i]);
		subject_configured(&subjects[count++], name, sizes[i], false);
	}
	for (i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(name, sizeof(name), "run-%u", sizes[i]);
		subject_configured(&subjects[count++], name, sizes[i], true);
	}
	report_group(
		"start: posix_spawn of /bin/true, to its end; file-N: preloaded with N sections; "
		"run-N: under `portfence run`");
	run_row("start", "spawn", 1, 1, subjects, count);
	stop_all(subjects, count);
}

static void run_command(void)
{
	struct subject subjects[MEASURE_SUBJECTS_MAX];
	unsigned count = 0;

	if (!wanted("run", "run"))
		return;
	subject_plain(&subjects[count++], "plain", -1);
	subject_plain(&subjects[count++], "control", -1);
	subject_launching(&subjects[count++], "least", "test/bench/launch", 1);
	subject_launching(&subjects[count++], "run-1", "portfence", 1);
	subject_launching(&subjects[count++], "run-10000", "portfence", 10000);
	report_group("run: /bin/true, to its end; least: a process, a filter and execve(2) alone; "
		     "run-N: by `portfence run`, with N sections");
	run_row("run", "run", 1, 1, subjects, count);
	stop_all(subjects, count);
}

/* Connect and bind by many at once. */
static void run_crowds(const char *group, const char *title, const unsigned *crowds, bool threads)
{
	static const char *const labels[] = { "tcp4-connect", "bind-tcp", "bind-udp", NULL };
	struct subject subjects[MEASURE_SUBJECTS_MAX];
	unsigned count = 0, i;

	if (!any_wanted(group, labels))
		return;
	subject_plain(&subjects[count++], "plain", -1);
	subject_plain(&subjects[count++], "control", -1);
	subject_fenced(&subjects[count++], "kernel", -1, PLACE_INSIDE, NULL);
	subject_fenced(&subjects[count++], "bind", -1, PLACE_OUTSIDE, NULL);
	report_group(title);
	for (i = 0; labels[i]; i++) {
		const unsigned *crowd;

		for (crowd = crowds; *crowd; crowd++) {
			/* the ends only */
			if (effort.quick && crowd[1] && crowd != crowds)
				continue;
			run_row(group, labels[i], threads ? *crowd : 1, threads ? 1 : *crowd,
				subjects, count);
		}
	}
	stop_all(subjects, count);
}

static void run_all(void)
{
	static const unsigned threads[] = { 1, 2, 8, 0 }, processes[] = { 1, 2, 4, 8, 16, 32, 0 };
	struct scene_process server;

	scene_helper(&server, -1, "serve");
	scene_order(&server, "ready\n");
	run_rows();
	if (wanted("shared", "tcp4-connect")) {
		report_group("shared: the bind engine, each port of the range held by a connection "
			     "to another destination");
		curves_shared(&effort);
	}
	run_orders();
	run_start();
	if (effort.calls) {
		scene_stop(&server);
		return;
	}
	run_command();
	leases_run(&effort, wanted);
	if (wanted("status", "status")) {
		report_group(
			"status: posix_spawn of `portfence status` of 28,000 ports, to its end");
		views_run(&effort);
	}
	supervised_run(&effort, wanted);
	run_crowds("threads", "threads: of one process, not pinned; us is wall time by operations",
		   threads, true);
	run_crowds("processes", "processes: forked from one, not pinned", processes, false);
	scene_stop(&server);
	curves_run(&effort, wanted);
}

static unsigned parse_number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < least || value > most)
		die("'%s' is not a number from %u to %u", text, least, most);
	return (unsigned)value;
}

int main(int argc, char **argv)
{
	enum { QUICK = 256, ROUNDS, BATCH, CALLS, KNOWN, CPU, DEAR, JSON, SVG, FOLDER };
	static const struct option options[] = {
		{ "quick", no_argument, NULL, QUICK },
		{ "rounds", required_argument, NULL, ROUNDS },
		{ "batch", required_argument, NULL, BATCH },
		{ "calls", no_argument, NULL, CALLS },
		{ "known", required_argument, NULL, KNOWN },
		{ "cpu", no_argument, NULL, CPU },
		{ "dear", required_argument, NULL, DEAR },
		{ "json", required_argument, NULL, JSON },
		{ "svg", required_argument, NULL, SVG },
		{ "build", required_argument, NULL, FOLDER },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *json = NULL, *svg = NULL, *build = getenv("BUILD");
	const char *known = "test/bench/calls.txt";
	unsigned dear = 0;
	int option, rc;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case QUICK:
			effort.quick = true;
			effort.rounds = 11;
			effort.batch_ns = 3000000;
			break;
		case ROUNDS:
			effort.rounds = parse_number(optarg, 3, MEASURE_ROUNDS_MAX);
			break;
		case BATCH:
			effort.batch_ns = parse_number(optarg, 1, 10000) * INT64_C(1000000);
			break;
		case CALLS:
			effort.calls = true;
			break;
		case KNOWN:
			known = optarg;
			break;
		case CPU:
			effort.cpu = true;
			break;
		case DEAR:
			dear = parse_number(optarg, 1, 100000);
			break;
		case JSON:
			json = optarg;
			break;
		case SVG:
			svg = optarg;
			break;
		case FOLDER:
			build = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			print_help(stderr);
			return 2;
		}
	}
	patterns = argv + optind;
	calls_read(known);
	scene_begin(build && *build ? build : "build");
	if (dear)
		dear_make(dear);
	report_machine(&effort);
	report_note("a system call that does nothing takes %u ns", dear_call_ns());
	run_all();
	rc = json ? report_json(json, &effort) : 0;
	if (rc)
		die("'%s': %s", json, strerror(-rc));
	rc = svg ? report_svg(svg) : 0;
	if (rc == -ENOENT)
		report_note("gnuplot is not installed: no plot");
	else if (rc)
		die("'%s': not plotted", svg);
	return effort.calls && report_grown() ? 1 : 0;
}
