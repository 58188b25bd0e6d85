/* snapshot: the sockets, processes and fenced processes of this machine at one moment; it judges none. */
#ifndef PORTFENCE_MACHINE_SNAPSHOT_H
#define PORTFENCE_MACHINE_SNAPSHOT_H

#include "fenced.h"
#include "processes.h"
#include "sockets.h"

/* Zeroed memory is an empty snapshot. */
struct snapshot {
	struct sockets sockets;
	struct processes processes;
	struct fenced_looks looks;
};

/**
 * snapshot_take() - Read all sockets, and the processes that hold them
 * @flags:	SOCKETS_ values
 * @policy:	the configuration that a process is taken to have if it names no other
 * @ret_why:	on failure, the sentence that says what cannot be read
 *
 * Return: 0, or -errno; give the snapshot back with snapshot_free() either way
 */
int snapshot_take(unsigned flags, const struct policy *policy, struct snapshot *ret_snapshot,
		  const char **ret_why);

/* snapshot_free() - Give the memory back */
void snapshot_free(struct snapshot *snapshot);

#endif
