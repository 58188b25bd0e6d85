#include "report.h"

#include "calls.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define TEXT_MAX 128

static struct measure_result *kept;
static size_t kept_count, kept_room;
static bool calls_only;
static unsigned rows_grown;

/* The targets; a name without a range of percents stands for any. */
static const struct target {
	const char *group, *label, *subject;
	double from, to; /* percents, in curves */
	double ratio;    /* at most; 0: @extra_us instead */
	double extra_us;
} targets[] = {
	{ "rows", "tcp4-connect", "kernel", 0, 0, 1.02, 0 },
	{ "rows", "tcp6-connect", "kernel", 0, 0, 1.02, 0 },
	{ "rows", "tcp4-connect", "bind", 0, 0, 1.05, 0 },
	{ "rows", "tcp6-connect", "bind", 0, 0, 1.05, 0 },
	{ "rows", "bind-tcp", "kernel", 0, 0, 1.02, 0 },
	{ "rows", "bind-udp", "kernel", 0, 0, 1.02, 0 },
	{ "rows", "bind-tcp", "bind", 0, 0, 1.02, 0 },
	{ "rows", "bind-udp", "bind", 0, 0, 1.02, 0 },
	{ "rows", "listen", NULL, 0, 0, 1.05, 0 },
	{ "rows", "udp-first", NULL, 0, 0, 1.05, 0 },
	{ "rows", "udp-connect", NULL, 0, 0, 1.05, 0 },
	{ "rows", "sendto", NULL, 0, 0, 1.01, 0 },
	{ "rows", "sendmsg", NULL, 0, 0, 1.01, 0 },
	{ "rows", "sendmmsg", NULL, 0, 0, 1.01, 0 },
	{ "rows", "udp-send", NULL, 0, 0, 1.00, 0 },
	{ "rows", "tcp-send", NULL, 0, 0, 1.00, 0 },
	{ "rows", "write", NULL, 0, 0, 1.00, 0 },
	{ "rows", "unix-connect", NULL, 0, 0, 1.00, 0 },
	{ "shared", NULL, NULL, 0, 0, 1.30, 0 },
	{ "start", "spawn", "file-10", 0, 0, 0, 25 },
	{ "start", "spawn", "run-10000", 0, 0, 0, 25 },
	{ "run", "run", NULL, 0, 0, 2, 0 },
	{ "curves", "same/run", NULL, 50, 99, 0.1, 0 },
	{ "curves", "same/parity", NULL, 50, 99, 0.1, 0 },
	{ "curves", "same/scatter", NULL, 90, 99.9, 1.2, 0 },
	{ "curves", "other/scatter", NULL, 90, 99.9, 1.2, 0 },
	{ "curves", "bind/scatter", NULL, 90, 99.9, 1.2, 0 },
	{ "curves", "udp/scatter", NULL, 90, 99.9, 1.2, 0 },
	{ "curves", "same/scatter", NULL, 100, 100, 2, 0 },
	{ "curves", "bind/scatter", NULL, 100, 100, 2, 0 },
	{ "curves", "udp/scatter", NULL, 100, 100, 2, 0 },
};

static bool is_fenced(const char *subject)
{
	return !strcmp(subject, "kernel") || !strcmp(subject, "bind") ||
	       !strncmp(subject, "file-", 5) || !strncmp(subject, "run-", 4);
}

static const struct target *find_target(const struct measure_result *result)
{
	size_t i;

	if (!is_fenced(result->subject))
		return NULL;
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		const struct target *target = &targets[i];

		if (strcmp(target->group, result->group) ||
		    (target->label && strcmp(target->label, result->label)) ||
		    (target->subject && strcmp(target->subject, result->subject)))
			continue;
		if (strcmp(result->group, "curves") ||
		    (result->percent >= target->from && result->percent <= target->to))
			return target;
	}
	return NULL;
}

/* A median above the target counts as a miss only where three rounds of four are above it. */
static const char *verdict(const struct measure_spread *spread, double target)
{
	if (spread->median <= target)
		return "met";
	return spread->low > target ? "missed" : "near";
}

