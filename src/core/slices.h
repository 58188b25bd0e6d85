/* slices: of equal slices of ports, one for each host, which one is this host's; it reads no file. */
#ifndef PORTFENCE_CORE_SLICES_H
#define PORTFENCE_CORE_SLICES_H

#include "arena.h"
#include "reason.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * "20000+2048 * %i" means: each host has 2048 ports, the host with the index 0 from port 20000 on,
 * the host with the index 1 from port 22048 on, and so forth.
 *
 * Where the index comes from:
 *
 *  %i  the variable PORTFENCE_INDEX, else the host's line in [hosts]
 *  %h  the variable PORTFENCE_INDEX, else the number at the end of the host's name: 7 for "web-7"
 *
 * A host's name is that of uname(2), whole or up to its first dot. Upper and lower case are the same.
 */

/* One line of [hosts]. Zero and NULL are the empty table. */
struct slices_host {
	const struct slices_host *next;
	const char *name;
	uint16_t index;
	unsigned line; /* where it stands, for messages */
};

/* slices_used() - Does a list of ports hold a slice? */
bool slices_used(const char *list);

/**
 * slices_add_host() - Add a line of [hosts] to a table
 * @index:	the line's value, a whole number as text
 * @hosts:	the table, whose names and indexes are all different
 *
 * Return: 0, -ENOMEM; -EINVAL and the problem in @ret_why
 */
int slices_add_host(const char *name, const char *index, unsigned line, struct arena *arena,
		    const struct slices_host **hosts, struct reason *ret_why);

/**
 * slices_expand() - Replace each slice of a list by this host's ports
 * @list:	items separated by commas; those that are no slice stay as they are
 * @hosts:	the table, NULL for none
 * @ret_list:	text for range_parse(), such as "22048+2048"; @list itself where it holds no slice
 *
 * Return: 0, -ENOMEM; -EINVAL and the problem in @ret_why
 */
int slices_expand(const char *list, const struct slices_host *hosts, struct arena *arena,
		  const char **ret_list, struct reason *ret_why);

#endif
