#include "escapes.h"

#include "../core/preset.h"
#include "array.h"
#include "broker.h"
#include "procfs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define GENERATIONS 64 /* the longest line of ancestors that is followed */

/* What the judging needs at hand. */
struct audit {
	const struct escapes_scope *scope;
	struct snapshot *snapshot;
	uint16_t ephemeral_first, ephemeral_last;
	struct escapes *escapes;
};

/* ---- processes ---- */

static bool is_elsewhere(pid_t pid)
{
	char here[64], there[64];

	return !procfs_link(PROCFS_SELF, "ns/net", here, sizeof(here)) &&
	       !procfs_link(pid, "ns/net", there, sizeof(there)) && strcmp(here, there) != 0;
}

static int add_unknown(struct escapes *escapes, pid_t pid, const char *why,
		       const struct process *broker)
{
	struct escapes_unknown *unknown =
		array_add(&escapes->unknown, &escapes->unknowns, sizeof(*unknown));

	if (!unknown)
		return -ENOMEM;
	unknown->why = why;
	unknown->broker = broker;
	/* it has ended meanwhile */
	if (processes_describe(pid, &unknown->process))
		escapes->unknowns--;
	return 0;
}

static bool in_scope(const struct escapes_scope *scope, const struct process *process,
		     const struct fenced *fenced)
{
	if (fenced->state != FENCED_RULE || (scope->pid && process->pid != scope->pid))
		return false;
	return !scope->app || !strcmp(scope->app, fenced->rule->name);
}

static int judge_process(struct audit *audit, const struct process *process)
{
	const struct escapes_scope *scope = audit->scope;
	struct escapes *escapes = audit->escapes;
	const struct fenced *fenced;
	bool elsewhere;

	if (scope->pid && process->pid != scope->pid)
		return 0;
	elsewhere = !process->holds && is_elsewhere(process->pid);
	/*
	 * To read what a process has mapped takes longer than all the rest. So only those
	 * are looked at that hold a socket here, or live in another namespace, whose
	 * sockets cannot be seen from here.
	 */
	if (!scope->pid && !process->holds && !elsewhere)
		return 0;
	fenced = snapshot_fenced(audit->snapshot, process);
	escapes->unseen += fenced->state == FENCED_UNSEEN;
	if (fenced->state == FENCED_UNKNOWN)
		return add_unknown(escapes, process->pid, fenced->why, NULL);
	if (!in_scope(scope, process, fenced))
		return 0;
	if (elsewhere)
		return add_unknown(escapes, process->pid, NULL, NULL);
	escapes->processes++;
	return 0;
}

/*
 * A fenced program may leave its sockets to a process that is not fenced. No socket tells whose it is,
 * so that is not known. The names of processes that hold no socket are read only if there is such a one.
 */
