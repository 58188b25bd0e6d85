#include "../core/pool.h"
#include "../core/settings.h"
#include "../core/variables.h"
#include "../machine/occupancy.h"
#include "../machine/refusals.h"
#include "held_leases.h"
#include "say.h"
#include "section_ranges.h"
#include "status_bar.h"
#include "status_metrics.h"
#include "status_watch.h"
#include "verbs.h"
#include "view.h"

#include <errno.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HOLDERS_SHOWN 10
#define INDENT 2

enum {
	OPTION_CONFIG,
	OPTION_RANGE,
	OPTION_WATCH,
	OPTION_JSON,
	OPTION_OPENMETRICS,
	OPTION_OUTPUT,
};

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_RANGE] = { .name = "range",
			   .argument = "RANGE",
			   .help = "look at this range instead of the configuration's: first-last, "
				   "first+count, a preset, or a list" },
	[OPTION_WATCH] = { .name = "watch",
			   .argument = "SECONDS",
			   .optional = true,
			   .help = "draw again every SECONDS (default: 2), in place, until interrupted; with --json, "
				   "print a line each time" },
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	[OPTION_OPENMETRICS] = { .name = "openmetrics",
				 .help = "print numbers for Prometheus and others" },
	[OPTION_OUTPUT] = { .name = "output",
			    .argument = "FILE",
			    .help = "with --openmetrics, replace FILE at once, for node_exporter" },
	{ .name = NULL },
};

static int status(const struct option_values *given);

const struct verb verb_status = {
	.name = "status",
	.summary = "show how much of each range is in use, and by whom",
	.usage = "[APP]",
	.about =
		"Shows, for section [APP] or for all sections, how many ports of the range are in "
		"use in each protocol; a picture of the range, from its first port to its last "
		"without the gaps, in which a full block has no free port and a dot has only free "
		"ones; the processes that hold the ports; and warnings. A port in TIME_WAIT is in "
		"use, but a new connection may take it over. A TCP port serves one connection to "
		"each destination, so the destination with the most ports is shown, too. The blocks "
		"that runs have leased follow in the same form, those of section [APP] or all, with "
		"the ports of their maps. All sockets of this network namespace count, whichever "
		"process holds them. Without root, other users' processes are not shown; their ports "
		"are counted by user. Before Linux 6.8, a TCP socket that is only bound cannot be "
		"seen.",
	.options = options,
	.operands = 1,
	.status = "0; 1 if it fails, 2 if it is called wrongly",
	.example = "portfence status\n"
		   "portfence status --watch curl\n"
		   "portfence status --range 20000-20999\n",
	.function = status,
};

/* How it is to be drawn. */
struct canvas {
	FILE *to;
	unsigned width;
	bool utf8;
	bool colour;
};

/* ---- text ---- */

static const char *on(const struct canvas *canvas, const char *colour)
{
	return canvas->colour ? colour : "";
}

static const char *off(const struct canvas *canvas)
{
	return on(canvas, SAY_PLAIN);
}

static bool same_ranges(const struct rule *rule, enum proto a, enum proto b)
{
	char one[256], other[256];

	range_format(rule->range[a], one, sizeof(one));
	range_format(rule->range[b], other, sizeof(other));
	return rule->range[a]->count == rule->range[b]->count && !strcmp(one, other);
}

static void print_proto(const struct occupancy *occupancy, enum proto proto,
			const struct canvas *canvas)
{
	const struct occupancy_proto *one = &occupancy->proto[proto];
	const uint32_t count = one->range->count;
	/* rounded down, so that 100 % is all of it */
	unsigned percent = (unsigned)((uint64_t)one->ports * 100 / count);
	const char *colour = percent >= 90 ? SAY_RED : SAY_YELLOW;
	bool calm = percent < 70;
	char range[128];

	range_format(one->range, range, sizeof(range));
	fprintf(canvas->to, "%*s%-4s  %s  %s%u of %u ports in use (%u %%)%s", INDENT, "",
		policy_proto_name(proto), range, calm ? "" : on(canvas, colour), one->ports, count,
		percent, calm ? "" : off(canvas));
	if (one->waiting)
		fprintf(canvas->to, ", %u of them only in TIME_WAIT", one->waiting);
	fputc('\n', canvas->to);
}

