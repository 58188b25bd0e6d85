/* relay: makes a call for a supervised thread, with another destination in it; it chooses no port. */
#ifndef PORTFENCE_SUPERVISOR_RELAY_H
#define PORTFENCE_SUPERVISOR_RELAY_H

#include "trapped_call.h"

/**
 * relay_call() - Make a call that would continue, if its rule's map has another port for its destination
 *
 * A connect() that has to wait ends early for a signal of the caller's, and for its death. A send
 * never waits.
 *
 * Return: CALL_CONTINUES if it needs no other; CALL_ANSWERED; or the call's result, 0 (see @trapped->value)
 * or -errno
 */
int relay_call(struct trapped_call *trapped);

#endif
