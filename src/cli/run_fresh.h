/* run_fresh: gives a run a state of its own, in which ports come as in every other; it starts nothing. */
#ifndef PORTFENCE_CLI_RUN_FRESH_H
#define PORTFENCE_CLI_RUN_FRESH_H

#include "../core/settings.h"

#include <limits.h>
#include <stdbool.h>

/**
 * run_fresh_start() - Take a state folder that no other run has, and point the tree to it
 * @settings:	its rule is replaced by one that has a seed and an order of its own, and its
 *		state by the folder; the variables say the same
 *
 * The folder is this run's as long as the lock in it is held, which is handed to
 * supervise_hold(). So a run that is killed leaves nothing that would be in the way.
 *
 * Return: 0, or say_status() after the problem was reported
 */
int run_fresh_start(struct settings *settings, struct arena *arena);

#endif
