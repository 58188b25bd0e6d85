/* supervise: puts this process under a filter, and starts the one that serves its calls, or only holds what the run needs. */
#ifndef PORTFENCE_SUPERVISOR_SUPERVISE_H
#define PORTFENCE_SUPERVISOR_SUPERVISE_H

#include "../core/settings.h"
#include "obstacle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * supervise_start() - Fence this process, and all that it will start, from outside
 * @settings:	its rule is the whole tree's; its gate passes (libportfence, gate.c). It is told there
 *		whether programs can be looked into, and the tracer, where Yama wants each process to
 *		name it, which the library does
 * @exact:	only where no signal can interrupt a call that is being served (Linux 5.19): a mapped
 *		message that the supervisor has sent could be sent once more
 * @ret_obstacle: where it fails, why, and nothing has changed
 *
 * Inside another run that has a supervisor, no other supervisor is possible: that one gets the rule, and serves
 * this run, too (inner.h).
 * Once it has returned 0, whatever this process executes is fenced.
 *
 * Return: 0, or -errno; -ENOTRECOVERABLE if the filter is there and nobody serves its calls
 */
int supervise_start(struct settings *settings, bool exact, struct obstacle *ret_obstacle);

/* supervise_is_inside() - Has supervise_start() found the supervisor of an outer run, which serves this process? */
bool supervise_is_inside(void);

/**
 * supervise_check() - Could it be done here?
 *
 * Tries it, in a process that does nothing else. It takes the arguments of supervise_start(), and
 * returns what that would return.
 *
 * @gate:	of the settings
 */
int supervise_check(uint64_t gate, bool exact, struct obstacle *ret_obstacle);

/**
 * supervise_hold() - Let a descriptor stay open as long as anybody of the tree lives
 * @fd:		it is this process's to close, and is best close-on-exec: the program closes what it wants
 *
 * To be called before supervise_start() or supervise_keep().
 *
 * Return: 0, -ENOSPC if there are too many
 */
int supervise_hold(int fd);

/* supervise_holds() - Is there any such descriptor? */
bool supervise_holds(void);

/**
 * supervise_keep() - Start the process that holds them, where there is no supervisor
 * @ret_obstacle: where it fails, why, and nothing has changed
 *
 * It takes no filter: this process gets a mark (mark.h) that all that it starts inherits, and the
 * process that holds ends when nobody carries that any more.
 *
 * Return: 0, or -errno
 */
int supervise_keep(struct obstacle *ret_obstacle);

/* supervise_gate() - Draw a gate; 0 if this machine has none */
uint64_t supervise_gate(void);

#endif
