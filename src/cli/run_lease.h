/* run_lease: the lease that `portfence run` takes for a command: how large, from where, told to whom. */
#ifndef PORTFENCE_CLI_RUN_LEASE_H
#define PORTFENCE_CLI_RUN_LEASE_H

#include "../core/arena.h"
#include "../core/settings.h"
#include "../machine/lease.h"

#include <stdbool.h>
#include <stdint.h>

/* What the command line says of it; NULL where it says nothing. */
struct run_lease_request {
	const char *lease; /* how many ports */
	const char *pool;
	const char *wait;
	const char *substitute;
};

/* The ports that were taken, and which of them the command's arguments name. */
struct run_lease {
	bool taken;
	bool names; /* there are such */
	uint8_t named[65536 / 8];
	struct lease lease; /* the ports, and what others are told of it */
	int fd;             /* of the file */
};

/* Both return 0, or report the problem on standard error and return say_status(). */

/**
 * run_lease_take() - Take a lease, if the command line or the rule asks for one
 * @settings:	of the command, its rule may be NULL
 * @argv:	the command; with `substitute`, its arguments are replaced
 * @arena:	where these are
 * @ret_block:	not taken where nobody asks for one
 *
 * The lease is held as supervise_hold() has it. PORTFENCE_RANGE, PORTFENCE_FIRST and PORTFENCE_LAST
 * tell of it from here on, so the rule has to be found again.
 *
 * Return: 0, or say_status()
 */
int run_lease_take(const struct run_lease_request *request, const struct settings *settings,
		   char *argv[], struct arena *arena, struct run_lease *ret_block);

/**
 * run_lease_finish() - Take the ports that the command's arguments name out of its rule's range, and
 * tell others of its map
 *
 * They are the program's to bind to, so nobody else of the tree is to get them by chance. The
 * range stays as it is where nothing would be left, and with `bind = own`, for which a port
 * outside it is not the program's. One that stands for another port is a mistake.
 *
 * Return: 0, or say_status()
 */
int run_lease_finish(struct run_lease *block, struct arena *arena, struct settings *settings);

#endif
