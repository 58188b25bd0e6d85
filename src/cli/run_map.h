/* run_map: lets the map of `portfence run` keep its optional ports; it takes no block. */
#ifndef PORTFENCE_CLI_RUN_MAP_H
#define PORTFENCE_CLI_RUN_MAP_H

#include "../core/arena.h"
#include "../core/settings.h"
#include "lease_block.h"

/**
 * run_map_keep() - Decide which optional ports of the rule's map stay as they are
 * @block:	of this run. If it has none, the ports are 0, and the entry only says who it is
 * @settings:	their rule has a map; if it has optional ports, the rule is replaced with a copy
 *
 * A port stays if no other lease has it and no socket is on it. It is then a lease of this run, which
 * supervise_hold() keeps. Runs that share the name of a lease share what the first of them has decided.
 *
 * Return: 0, or say_status() after the problem was reported
 */
int run_map_keep(const struct lease_taken *block, struct arena *arena, struct settings *settings);

#endif