static void describe_target(const struct measure_result *result, char text[TEXT_MAX])
{
	const struct target *target = find_target(result);

	text[0] = '\0';
	if (!target)
		return;
	if (target->ratio > 0)
		snprintf(text, TEXT_MAX, "%.2f %s", target->ratio,
			 verdict(&result->ratio, target->ratio));
	else
		snprintf(text, TEXT_MAX, "+%.0f us %s", target->extra_us,
			 verdict(&result->extra, target->extra_us * 1000));
}

/* ---- the table ---- */

/* The first "model name" of /proc/cpuinfo; not every architecture has one. */
static void describe_cpu(char text[TEXT_MAX])
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[512];

	snprintf(text, TEXT_MAX, "unknown CPU");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!strncmp(line, "model name", 10) && colon) {
			snprintf(text, TEXT_MAX, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
			break;
		}
	}
	if (file)
		fclose(file);
}

static void describe_machine(char text[3 * TEXT_MAX])
{
	char cpu[TEXT_MAX];
	struct utsname name;
	cpu_set_t set;

	uname(&name);
	sched_getaffinity(0, sizeof(set), &set);
	describe_cpu(cpu);
	/* what a builder has appended to the kernel's version says nothing */
	snprintf(text, 3 * TEXT_MAX, "%s %.*s %s, %s, %d cores", name.sysname,
		 (int)strspn(name.release, "0123456789."), name.release, name.machine, cpu,
		 CPU_COUNT(&set));
}

void report_machine(const struct measure_effort *effort)
{
	char text[3 * TEXT_MAX];

	calls_only = effort->calls;
	if (calls_only) {
		puts("more: system calls that an operation makes besides the plain one's");
		return;
	}
	describe_machine(text);
	printf("%s\n", text);
	printf("%u rounds of one batch each, about %.0f ms; medians with quartiles; ratio and "
	       "extra against plain, round by round%s\n",
	       effort->rounds, (double)effort->batch_ns / 1e6,
	       effort->cpu ? "; CPU time, but for start, lease and status" : "");
	printf("control: plain once more, so what the method cannot tell apart; kernel, bind: "
	       "fenced, by engine\n");
}

void report_group(const char *title)
{
	printf("\n%s\n%-22s %-17s %7s %5s", title, "", "", "calls", "more");
	if (!calls_only)
		printf(" %10s %7s %8s %15s %9s  %s", "us", "spread", "ratio", "quartiles",
		       "extra us", "target");
	putchar('\n');
	fflush(stdout);
}

void report_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static void describe_label(const struct measure_result *result, char text[TEXT_MAX])
{
	if (!strcmp(result->group, "curves"))
		snprintf(text, TEXT_MAX, "%s %g %%", result->label, result->percent);
	else if (result->threads > 1)
		snprintf(text, TEXT_MAX, "%s, %u threads", result->label, result->threads);
	else if (result->processes > 1)
		snprintf(text, TEXT_MAX, "%s, %u proc.", result->label, result->processes);
	else
		snprintf(text, TEXT_MAX, "%s", result->label);
}

/* The row of a group that has one row only is known by the group's name. */
static const char *known_row(const struct measure_result *result)
{
	return strcmp(result->group, "rows") ? result->group : result->label;
}

/* @plain: the first of its row */
static void print_calls(const struct measure_result *result, const struct measure_result *plain)
{
	if (result->calls < 0)
		printf("%7s %5s", "", "");
	else if (result == plain || plain->calls < 0)
		printf("%7.1f %5s", result->calls, "");
	else
		printf("%7.1f %5.1f", result->calls, result->calls - plain->calls);
}

/* A route that is asked for once in a second is a part of a call, which does not count. */
static void print_growth(const struct measure_result *result, const struct measure_result *plain)
{
	int known = calls_known(known_row(result), result->subject);

	if (known < 0 || result->calls < 0 || plain->calls < 0 ||
	    result->calls - plain->calls < known + 0.5)
		return;
	printf("  GREW: %d more calls are known", known);
	rows_grown++;
}