static int judge_brokers(struct audit *audit)
{
	const struct processes *processes = &audit->snapshot->processes;
	const struct escapes_scope *scope = audit->scope;
	const struct broker *broker;
	char exe[PATH_MAX];
	size_t i, k;
	int rc = 0;

	for (i = 0; !rc && i < processes->count; i++) {
		const struct process *server = &processes->entry[i];

		if (!server->holds || !broker_serves(server->name) ||
		    snapshot_fenced(audit->snapshot, server)->state == FENCED_RULE)
			continue;
		for (k = 0; !rc && k < processes->count; k++) {
			const struct process *client = &processes->entry[k];

			if (procfs_link(client->pid, "exe", exe, sizeof(exe)))
				continue;
			broker = broker_of(exe);
			if (broker && broker_is(broker, server->pid) &&
			    in_scope(scope, client, snapshot_fenced(audit->snapshot, client)))
				rc = add_unknown(audit->escapes, client->pid, NULL, server);
		}
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

static bool may_have(struct audit *audit, const struct snapshot_holding *holding)
{
	const struct sockets_entry *entry = holding->entry;
	const struct fenced *fenced = snapshot_fenced(audit->snapshot, holding->process);

	if (fenced->state == FENCED_RULE)
		return policy_holds(fenced->rule, sockets_proto(entry), entry->local_port);
	return fenced->state == FENCED_NOT;
}

/*
 * Finds a process that may have such a port, holds it, and is no descendant of
 * @process: it was there first, or has handed the socket over. A descendant may
 * as well have got it from @process.
 */
static const struct process *find_other(struct audit *audit, const struct snapshot_holding *holding,
					size_t holders, const struct process *process)
{
	size_t i;

	for (i = 0; i < holders; i++) {
		const struct process *other = holding[i].process;

		if (other != process && may_have(audit, &holding[i]) &&
		    !is_descendant(other->pid, process->pid))
			return other;
	}
	return NULL;
}

static bool is_listened(const struct snapshot *snapshot, const struct sockets_entry *entry)
{
	const struct snapshot_holding *holding;
	size_t i, holdings = snapshot_on_port(snapshot, sockets_proto(entry), entry->local_port,
					      &holding);

	for (i = 0; i < holdings; i++)
		if (holding[i].entry->state == SOCKETS_LISTEN)
			return true;
	return false;
}

static int add_finding(struct audit *audit, const struct snapshot_holding *holding, size_t holders,
		       const struct process *process)
{
	struct escapes *escapes = audit->escapes;
	const struct sockets_entry *entry = holding->entry;
	const struct fenced *fenced = snapshot_fenced(audit->snapshot, process);
	const struct process *other = find_other(audit, holding, holders, process);
	const struct port_origin_evidence evidence = {
		.entry = entry,
		.rule = fenced->rule,
		.inherited = other,
		.listener = is_listened(audit->snapshot, entry),
		.ephemeral = entry->local_port >= audit->ephemeral_first &&
			     entry->local_port <= audit->ephemeral_last,
	};
	struct escapes_finding *finding;
	const char *why;
	enum port_origin origin = port_origin_find(&evidence, &why);

	escapes->count[origin]++;
	if (origin == PORT_ORIGIN_ACCEPTED)
		return 0;
	finding = array_add(&escapes->finding, &escapes->findings, sizeof(*finding));
	if (!finding)
		return -ENOMEM;
	*finding = (struct escapes_finding){
		.entry = entry,
		.process = process,
		.fenced = fenced,
		.other = other,
		.origin = origin,
		.why = why,
	};
	return 0;
}

static int judge_socket(struct audit *audit, const struct snapshot_holding *holding, size_t holders)
{
	const struct process *first = NULL;
	bool ours = false;
	size_t i;

	for (i = 0; i < holders && holding->process; i++) {
		const struct process *process = holding[i].process;

		if (!in_scope(audit->scope, process, snapshot_fenced(audit->snapshot, process)))
			continue;
		ours = true;
		/* a parent rather than its child */
		if (!may_have(audit, &holding[i]) &&
		    (!first || is_descendant(first->pid, process->pid)))
			first = process;
	}
	audit->escapes->sockets += ours;
	return first ? add_finding(audit, holding, holders, first) : 0;
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

/* ---- who else uses a range ---- */

static bool is_shared_with(struct audit *audit, const struct rule *rule,
			   const struct snapshot_holding *holding, size_t holders)
{
	size_t i;

	for (i = 0; i < holders; i++) {
		const struct fenced *fenced = snapshot_fenced(audit->snapshot, holding[i].process);

		if (fenced->state == FENCED_RULE && !strcmp(fenced->rule->name, rule->name))
			return true;
	}
	return false;
}

/* Adds the holders of one socket that are not fenced. */
static int add_unfenced(struct audit *audit, const struct snapshot_holding *holding, size_t holders,
			uint32_t section)
{
	struct escapes *escapes = audit->escapes;
	size_t i;

	if (!holding->process ||
	    is_shared_with(audit, audit->scope->rules[section], holding, holders))
		return 0;
	for (i = 0; i < holders; i++) {
		struct escapes_unfenced *unfenced;

		if (snapshot_fenced(audit->snapshot, holding[i].process)->state != FENCED_NOT)
			continue;
		unfenced =
			array_add(&escapes->unfenced, &escapes->unfenced_ports, sizeof(*unfenced));
		if (!unfenced)
			return -ENOMEM;
		*unfenced = (struct escapes_unfenced){
			.section = section,
			.process = holding[i].process,
			.proto = sockets_proto(holding->entry),
			.port = holding->entry->local_port,
		};
	}
	return 0;
}

static int compare_unfenced(const void *a, const void *b)
{
	const struct escapes_unfenced *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return x->port - y->port;
}

/* ---- the whole ---- */

static int judge_holding(struct audit *audit, const struct snapshot_holding *holding,
			 size_t holders)
{
	const struct escapes_scope *scope = audit->scope;
	uint32_t i;
	int rc = judge_socket(audit, holding, holders);

	for (i = 0; !rc && !scope->pid && i < scope->rule_count; i++) {
		const struct rule *rule = scope->rules[i];

		/* each lease of a pool is another run's */
		if (!rule->lease && range_has(rule->range[sockets_proto(holding->entry)],
					      holding->entry->local_port))
			rc = add_unfenced(audit, holding, holders, i);
	}
	return rc;
}

int escapes_read(const struct escapes_scope *scope, struct escapes *ret_escapes)
{
	struct snapshot *snapshot = scope->snapshot;
	struct audit audit = { .scope = scope, .snapshot = snapshot, .escapes = ret_escapes };
	size_t i, holders;
	int rc;

	memset(ret_escapes, 0, sizeof(*ret_escapes));
	ret_escapes->unseen = snapshot->processes.unseen;
	rc = preset_ephemeral(&audit.ephemeral_first, &audit.ephemeral_last);
	for (i = 0; !rc && i < snapshot->processes.count; i++)
		rc = judge_process(&audit, &snapshot->processes.entry[i]);
	if (!rc)
		rc = judge_brokers(&audit);
	for (i = 0; !rc && i < snapshot->holdings; i += holders) {
		holders = snapshot_holders(snapshot, &snapshot->holding[i]);
		rc = judge_holding(&audit, &snapshot->holding[i], holders);
	}
	array_sort(ret_escapes->finding, ret_escapes->findings, sizeof(*ret_escapes->finding),
		   compare_findings);
	/* several sockets may have one port */
	ret_escapes->unfenced_ports =
		array_sort_unique(ret_escapes->unfenced, ret_escapes->unfenced_ports,
				  sizeof(*ret_escapes->unfenced), compare_unfenced);
	return rc;
}

void escapes_free(struct escapes *escapes)
{
	free(escapes->finding);
	free(escapes->unfenced);
	free(escapes->unknown);
	memset(escapes, 0, sizeof(*escapes));
}
