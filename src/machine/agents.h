/* agents: programs that use ranges of ports by default, and which of them are on this machine. */
#ifndef PORTFENCE_MACHINE_AGENTS_H
#define PORTFENCE_MACHINE_AGENTS_H

#include "../core/range.h"

#include <stddef.h>
#include <stdint.h>

/* At most so many are known. */
#define AGENTS_MOST 8

struct agent {
	const char *name;
	const char *use; /* what it uses the ports for */
	uint16_t first, last;
	/* it is on the machine if one of these is; NULL: not looked for */
	const char *processes;  /* globs of their names, separated by commas */
	const char *interfaces; /* globs of the names of network interfaces */
	const char *folder;
};

/**
 * agents_seen() - Find the agents whose default ports are in a range, and that are on this machine
 *
 * It looks for processes, network interfaces and folders that every user can see.
 *
 * Return: how many
 */
size_t agents_seen(const struct range *range, const struct agent *ret_agent[AGENTS_MOST]);

#endif
