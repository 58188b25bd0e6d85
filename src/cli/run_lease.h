/* run_lease: takes the lease that `portfence run` asks for and hands its ports to the command. */
#ifndef PORTFENCE_CLI_RUN_LEASE_H
#define PORTFENCE_CLI_RUN_LEASE_H

#include "../core/arena.h"
#include "../core/settings.h"
#include "lease_block.h"

#include <stdbool.h>
#include <stdint.h>

/* What the command line says about the lease. NULL: the option was not given. */
struct run_lease_options {
	const char *lease; /* how many ports */
	const char *pool;
	const char *wait;
	const char *name;
	const char *substitute;
};

/* The lease of this run, and which of its ports the command's arguments name. */
struct run_lease {
	bool taken;
	bool names; /* an argument names at least one port */
	uint8_t named[65536 / 8];
	struct lease_taken
		block; /* the ports, and what 'portfence leases' shows about their holder */
};

/* Both return 0, or report the problem on standard error and return say_status(). */

/**
 * run_lease_take() - Take a lease, if the command line or the rule asks for one
 * @settings:	of the command; the rule may be NULL
 * @argv:	the command; with `substitute`, its arguments are replaced
 * @arena:	holds the new arguments
 * @ret_lease:	its @taken is false if no lease was asked for
 *
 * supervise_hold() keeps the lease as long as the process tree lives. PORTFENCE_RANGE,
 * PORTFENCE_FIRST and PORTFENCE_LAST are set to it, so the caller has to read the settings again.
 */
int run_lease_take(const struct run_lease_options *options, const struct settings *settings,
		   char *argv[], struct arena *arena, struct run_lease *ret_lease);

/**
 * run_lease_finish() - Exclude the ports that arguments name from the rule's range, let the map keep
 * its optional ports, and publish it
 *
 * Without a lease, it does the second alone: see run_map_keep().
 *
 * The command binds to the named ports itself, so no other call of the tree may get one by chance.
 * The range stays as it is if nothing would be left, and under `bind = own`, which forbids to bind
 * to a port outside the range. An argument that names the real port of a mapped one is an error.
 */
int run_lease_finish(struct run_lease *lease, struct arena *arena, struct settings *settings);

#endif
