/* trap: serves the system calls that a supervised tree's filter has stopped, one after another. */
#ifndef PORTFENCE_SUPERVISOR_TRAP_H
#define PORTFENCE_SUPERVISOR_TRAP_H

#include "../core/fence.h"
#include "../core/log.h"
#include "born.h"
#include "inner.h"

/**
 * trap_serve() - Serve until nobody is left under the filter
 * @listener:	of the filter
 * @born:	where nobody may be looked into, the sockets that are born here, else NULL
 * @fence:	its rule is served by the bind engine, see trap.c
 * @log:	its standard error is the program's own, looked up for each line
 * @offer:	what runs inside are told, see inner.h
 * @program:	a pidfd of the program that was started first
 * @errors:	what was its standard error: a duplicate, or opened with O_PATH; -1 for none
 * @starter:	as for confinement_start()
 */
void trap_serve(int listener, struct born *born, const struct fence *fence, struct log *log,
		const struct inner_offer *offer, int program, int errors, int starter);

#endif
