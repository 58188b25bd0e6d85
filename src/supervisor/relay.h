/* relay: makes a supervised thread's call with a destination in the place of its own; it chooses none. */
#ifndef PORTFENCE_SUPERVISOR_RELAY_H
#define PORTFENCE_SUPERVISOR_RELAY_H

#include "trapped_call.h"

/**
 * relay_call() - Make a call that would go on, if its rule's map has another port for its destination
 *
 * A connect() that has to wait ends early for a signal of the caller's, and for its death. A send
 * never waits.
 *
 * Return: CALL_CONTINUES if it needs no other; CALL_ANSWERED; or the call's result, 0 (see @trapped->value)
 * or -errno
 */
int relay_call(struct trapped_call *trapped);

#endif
