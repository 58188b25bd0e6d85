#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536

static size_t place_of(enum proto proto, uint16_t port)
{
	return (size_t)proto * PORTS + port;
}

static size_t place_of_entry(const struct sockets_entry *entry)
{
	return place_of(sockets_proto(entry), entry->local_port);
}

/* Writes the holdings of one socket. Return: the first one behind them */
static struct snapshot_holding *put_holdings(const struct processes *processes,
					     const struct sockets_entry *entry,
					     struct snapshot_holding *to)
{
	const struct processes_hold *hold = NULL;
	size_t i, count = processes_holders(processes, entry->inode, &hold);

	if (!count)
		*to++ = (struct snapshot_holding){ .entry = entry };
	for (i = 0; i < count; i++)
		*to++ = (struct snapshot_holding){
			.entry = entry,
			.process = &processes->entry[hold[i].process],
		};
	return to;
}

/* Sorts the holdings by place: counts those of each, then puts each behind the ones before it. */
static int join(struct snapshot *snapshot)
{
	const struct sockets *sockets = &snapshot->sockets;
	const struct processes_hold *hold = NULL;
	uint32_t *next = calloc(PROTO_COUNT * PORTS + 1, sizeof(*next));
	uint32_t total = 0, count;
	size_t i;

	snapshot->first = next;
	snapshot->fenced = calloc(snapshot->processes.count + 1, sizeof(*snapshot->fenced));
	if (!next || !snapshot->fenced)
		return -ENOMEM;
	for (i = 0; i < sockets->count; i++) {
		count = (uint32_t)processes_holders(&snapshot->processes, sockets->entry[i].inode,
						    &hold);
		next[place_of_entry(&sockets->entry[i])] += count ? count : 1;
	}
	for (i = 0; i <= PROTO_COUNT * PORTS; i++) {
		count = next[i];
		next[i] = total;
		total += count;
	}
	snapshot->holdings = total;
	snapshot->holding = calloc(total + 1, sizeof(*snapshot->holding));
	if (!snapshot->holding)
		return -ENOMEM;
	for (i = 0; i < sockets->count; i++) {
		uint32_t *at = &next[place_of_entry(&sockets->entry[i])];

		*at = (uint32_t)(put_holdings(&snapshot->processes, &sockets->entry[i],
					      &snapshot->holding[*at]) -
				 snapshot->holding);
	}
	/* by now each place has where the one behind it begins */
	memmove(next + 1, next, PROTO_COUNT * PORTS * sizeof(*next));
	next[0] = 0;
	return 0;
}

int snapshot_take(unsigned flags, const struct policy *policy, struct snapshot *ret_snapshot,
		  const char **ret_why)
{
	int rc;

	ret_snapshot->looks.otherwise = policy;
	*ret_why = "the kernel does not list its sockets";
	rc = sockets_read(flags, &ret_snapshot->sockets);
	if (rc)
		return rc;
	*ret_why = "'/proc' cannot be read";
	rc = processes_read(&ret_snapshot->sockets, &ret_snapshot->processes);
	return rc ? rc : join(ret_snapshot);
}

void snapshot_free(struct snapshot *snapshot)
{
	sockets_free(&snapshot->sockets);
	processes_free(&snapshot->processes);
	fenced_forget(&snapshot->looks);
	free(snapshot->holding);
	free(snapshot->first);
	free(snapshot->fenced);
}

size_t snapshot_on_port(const struct snapshot *snapshot, enum proto proto, uint16_t port,
			const struct snapshot_holding **ret_first)
{
	const uint32_t *first = &snapshot->first[place_of(proto, port)];

	*ret_first = &snapshot->holding[first[0]];
	return first[1] - first[0];
}

size_t snapshot_holders(const struct snapshot *snapshot, const struct snapshot_holding *holding)
{
	const struct snapshot_holding *end = snapshot->holding + snapshot->holdings;
	size_t count = 0;

	while (holding + count < end && holding[count].entry == holding->entry)
		count++;
	return count;
}

const struct fenced *snapshot_fenced(struct snapshot *snapshot, const struct process *process)
{
	const struct fenced **fenced = &snapshot->fenced[process - snapshot->processes.entry];

	if (!*fenced)
		*fenced = fenced_look(&snapshot->looks, process->pid);
	return *fenced;
}