static void print_times(const struct measure_result *result, bool first)
{
	char target[TEXT_MAX];

	describe_target(result, target);
	printf(" %10.3f %6.1f%% ", result->ns.median / 1e3,
	       100 * (result->ns.high - result->ns.low) / result->ns.median);
	if (first)
		printf("%8s %15s %9s", "", "", "");
	else
		printf("%8.3f %7.3f-%-7.3f %9.3f", result->ratio.median, result->ratio.low,
		       result->ratio.high, result->extra.median / 1e3);
	printf("  %s", target);
}

/* @plain: the first of its row */
static void print_result(const struct measure_result *result, const struct measure_result *plain)
{
	char label[TEXT_MAX] = "";

	if (result == plain)
		describe_label(result, label);
	printf("%-22s %-17s ", label, result->subject);
	if (result->missing) {
		puts("gave no answer");
		return;
	}
	print_calls(result, plain);
	if (!calls_only)
		print_times(result, result == plain);
	print_growth(result, plain);
	if (result->wrong)
		printf("  %" PRIu64 " went wrong: %s", result->wrong, strerror(result->error));
	putchar('\n');
}

unsigned report_grown(void)
{
	return rows_grown;
}

void report_add(const struct measure_result *results, unsigned count)
{
	unsigned i;

	if (kept_count + count > kept_room) {
		size_t room = 2 * (kept_count + count);
		struct measure_result *grown = realloc(kept, room * sizeof(*grown));

		if (!grown)
			die("no memory");
		kept = grown;
		kept_room = room;
	}
	for (i = 0; i < count; i++) {
		print_result(&results[i], &results[0]);
		kept[kept_count++] = results[i];
	}
	fflush(stdout);
}

/* ---- JSON ---- */

/* Names and descriptions are ours or the CPU's: plain ASCII but perhaps for a quote. */
static void print_string(FILE *file, const char *name, const char *text)
{
	fprintf(file, "\"%s\": \"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		if (isprint((unsigned char)*text))
			fputc(*text, file);
	}
	fputc('"', file);
}

static void print_spread(FILE *file, const char *name, const struct measure_spread *spread)
{
	fprintf(file, ", \"%s\": [%.6g, %.6g, %.6g]", name, spread->low, spread->median,
		spread->high);
}

static void print_json(FILE *file, const struct measure_result *result)
{
	char target[TEXT_MAX];

	fputs("    {", file);
	print_string(file, "group", result->group);
	fputs(", ", file);
	print_string(file, "row", result->label);
	fputs(", ", file);
	print_string(file, "subject", result->subject);
	fprintf(file, ", \"threads\": %u, \"processes\": %u", result->threads, result->processes);
	if (!strcmp(result->group, "curves"))
		fprintf(file, ", \"percent\": %g", result->percent);
	if (result->missing) {
		fputs(", \"missing\": true}", file);
		return;
	}
	print_spread(file, "ns", &result->ns);
	print_spread(file, "ratio", &result->ratio);
	print_spread(file, "extra_ns", &result->extra);
	fprintf(file, ", \"batch\": %" PRIu64 ", \"wrong\": %" PRIu64, result->batch,
		result->wrong);
	if (result->calls >= 0)
		fprintf(file, ", \"calls\": %.2f", result->calls);
	describe_target(result, target);
	if (target[0]) {
		fputs(", ", file);
		print_string(file, "target", target);
	}
	fputc('}', file);
}

int report_json(const char *path, const struct measure_effort *effort)
{
	FILE *file = fopen(path, "we");
	char machine[3 * TEXT_MAX];
	size_t i;

	if (!file)
		return -errno;
	describe_machine(machine);
	fputs("{\n  ", file);
	print_string(file, "machine", machine);
	fprintf(file, ",\n  \"rounds\": %u,\n  \"batch_ns\": %" PRId64 ",\n", effort->rounds,
		effort->batch_ns);
	fprintf(file, "  \"clock\": \"%s\",\n", effort->cpu ? "cpu" : "wall");
	fputs("  \"spreads\": [\"lower quartile\", \"median\", \"upper quartile\"],\n", file);
	fputs("  \"results\": [\n", file);
	for (i = 0; i < kept_count; i++) {
		print_json(file, &kept[i]);
		fputs(i + 1 < kept_count ? ",\n" : "\n", file);
	}
	fputs("  ]\n}\n", file);
	return fclose(file) ? -errno : 0;
}