static void print_bar(const struct occupancy_proto *one, const struct canvas *canvas)
{
	unsigned width = canvas->width > 2 * INDENT + 12 ? canvas->width - 2 * INDENT : 12;
	char bar[STATUS_BAR_SIZE(STATUS_BAR_WIDEST)];

	width = width > STATUS_BAR_WIDEST ? STATUS_BAR_WIDEST : width;
	status_bar_draw(one->used, one->range->count, width, canvas->utf8, bar);
	fprintf(canvas->to, "%*s%s\n", INDENT, "", bar);
	status_bar_label(range_first(one->range), range_last(one->range), width, bar);
	fprintf(canvas->to, "%*s%s\n", INDENT, "", bar);
}

static void print_fullest(const struct occupancy_proto *one, const struct canvas *canvas)
{
	char peer[SOCKETS_TEXT];

	if (one->destinations < 2 || one->fullest_ports < 2)
		return;
	sockets_format(one->fullest, true, peer);
	fprintf(canvas->to, "%*sof %zu destinations, %s has the most ports: %u (%u %%)\n", INDENT,
		"", one->destinations, peer, one->fullest_ports,
		(unsigned)((uint64_t)one->fullest_ports * 100 / one->range->count));
}

static void print_holder(const struct occupancy_holder *holder, const struct canvas *canvas)
{
	char user[PROCESSES_USER];

	fprintf(canvas->to, "%*s%5u  ", INDENT, "", holder->total);
	switch (holder->kind) {
	case OCCUPANCY_PROCESS:
		processes_format_user(holder->process->uid, user);
		fprintf(canvas->to, "%s (pid %d, %s)", holder->process->name,
			(int)holder->process->pid, user);
		if (holder->outside && holder->fenced->state == FENCED_NOT)
			fprintf(canvas->to, "%s, not fenced%s", on(canvas, SAY_YELLOW),
				off(canvas));
		else if (holder->outside)
			fprintf(canvas->to, "%s, fenced as [%s]%s", on(canvas, SAY_YELLOW),
				holder->fenced->rule->name, off(canvas));
		break;
	case OCCUPANCY_TIME_WAIT:
		fputs("in TIME_WAIT, no process", canvas->to);
		break;
	case OCCUPANCY_NOBODY:
		fputs("being closed or not accepted yet, no process", canvas->to);
		break;
	case OCCUPANCY_UNSEEN:
		processes_format_user(holder->uid, user);
		fprintf(canvas->to, "opened by %s, by a process that %s", user,
			geteuid() ? "only root can see" : "cannot be seen from here");
		break;
	}
	fputc('\n', canvas->to);
}

/* Who looks from outside finds a server at another port than its own log says. */
static void print_map(const struct occupancy *occupancy, const struct canvas *canvas)
{
	struct portmap map;

	if (!section_ranges_map(occupancy->rule, &map))
		return;
	fprintf(canvas->to, "%*smap   ", INDENT, "");
	section_ranges_print_map(&map, canvas->to);
}

static void print_holders(const struct occupancy *occupancy, const struct canvas *canvas)
{
	uint32_t processes = 0, ports = 0, shown = 0;
	size_t i;

	if (!occupancy->holders)
		return;
	fprintf(canvas->to, "%*sports  held by\n", INDENT, "");
	for (i = 0; i < occupancy->holders; i++) {
		const struct occupancy_holder *holder = &occupancy->holder[i];

		if (holder->kind != OCCUPANCY_PROCESS || shown++ < HOLDERS_SHOWN) {
			print_holder(holder, canvas);
			continue;
		}
		processes++;
		ports += holder->total;
		if (i + 1 == occupancy->holders || holder[1].kind != OCCUPANCY_PROCESS)
			fprintf(canvas->to, "%*s%5u  %u more processes, see --json\n", INDENT, "",
				ports, processes);
	}
}

