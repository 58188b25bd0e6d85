/* look: one look at the machine, as several verbs need it; it prints only what went wrong. */
#ifndef PORTFENCE_CLI_LOOK_H
#define PORTFENCE_CLI_LOOK_H

#include "fenced.h"
#include "processes.h"
#include "sections.h"
#include "sockets.h"

/* Zeroed memory is a look that was not taken. */
struct look {
	struct sections sections; /* the verb's to load */
	struct sockets sockets;
	struct processes processes;
	struct fenced_looks looks;
};

/**
 * look_around() - Read sockets and processes
 * @flags:	SOCKETS_ values
 * @failure:	what to return where it fails; standard error says why
 *
 * Return: 0, or @failure
 */
int look_around(unsigned flags, int failure, struct look *look);

/* look_end() - Give everything back, also after a failure */
void look_end(struct look *look);

#endif
