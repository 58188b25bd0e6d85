#include "occupancy.h"

#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- destinations ---- */

struct destination {
	uint8_t remote[16];
	uint16_t remote_port;
	uint16_t local_port;
	uint32_t entry; /* not compared */
};

static int compare_destinations(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct destination, entry));
}

/* Finds the peer towards which most ports are taken: a TCP port serves one connection to each. */
static int find_fullest(const struct sockets *sockets, struct occupancy_proto *proto)
{
	struct destination *list = calloc(proto->sockets + 1, sizeof(*list));
	const struct destination *before = NULL;
	uint32_t ports = 0;
	size_t i, count = 0;

	if (!list)
		return -ENOMEM;
	for (i = 0; i < sockets->count; i++) {
		const struct sockets_entry *entry = &sockets->entry[i];

		if (sockets_proto(entry) != PROTO_TCP || !entry->remote_port ||
		    !range_has(proto->range, entry->local_port))
			continue;
		memcpy(list[count].remote, entry->remote, sizeof(entry->remote));
		list[count].remote_port = entry->remote_port;
		list[count].local_port = entry->local_port;
		list[count++].entry = (uint32_t)i;
	}
	qsort(list, count, sizeof(*list), compare_destinations);
	for (i = 0; i < count; before = &list[i++]) {
		if (before && !compare_destinations(before, &list[i]))
			continue;
		if (!before || memcmp(before, &list[i], offsetof(struct destination, local_port))) {
			proto->destinations++;
			ports = 0;
		}
		if (++ports > proto->fullest_ports) {
			proto->fullest_ports = ports;
			proto->fullest = &sockets->entry[list[i].entry];
		}
	}
	free(list);
	return 0;
}

/* ---- holders ---- */

static bool is_outside(const struct rule *rule, const struct fenced *fenced)
{
	int proto;

	if (fenced->state == FENCED_NOT)
		return true;
	if (fenced->state != FENCED_RULE)
		return false;
	if (*rule->name)
		return strcmp(rule->name, fenced->rule->name);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		if (range_overlap(rule->range[proto], fenced->rule->range[proto]))
			return false;
	return true;
}

