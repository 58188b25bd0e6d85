/* held_leases: the leases that are held now, and how JSON tells of one; it takes none. */
#ifndef PORTFENCE_CLI_HELD_LEASES_H
#define PORTFENCE_CLI_HELD_LEASES_H

#include "../machine/lease.h"

#include <jansson.h>
#include <stddef.h>

/* Zeroed memory: there are none. */
struct held_leases {
	struct lease *lease; /* by ascending port; of several holders, the one that came first */
	size_t count;
	struct lease *holder; /* of leases with a name, by ascending port, then by time */
	size_t holders;
};

/**
 * held_leases_read() - Read all leases of this user, or of all users where they share a file
 *
 * If there are too many to list, a warning says so.
 *
 * Return: 0, also if nobody has taken a lease yet; -errno and the problem in @ret_why
 */
int held_leases_read(const struct settings *settings, struct held_leases *ret_leases,
		     struct reason *ret_why);

/* held_leases_free() - Give the memory back */
void held_leases_free(struct held_leases *leases);

/**
 * held_leases_holders() - All holders of a lease, the one that came first in front
 *
 * Return: how many, 1 or more
 */
size_t held_leases_holders(const struct held_leases *leases, const struct lease *lease,
			   const struct lease **ret_first);

/* held_leases_describe() - A lease as a JSON object; what its holder has not told is null */
json_t *held_leases_describe(const struct held_leases *leases, const struct lease *lease);

#endif