__attribute__((format(printf, 2, 3))) static void warn(const struct canvas *canvas,
						       const char *format, ...)
{
	va_list arguments;

	fprintf(canvas->to, "%*s%swarning:%s ", INDENT, "", on(canvas, SAY_MAGENTA), off(canvas));
	va_start(arguments, format);
	vfprintf(canvas->to, format, arguments);
	va_end(arguments);
	fputc('\n', canvas->to);
}

static void print_warnings(const struct occupancy *occupancy, const struct canvas *canvas)
{
	int i;

	for (i = 0; i < PROTO_COUNT; i++) {
		const struct occupancy_proto *one = &occupancy->proto[i];
		char peer[SOCKETS_TEXT];

		if (one->ports < one->range->count)
			continue;
		if (i != PROTO_TCP) {
			warn(canvas, "no %s port is left", policy_proto_name((enum proto)i));
		} else if (one->fullest_ports == one->range->count) {
			sockets_format(one->fullest, true, peer);
			warn(canvas, "no tcp port is left, not even towards %s", peer);
		} else {
			warn(canvas,
			     "no tcp port is left to bind to; a connect finds one that is free towards its "
			     "destination");
		}
	}
	if (occupancy->outside)
		warn(canvas,
		     *occupancy->rule->name
			     ? "%u %s held by processes that are not fenced by this section"
			     : "%u %s held by processes that are not fenced by this range",
		     occupancy->outside, occupancy->outside == 1 ? "port is" : "ports are");
}

/* Few machines have SCTP: it is told of only where there is something to tell. */
static bool is_shown(const struct occupancy *occupancy, enum proto proto)
{
	return proto != PROTO_SCTP || occupancy->proto[proto].ports ||
	       !same_ranges(occupancy->rule, proto, PROTO_TCP);
}

static void print_refusals(const struct refusals *refusals, const struct canvas *canvas)
{
	static const char *const words[] = {
		[STATE_NO_PORT] = "no port left",
		[STATE_SYSTEM_PORT] = "no port left, one of the system's given",
		[STATE_BIND] = "explicit bind",
		[STATE_OTHER] = "other reasons, see the log",
	};
	int proto, i;

	for (proto = 0; proto < PROTO_COUNT; proto++)
		for (i = 0; i < STATE_REFUSALS; i++)
			if (refusals->count[proto][i])
				fprintf(canvas->to, "%*srefused  %s %llu (%s)\n", INDENT, "",
					policy_proto_name((enum proto)proto),
					(unsigned long long)refusals->count[proto][i], words[i]);
}

static void print_section(const struct occupancy *occupancy, const struct refusals *refusals,
			  const struct canvas *canvas)
{
	int proto;

	if (*occupancy->rule->name)
		fprintf(canvas->to, "%s[%s]%s\n", on(canvas, SAY_BOLD), occupancy->rule->name,
			off(canvas));
	for (proto = 0; proto < PROTO_COUNT; proto++) {
		const struct occupancy_proto *one = &occupancy->proto[proto];

		if (!is_shown(occupancy, (enum proto)proto))
			continue;
		print_proto(occupancy, (enum proto)proto, canvas);
		/* of the ranges that are the same, one without a port in use is drawn */
		if (one->ports || !same_ranges(occupancy->rule, (enum proto)proto, PROTO_TCP) ||
		    proto == PROTO_TCP)
			print_bar(one, canvas);
		print_fullest(one, canvas);
	}
	print_map(occupancy, canvas);
	print_holders(occupancy, canvas);
	if (refusals)
		print_refusals(refusals, canvas);
	print_warnings(occupancy, canvas);
}

/* ---- JSON ---- */

static json_t *describe_fullest(const struct occupancy_proto *one)
{
	char peer[SOCKETS_TEXT];

	if (!one->fullest)
		return json_null();
	sockets_format(one->fullest, true, peer);
	return json_pack("{s:s, s:i}", "destination", peer, "ports", (int)one->fullest_ports);
}