static int compare_holders(const void *a, const void *b)
{
	const struct occupancy_holder *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	if (x->kind == OCCUPANCY_PROCESS)
		return (x->process > y->process) - (x->process < y->process);
	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* How strongly a port is held; the strongest of its sockets counts. */
enum hold { FREE, WAITING, ORPHANED, HELD };

static enum hold judge_hold(const struct sockets_entry *entry)
{
	if (entry->inode)
		return HELD;
	return entry->state == SOCKETS_TIME_WAIT ? WAITING : ORPHANED;
}

/* What the counting needs at hand. */
struct count {
	struct snapshot *snapshot;
	struct occupancy *occupancy;
	uint32_t *of_process; /* by process: index of its holder, and 1 */
};

/* Return: NULL if there is no memory */
static struct occupancy_holder *add_holder(struct occupancy *occupancy, enum occupancy_kind kind,
					   uint32_t uid)
{
	struct occupancy_holder *holder =
		array_add(&occupancy->holder, &occupancy->holders, sizeof(*holder));

	if (holder) {
		holder->kind = kind;
		holder->uid = uid;
	}
	return holder;
}

static struct occupancy_holder *find_process(struct count *count, const struct process *process)
{
	struct occupancy *occupancy = count->occupancy;
	uint32_t *index = &count->of_process[process - count->snapshot->processes.entry];
	struct occupancy_holder *holder;

	if (*index)
		return &occupancy->holder[*index - 1];
	holder = add_holder(occupancy, OCCUPANCY_PROCESS, 0);
	if (!holder)
		return NULL;
	*index = (uint32_t)occupancy->holders;
	holder->process = process;
	holder->fenced = snapshot_fenced(count->snapshot, process);
	holder->outside = is_outside(occupancy->rule, holder->fenced);
	return holder;
}

/* Who has a port without a process that can be seen? */
static struct occupancy_holder *find_other(struct occupancy *occupancy,
					   const struct sockets_entry *entry, enum hold strongest)
{
	const enum occupancy_kind kind = entry->inode           ? OCCUPANCY_UNSEEN
					 : strongest == WAITING ? OCCUPANCY_TIME_WAIT
								: OCCUPANCY_NOBODY;
	const uint32_t uid = kind == OCCUPANCY_UNSEEN ? entry->uid : 0;
	size_t i;

	for (i = 0; i < occupancy->holders; i++)
		if (occupancy->holder[i].kind == kind && occupancy->holder[i].uid == uid)
			return &occupancy->holder[i];
	return add_holder(occupancy, kind, uid);
}

static int count_port(struct count *count, enum proto proto, uint32_t index)
{
	struct occupancy *occupancy = count->occupancy;
	struct occupancy_proto *one = &occupancy->proto[proto];
	const uint16_t port = range_port(one->range, index);
	const uint32_t mark = (uint32_t)proto << 16 | port;
	const struct snapshot_holding *holding;
	size_t i, holdings = snapshot_on_port(count->snapshot, proto, port, &holding);
	enum hold strongest = FREE;
	bool outside = false;

	for (i = 0; i < holdings; i++) {
		enum hold hold = judge_hold(holding[i].entry);

		one->sockets += !i || holding[i].entry != holding[i - 1].entry;
		strongest = hold > strongest ? hold : strongest;
	}
	one->used[index] = strongest != FREE;
	one->ports += strongest != FREE;
	one->waiting += strongest == WAITING;
	for (i = 0; i < holdings; i++) {
		const struct sockets_entry *entry = holding[i].entry;
		struct occupancy_holder *holder;

		if (!entry->inode && strongest == HELD)
			continue;
		holder = holding[i].process ? find_process(count, holding[i].process)
					    : find_other(occupancy, entry, strongest);
		if (!holder)
			return -ENOMEM;
		outside |= holder->outside;
		if (holder->last == mark)
			continue;
		holder->last = mark;
		holder->ports[proto]++;
		holder->total++;
	}
	occupancy->outside += outside;
	return 0;
}

/* ---- the whole ---- */

static int count_proto(struct count *count, enum proto proto)
{
	struct occupancy_proto *one = &count->occupancy->proto[proto];
	uint32_t i;
	int rc = 0;

	one->range = count->occupancy->rule->range[proto];
	one->used = calloc(one->range->count, sizeof(*one->used));
	if (!one->used)
		return -ENOMEM;
	for (i = 0; !rc && i < one->range->count; i++)
		rc = count_port(count, proto, i);
	return rc;
}

int occupancy_read(const struct rule *rule, struct snapshot *snapshot,
		   struct occupancy *ret_occupancy)
{
	struct count count = { .snapshot = snapshot, .occupancy = ret_occupancy };
	int proto, rc;

	memset(ret_occupancy, 0, sizeof(*ret_occupancy));
	ret_occupancy->rule = rule;
	count.of_process = calloc(snapshot->processes.count + 1, sizeof(*count.of_process));
	rc = count.of_process ? 0 : -ENOMEM;
	for (proto = 0; !rc && proto < PROTO_COUNT; proto++)
		rc = count_proto(&count, (enum proto)proto);
	if (!rc)
		rc = find_fullest(&snapshot->sockets, &ret_occupancy->proto[PROTO_TCP]);
	array_sort(ret_occupancy->holder, ret_occupancy->holders, sizeof(*ret_occupancy->holder),
		   compare_holders);
	free(count.of_process);
	return rc;
}

void occupancy_free(struct occupancy *occupancy)
{
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++)
		free(occupancy->proto[proto].used);
	free(occupancy->holder);
	memset(occupancy, 0, sizeof(*occupancy));
}
