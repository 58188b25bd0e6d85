/* snapshot: the sockets and processes of this machine at one moment, and who holds what; it judges none. */
#ifndef PORTFENCE_MACHINE_SNAPSHOT_H
#define PORTFENCE_MACHINE_SNAPSHOT_H

#include "fenced.h"
#include "processes.h"
#include "sockets.h"

/* A socket and one of the processes that hold it. */
struct snapshot_holding {
	const struct sockets_entry *entry;
	const struct process *process; /* NULL: no process holds it, or none that can be seen */
};

/* Zeroed memory is an empty snapshot. */
struct snapshot {
	struct sockets sockets;
	struct processes processes;
	struct fenced_looks looks;
	struct snapshot_holding
		*holding; /* by protocol, port and socket; each socket has at least one */
	size_t holdings;
	uint32_t *first; /* by protocol and port: index into holding; one more at the end */
	const struct fenced **fenced; /* by process; NULL until it is asked for */
};

/**
 * snapshot_take() - Read all sockets, and the processes that hold them
 * @flags:	SOCKETS_ values
 * @policy:	the configuration of a process that names no other; NULL for none
 * @ret_why:	on failure, the sentence that says what cannot be read
 *
 * Return: 0, or -errno; give the snapshot back with snapshot_free() either way
 */
int snapshot_take(unsigned flags, const struct policy *policy, struct snapshot *ret_snapshot,
		  const char **ret_why);

/* snapshot_free() - Give the memory back */
void snapshot_free(struct snapshot *snapshot);

/**
 * snapshot_on_port() - Find the sockets on a local port, and their processes
 * @ret_first:	the first holding; the others follow, those of one socket together
 *
 * Return: how many holdings
 */
size_t snapshot_on_port(const struct snapshot *snapshot, enum proto proto, uint16_t port,
			const struct snapshot_holding **ret_first);

/* snapshot_holders() - How many holdings of one socket begin at @holding? */
size_t snapshot_holders(const struct snapshot *snapshot, const struct snapshot_holding *holding);

/* snapshot_fenced() - Find out how a process of the snapshot is fenced, once. Never NULL */
const struct fenced *snapshot_fenced(struct snapshot *snapshot, const struct process *process);

#endif