static json_t *describe_proto(const struct occupancy_proto *one)
{
	char *range = section_ranges_list(one->range);
	json_t *object;

	object = json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:o}", "range", range, "ports",
			   (int)one->range->count, "used", (int)one->ports, "time_wait_only",
			   (int)one->waiting, "sockets", (json_int_t)one->sockets, "destinations",
			   (json_int_t)one->destinations, "fullest", describe_fullest(one));
	free(range);
	return object;
}

static json_t *describe_holder(const struct occupancy_holder *holder)
{
	static const char *const kinds[] = {
		[OCCUPANCY_PROCESS] = "process",
		[OCCUPANCY_TIME_WAIT] = "time_wait",
		[OCCUPANCY_NOBODY] = "nobody",
		[OCCUPANCY_UNSEEN] = "unseen",
	};
	json_t *object =
		json_pack("{s:s, s:{s:i, s:i, s:i}}", "kind", kinds[holder->kind], "ports", "tcp",
			  (int)holder->ports[PROTO_TCP], "udp", (int)holder->ports[PROTO_UDP],
			  "sctp", (int)holder->ports[PROTO_SCTP]);
	const struct fenced *fenced = holder->fenced;
	const struct process *process = holder->process;

	if (holder->kind == OCCUPANCY_UNSEEN)
		json_object_set_new(object, "uid", json_integer(holder->uid));
	if (holder->kind != OCCUPANCY_PROCESS)
		return object;
	json_object_set_new(object, "pid", json_integer(process->pid));
	json_object_set_new(object, "name", json_string(process->name));
	json_object_set_new(object, "uid", json_integer(process->uid));
	json_object_set_new(object, "section",
			    fenced->rule ? say_json(fenced->rule->name) : json_null());
	json_object_set_new(object, "outside", json_boolean(holder->outside));
	return object;
}

static void describe_refusals(json_t *object, const uint64_t count[STATE_REFUSALS])
{
	json_object_set_new(
		object, "refused",
		json_pack("{s:I, s:I, s:I, s:I}", "no_port", (json_int_t)count[STATE_NO_PORT],
			  "system_port", (json_int_t)count[STATE_SYSTEM_PORT], "bind",
			  (json_int_t)count[STATE_BIND], "other", (json_int_t)count[STATE_OTHER]));
}

static json_t *describe_section(const struct occupancy *occupancy, const struct refusals *refusals)
{
	json_t *holders = json_array(), *object;
	size_t i;

	for (i = 0; i < occupancy->holders; i++)
		json_array_append_new(holders, describe_holder(&occupancy->holder[i]));
	object = json_pack("{s:o, s:o}", "name", say_json(occupancy->rule->name), "map",
			   section_ranges_json_map(occupancy->rule));
	/* where it is NULL, so is all that follows */
	for (i = 0; i < PROTO_COUNT; i++) {
		json_t *proto = describe_proto(&occupancy->proto[i]);

		if (refusals)
			describe_refusals(proto, refusals->count[i]);
		json_object_set_new(object, policy_proto_name((enum proto)i), proto);
	}
	json_object_set_new(object, "holders", holders);
	json_object_set_new(object, "outside", json_integer(occupancy->outside));
	return object;
}

/* ---- the verb ---- */

/* What the verb was called with. */
struct call {
	const char *config;
	const char *range;
	char *const *apps;  /* one section, or none for all */
	const char *state;  /* that this process was started with */
	const char *output; /* of the metrics; NULL: standard output */
	bool json;
	bool metrics;
	bool watch;
};

static unsigned find_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	if (columns && strtoul(columns, NULL, 10) > 0)
		return (unsigned)strtoul(columns, NULL, 10);
	return 80;
}

/*
 * Draws what is in use of one range, or adds it to a list. @refusals: NULL where no state file
 * belongs to it. Return: 0, -ENOMEM
 */
