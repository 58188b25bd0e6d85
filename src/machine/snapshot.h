/* snapshot: one look at the machine, as several verbs need it; it prints only what went wrong. */
#ifndef PORTFENCE_MACHINE_SNAPSHOT_H
#define PORTFENCE_MACHINE_SNAPSHOT_H

#include "../cli/sections.h"
#include "fenced.h"
#include "processes.h"
#include "sockets.h"

/* Zeroed memory is a look that was not taken. */
struct snapshot {
	struct sections sections; /* the verb's to load */
	struct sockets sockets;
	struct processes processes;
	struct fenced_looks looks;
};

/**
 * snapshot_around() - Read sockets and processes
 * @flags:	SOCKETS_ values
 * @failure:	what to return where it fails; standard error says why
 *
 * Return: 0, or @failure
 */
int snapshot_around(unsigned flags, int failure, struct snapshot *look);

/* snapshot_end() - Give everything back, also after a failure */
void snapshot_end(struct snapshot *look);

#endif
