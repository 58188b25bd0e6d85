#include "escapes.h"

#include "../core/preset.h"
#include "array.h"
#include "procfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536
#define GENERATIONS 64 /* deepest line of ancestors that is followed */

/* What the judging needs at hand. */
struct bench {
	const struct escapes_scope *scope;
	const struct fenced **fenced; /* by the index of the process; NULL: not looked at */
	bool (*listened)[PORTS];      /* by protocol */
	uint16_t ephemeral_first, ephemeral_last;
	struct escapes *verdict;
};

/* ---- processes ---- */

static bool is_elsewhere(pid_t pid)
{
	char here[64], there[64];

	return !procfs_link(PROCFS_SELF, "ns/net", here, sizeof(here)) &&
	       !procfs_link(pid, "ns/net", there, sizeof(there)) && strcmp(here, there) != 0;
}

static int add_doubt(struct escapes *verdict, pid_t pid, const char *why)
{
	struct escapes_doubt *doubt = array_grow(verdict->doubt, verdict->doubts, sizeof(*doubt));

	if (!doubt)
		return -ENOMEM;
	verdict->doubt = doubt;
	doubt += verdict->doubts;
	memset(doubt, 0, sizeof(*doubt));
	doubt->why = why;
	verdict->doubts += !processes_describe(pid, &doubt->process);
	return 0;
}

static bool in_scope(const struct escapes_scope *scope, const struct process *process,
		     const struct fenced *fenced)
{
	if (fenced->state != FENCED_RULE || (scope->pid && process->pid != scope->pid))
		return false;
	return !scope->app || !strcmp(scope->app, fenced->rule->name);
}

/*
 * To look at what a process has mapped takes longer than all the rest, so it
 * is done only for those that can matter: who holds a socket here, and who
 * lives in another namespace, whose sockets cannot be seen from here.
 */
static int look_at_processes(struct bench *bench)
{
	const struct processes *processes = bench->scope->processes;
	size_t i;
	int rc = 0;

	bench->verdict->unseen = processes->unseen;
	for (i = 0; !rc && i < processes->count; i++) {
		const struct process *process = &processes->entry[i];
		bool elsewhere = !process->holds && is_elsewhere(process->pid);
		const struct fenced *fenced;

		if (!process->holds && !elsewhere && process->pid != bench->scope->pid)
			continue;
		fenced = fenced_look(bench->scope->looks, process->pid);
		bench->fenced[i] = fenced;
		if (bench->scope->pid && process->pid != bench->scope->pid)
			continue;
		bench->verdict->unseen += fenced->state == FENCED_UNSEEN;
		if (fenced->state == FENCED_UNKNOWN)
			rc = add_doubt(bench->verdict, process->pid, fenced->why);
		else if (in_scope(bench->scope, process, fenced) && elsewhere)
			rc = add_doubt(bench->verdict, process->pid, NULL);
		else
			bench->verdict->processes += in_scope(bench->scope, process, fenced);
	}
	return rc;
}

static bool is_descendant(pid_t pid, pid_t ancestor)
{
	struct process process = { .parent = pid };
	int i;

	for (i = 0; i < GENERATIONS && process.parent > 1; i++) {
		if (processes_describe(process.parent, &process))
			return false;
		if (process.parent == ancestor)
			return true;
	}
	return false;
}

/* ---- sockets outside the range ---- */

static bool may_have(const struct fenced *fenced, const struct sockets_entry *entry)
{
	if (fenced->state == FENCED_RULE)
		return policy_holds(fenced->rule, sockets_proto(entry), entry->local_port);
	return fenced->state == FENCED_NOT;
}

static bool is_stranger(const struct bench *bench, const struct processes_hold *hold,
			const struct sockets_entry *entry)
{
	const struct process *process = &bench->scope->processes->entry[hold->process];
	const struct fenced *fenced = bench->fenced[hold->process];

	return in_scope(bench->scope, process, fenced) &&
	       !policy_holds(fenced->rule, sockets_proto(entry), entry->local_port);
}

/*
 * Who may have such a port, holds it, and is no descendant of @process: then it
 * was there first, or has handed it over. A descendant may as well have got it
 * from @process.
 */
static const struct process *find_other(const struct bench *bench,
					const struct sockets_entry *entry,
					const struct processes_hold *hold, size_t holds,
					const struct process *process)
{
	size_t i;

	for (i = 0; i < holds; i++) {
		const struct process *other = &bench->scope->processes->entry[hold[i].process];

		if (other != process && may_have(bench->fenced[hold[i].process], entry) &&
		    !is_descendant(other->pid, process->pid))
			return other;
	}
	return NULL;
}

static int add_finding(struct bench *bench, const struct sockets_entry *entry,
		       const struct processes_hold *hold, size_t holds, size_t first)
{
	struct escapes *verdict = bench->verdict;
	struct escapes_finding *finding;
	struct port_origin_evidence evidence = {
		.entry = entry,
		.rule = bench->fenced[hold[first].process]->rule,
		.listener = bench->listened[sockets_proto(entry)][entry->local_port],
		.ephemeral = entry->local_port >= bench->ephemeral_first &&
			     entry->local_port <= bench->ephemeral_last,
	};
	const struct process *process = &bench->scope->processes->entry[hold[first].process];
	const struct process *other = find_other(bench, entry, hold, holds, process);
	const char *why;
	enum port_origin origin;

	evidence.inherited = other;
	origin = port_origin_find(&evidence, &why);
	verdict->count[origin]++;
	if (origin == PORT_ORIGIN_ACCEPTED)
		return 0;
	finding = array_grow(verdict->finding, verdict->findings, sizeof(*finding));
	if (!finding)
		return -ENOMEM;
	verdict->finding = finding;
	finding += verdict->findings++;
	finding->entry = entry;
	finding->process = process;
	finding->fenced = bench->fenced[hold[first].process];
	finding->other = other;
	finding->origin = origin;
	finding->why = why;
	return 0;
}