static int draw_rule(const struct rule *rule, const struct refusals *refusals, struct view *view,
		     const struct canvas *canvas, json_t *list)
{
	struct occupancy occupancy;
	int rc = occupancy_read(rule, &view->machine, &occupancy);

	if (!rc && list && json_array_append_new(list, describe_section(&occupancy, refusals)))
		rc = -ENOMEM;
	else if (!rc && !list)
		print_section(&occupancy, refusals, canvas);
	occupancy_free(&occupancy);
	return rc;
}

static int draw_sections(const struct call *call, struct view *view, const struct canvas *canvas,
			 json_t *list)
{
	const char *state = call->state ? call->state : view->sections.policy.state;
	struct refusals refusals;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < view->sections.count; i++) {
		const struct rule *rule = view->sections.rule[i];

		refusals_read(state, getenv("XDG_RUNTIME_DIR"), rule->name, &refusals);
		rc = draw_rule(rule, call->range ? NULL : &refusals, view, canvas, list);
		if (!list && i + 1 < view->sections.count)
			fputc('\n', canvas->to);
	}
	return rc;
}

/* ---- leases ---- */

/* Those of one application, or all. What keeps us from them is only said. */
static void find_leases(const struct call *call, const struct policy *policy,
			struct held_leases *ret_leases)
{
	const struct settings settings = {
		.policy = *policy,
		.state = call->state ? call->state : policy->state,
		.runtime = getenv("XDG_RUNTIME_DIR"),
	};
	struct reason why;
	size_t i, count = 0;

	if (call->range)
		return;
	if (held_leases_read(&settings, ret_leases, &why))
		say_warning(NULL, why.text);
	for (i = 0; i < ret_leases->count; i++)
		if (!*call->apps || !strcmp(ret_leases->lease[i].application, *call->apps))
			ret_leases->lease[count++] = ret_leases->lease[i];
	ret_leases->count = count;
}

/* A lease as a section that has its ports. Return: 0, -ENOMEM */
static int make_rule(const struct lease *lease, struct arena *arena, struct portmap *map,
		     struct rule *ret_rule)
{
	struct rule rule = { .name = "", .map = lease_map(lease, map) ? map : NULL };
	char text[sizeof("65535-65535")];
	struct reason why;
	int rc;

	snprintf(text, sizeof(text), "%d-%d", lease->first, lease->last);
	rc = key_override(&rule, KEY_RANGE, text, arena, &why);
	if (!rc)
		*ret_rule = rule;
	return rc;
}

/* Adds what is told of a lease to what is told of its ports. Return: 0, -ENOMEM */
static int describe_lease(json_t *object, const struct held_leases *leased,
			  const struct lease *lease)
{
	json_t *described = held_leases_describe(leased, lease);
	int rc = json_object_del(object, "name") || json_object_update(object, described);

	json_decref(described);
	return rc ? -ENOMEM : 0;
}

static int draw_leases(const struct held_leases *leased, struct view *view,
		       const struct canvas *canvas, json_t *list)
{
	struct arena arena = { 0 };
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < leased->count; i++) {
		const struct lease *lease = &leased->lease[i];
		char text[LEASE_TEXT];
		struct rule rule;
		struct portmap map;

		rc = make_rule(lease, &arena, &map, &rule);
		if (rc)
			break;
		lease_format(lease, text);
		if (!list)
			fprintf(canvas->to, "%s%slease%s %s\n",
				i || view->sections.count ? "\n" : "", on(canvas, SAY_BOLD),
				off(canvas), text);
		rc = draw_rule(&rule, NULL, view, canvas, list);
		if (!rc && list)
			rc = describe_lease(json_array_get(list, i), leased, lease);
	}
	arena_free(&arena);
	return rc;
}

/* ---- the whole ---- */

static int read_status(const struct call *call, struct held_leases *ret_leased,
		       struct view *ret_view)
{
	int rc;

	if (call->range)
		rc = sections_of_range(call->range, &ret_view->sections);
	else
		rc = sections_load(call->config, call->apps, &ret_view->sections);
	if (rc)
		return rc;
	find_leases(call, &ret_view->sections.policy, ret_leased);
	if (!call->range && !ret_view->sections.policy.file && !ret_leased->count)
		return say_failure("there is no configuration file; write %s, or use --config or "
				   "--range",
				   SETTINGS_SYSTEM_FILE);
	return view_take(ret_view, 0);
}

