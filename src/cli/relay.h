/* relay: makes a supervised thread's call with a destination in the place of its own; it chooses none. */
#ifndef PORTFENCE_CLI_RELAY_H
#define PORTFENCE_CLI_RELAY_H

#include "stop.h"

/**
 * relay_call() - Make a call that would go on, if its rule's map has another port for its destination
 *
 * A connect() that has to wait ends early for a signal of the caller's, and for its death. A send
 * never waits.
 *
 * Return: STOP_GO_ON if it needs no other; STOP_ANSWERED; or the call's result, 0 (see @stop->value)
 * or -errno
 */
int relay_call(struct stop *stop);

#endif