static int judge_socket(struct bench *bench, const struct sockets_entry *entry)
{
	const struct processes *processes = bench->scope->processes;
	const struct processes_hold *hold = NULL;
	size_t holds = processes_holders(processes, entry->inode, &hold), i, first = holds;
	bool ours = false;

	for (i = 0; i < holds; i++) {
		const struct process *process = &processes->entry[hold[i].process];

		ours |= in_scope(bench->scope, process, bench->fenced[hold[i].process]);
		if (!is_stranger(bench, &hold[i], entry))
			continue;
		/* a parent rather than its child */
		if (first == holds ||
		    is_descendant(processes->entry[hold[first].process].pid, process->pid))
			first = i;
	}
	bench->verdict->sockets += ours;
	return first == holds ? 0 : add_finding(bench, entry, hold, holds, first);
}

static int compare_findings(const void *a, const void *b)
{
	const struct escapes_finding *x = a, *y = b;

	if (x->origin != y->origin)
		return x->origin < y->origin ? -1 : 1;
	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->entry->protocol != y->entry->protocol)
		return x->entry->protocol - y->entry->protocol;
	if (x->entry->local_port != y->entry->local_port)
		return x->entry->local_port - y->entry->local_port;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

/* ---- who sits in a range ---- */

static bool is_shared_with(const struct bench *bench, const struct rule *rule,
			   const struct processes_hold *hold, size_t holds)
{
	size_t i;

	for (i = 0; i < holds; i++) {
		const struct fenced *fenced = bench->fenced[hold[i].process];

		if (fenced->state == FENCED_RULE && !strcmp(fenced->rule->name, rule->name))
			return true;
	}
	return false;
}

static int find_squatters(struct bench *bench, const struct sockets_entry *entry, uint32_t section)
{
	const struct escapes_scope *scope = bench->scope;
	const struct rule *rule = scope->rules[section];
	const enum proto proto = sockets_proto(entry);
	const struct processes_hold *hold = NULL;
	struct escapes *verdict = bench->verdict;
	size_t i, holds;

	/* of a pool, each lease is another's */
	if (rule->lease || !range_has(rule->range[proto], entry->local_port))
		return 0;
	holds = processes_holders(scope->processes, entry->inode, &hold);
	if (is_shared_with(bench, rule, hold, holds))
		return 0;
	for (i = 0; i < holds; i++) {
		struct escapes_squatter *squatter;

		if (bench->fenced[hold[i].process]->state != FENCED_NOT)
			continue;
		squatter = array_grow(verdict->squatter, verdict->squatters, sizeof(*squatter));
		if (!squatter)
			return -ENOMEM;
		verdict->squatter = squatter;
		squatter += verdict->squatters++;
		squatter->section = section;
		squatter->process = &scope->processes->entry[hold[i].process];
		squatter->proto = proto;
		squatter->port = entry->local_port;
	}
	return 0;
}

static int compare_squatters(const void *a, const void *b)
{
	const struct escapes_squatter *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return x->port - y->port;
}

/* Sorts them, and drops what is there twice: several sockets may have one port. */
static void sort_squatters(struct escapes *verdict)
{
	struct escapes_squatter *list = verdict->squatter;
	size_t i, kept = 0;

	if (!verdict->squatters)
		return;
	qsort(list, verdict->squatters, sizeof(*list), compare_squatters);
	for (i = 0; i < verdict->squatters; i++)
		if (!kept || compare_squatters(&list[i], &list[kept - 1]))
			list[kept++] = list[i];
	verdict->squatters = kept;
}

/* ---- the whole ---- */

static int judge_all(struct bench *bench)
{
	const struct sockets *sockets = bench->scope->sockets;
	uint32_t section;
	size_t i;
	int rc = 0;

	for (i = 0; i < sockets->count; i++) {
		const struct sockets_entry *entry = &sockets->entry[i];

		if (entry->state == SOCKETS_LISTEN)
			bench->listened[sockets_proto(entry)][entry->local_port] = true;
	}
	for (i = 0; !rc && i < sockets->count; i++) {
		rc = judge_socket(bench, &sockets->entry[i]);
		for (section = 0; !rc && !bench->scope->pid && section < bench->scope->rule_count;
		     section++)
			rc = find_squatters(bench, &sockets->entry[i], section);
	}
	return rc;
}

int escapes_read(const struct escapes_scope *scope, struct escapes *ret_verdict)
{
	struct bench bench = { .scope = scope, .verdict = ret_verdict };
	int rc;

	memset(ret_verdict, 0, sizeof(*ret_verdict));
	rc = preset_ephemeral(&bench.ephemeral_first, &bench.ephemeral_last);
	if (rc)
		return rc;
	bench.fenced = calloc(scope->processes->count + 1, sizeof(*bench.fenced));
	bench.listened = calloc(PROTO_COUNT, sizeof(*bench.listened));
	rc = bench.fenced && bench.listened ? 0 : -ENOMEM;
	if (!rc)
		rc = look_at_processes(&bench);
	if (!rc)
		rc = judge_all(&bench);
	if (ret_verdict->findings)
		qsort(ret_verdict->finding, ret_verdict->findings, sizeof(*ret_verdict->finding),
		      compare_findings);
	sort_squatters(ret_verdict);
	free(bench.fenced);
	free(bench.listened);
	return rc;
}

void escapes_free(struct escapes *verdict)
{
	free(verdict->finding);
	free(verdict->squatter);
	free(verdict->doubt);
	memset(verdict, 0, sizeof(*verdict));
}