static json_t *describe_pool(const struct policy *policy)
{
	struct arena arena = { 0 };
	const struct range *pool;
	json_t *object = NULL;
	char *range;

	if (!pool_find(policy, &arena, &pool)) {
		range = section_ranges_list(pool);
		object = json_pack("{s:s, s:i}", "range", range, "ports", (int)pool->count);
		free(range);
	}
	arena_free(&arena);
	return object ? object : json_null();
}

static int print_object(const struct call *call, const struct view *view, json_t *list,
			json_t *leases, FILE *to)
{
	json_t *object =
		json_pack("{s:o, s:o, s:O, s:O}", "file", say_json(view->sections.policy.file),
			  "pool", describe_pool(&view->sections.policy), "sections", list, "leases",
			  leases);
	int rc = 0;

	if (!object || !call->metrics)
		return say_object(to, object, call->watch ? JSON_COMPACT : JSON_INDENT(2));
	if (call->output)
		rc = status_metrics_replace(object, call->output);
	else
		status_metrics_write(object, to);
	json_decref(object);
	return rc;
}

static int draw_status(FILE *to, void *context)
{
	const struct call *call = context;
	const struct canvas canvas = {
		.to = to,
		.width = find_width(),
		.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
		.colour = say_in_colour(stdout),
	};
	struct view view = { .sections = { .rule = NULL } };
	const bool data = call->json || call->metrics;
	json_t *list = data ? json_array() : NULL, *leases = data ? json_array() : NULL;
	struct held_leases leased = { .count = 0 };
	int rc, failed;

	rc = read_status(call, &leased, &view);
	failed = rc ? 0 : draw_sections(call, &view, &canvas, list);
	if (!rc && !failed)
		failed = draw_leases(&leased, &view, &canvas, leases);
	if (failed)
		rc = say_failure("%s", strerror(-failed));
	if (!rc && list)
		rc = print_object(call, &view, list, leases, to);
	else if (!rc && !view.sections.count && !leased.count)
		fprintf(to, "%s has no section yet, so there is no range to show\n",
			view.sections.policy.file);
	json_decref(list);
	json_decref(leases);
	held_leases_free(&leased);
	view_free(&view);
	return rc;
}

static int status(const struct option_values *given)
{
	struct call call;
	double seconds = 2;
	char *rest;

	call.config = given->value[OPTION_CONFIG];
	call.range = given->value[OPTION_RANGE];
	call.apps = given->operand;
	/* not the machine's, so it is taken away when the sections are read; but the leases are there */
	call.state = variables_get(VARIABLE_STATE);
	call.state = call.state && *call.state == '/' ? strdup(call.state) : NULL;
	call.json = given->value[OPTION_JSON];
	call.watch = given->value[OPTION_WATCH];
	call.metrics = given->value[OPTION_OPENMETRICS];
	call.output = given->value[OPTION_OUTPUT];
	if (call.metrics && (call.json || call.watch || call.range))
		return option_wrong(
			&verb_status,
			"'--openmetrics' goes with none of '--json', '--watch' and '--range'");
	if (call.output && !call.metrics)
		return option_wrong(&verb_status, "'--output' is for '--openmetrics'");
	if (call.range && (*call.apps || call.config))
		return option_wrong(&verb_status, "'--range' takes the place of %s, give only one",
				    *call.apps ? "a section" : "a file");
	if (call.watch && *given->value[OPTION_WATCH]) {
		seconds = strtod(given->value[OPTION_WATCH], &rest);
		if (*rest || !(seconds >= 0.1 && seconds <= 86400))
			return option_wrong(&verb_status,
					    "'%s' is not a number of seconds from 0.1 to 86400",
					    given->value[OPTION_WATCH]);
	}
	setlocale(LC_CTYPE, "");
	return call.watch ? status_watch_run(seconds, draw_status, &call)
			  : draw_status(stdout, &call);
}