/* ---- the plot ---- */

static bool is_plotted(const struct measure_result *result, const char *label, const char *subject)
{
	return !strcmp(result->group, "curves") && !strcmp(result->label, label) &&
	       (!subject || !strcmp(result->subject, subject)) && !result->missing;
}

/* One block of data for each curve, then the plot of all three. */
static void plot_panel(FILE *file, const char *label, const char *title)
{
	static const char *const subjects[] = { "plain", "kernel", "bind" };
	static const char *const titles[] = { "plain, a range of the same size",
					      "fenced, kernel engine", "fenced, bind engine" };
	static const char *const styles[] = { "lc rgb '#777777' pt 4", "lc rgb '#1f77b4' pt 6",
					      "lc rgb '#d62728' pt 2" };
	size_t i, j;

	for (j = 0; j < 3; j++) {
		int at = 0;

		fprintf(file, "$data%zu << EOD\n", j);
		for (i = 0; i < kept_count; i++) {
			if (is_plotted(&kept[i], label, subjects[j]))
				fprintf(file, "%d %g %g %g %g\n", at++, kept[i].percent,
					kept[i].ns.median / 1e3, kept[i].ns.low / 1e3,
					kept[i].ns.high / 1e3);
		}
		fputs("EOD\n", file);
	}
	fprintf(file, "set title '%s'\nplot ", title);
	for (j = 0; j < 3; j++)
		fprintf(file,
			"%s$data%zu using 1:3:4:5:xtic(2) with yerrorlines %s lw 1.5 title '%s'",
			j ? ", " : "", j, styles[j], titles[j]);
	/* one key is enough */
	fputs("\nunset key\n", file);
}

static bool has_panel(const char *label)
{
	size_t i;

	for (i = 0; i < kept_count; i++) {
		if (is_plotted(&kept[i], label, NULL))
			return true;
	}
	return false;
}

int report_svg(const char *path)
{
	static const char *const panels[][2] = {
		{ "same/scatter", "connect, same destination; held ports scattered" },
		{ "same/run", "connect, same destination; held ports in one run" },
		{ "same/parity", "connect, same destination; as plain programs do" },
		{ "other/scatter", "connect, other destination; scattered" },
		{ "other/run", "connect, other destination; one run" },
		{ "other/parity", "connect, other destination; as plain programs do" },
		{ "bind/scatter", "bind to 0, TCP; scattered" },
		{ "bind/run", "bind to 0, TCP; one run" },
		{ "bind/parity", "bind to 0, TCP; as plain programs do" },
		{ "udp/scatter", "bind to 0, UDP; scattered" },
		{ "udp/run", "bind to 0, UDP; one run" },
	};
	FILE *file;
	size_t i;
	int rc;

	if (system("command -v gnuplot >/dev/null 2>&1"))
		return -ENOENT;
	file = popen("gnuplot", "we");
	if (!file)
		return -errno;
	fprintf(file,
		"set terminal svg size 1500,1400 dynamic font 'sans-serif,12' background 'white'\n"
		"set output '%s'\nset multiplot layout 4,3\nset logscale y\nset grid ytics\n"
		"set key top left reverse Left samplen 2\nset offsets 0.3,0.3,0,0\nset xlabel 'ports held, %% of 10,000'\n"
		"set ylabel 'us, socket to close'\nset yrange [3:100000]\n",
		path);
	for (i = 0; i < sizeof(panels) / sizeof(panels[0]); i++) {
		if (has_panel(panels[i][0]))
			plot_panel(file, panels[i][0], panels[i][1]);
		else
			fputs("set multiplot next\n", file);
	}
	fputs("unset multiplot\n", file);
	rc = pclose(file);
	return rc ? -EIO : 0;
}
