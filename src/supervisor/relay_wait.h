/* relay_wait: connects on behalf of a caller that waits for it, as long as that takes; it chooses no destination. */
#ifndef PORTFENCE_SUPERVISOR_RELAY_WAIT_H
#define PORTFENCE_SUPERVISOR_RELAY_WAIT_H

#include "trapped_call.h"

/**
 * relay_wait_connect() - Connect the socket of a blocking connect(), and answer the call
 * @to, @len:	where to
 *
 * It ends early for a signal of the caller's, for its death, and at the socket's own limit
 * (SO_SNDTIMEO).
 *
 * Return: CALL_ANSWERED: the call is answered by another thread; -ENOBUFS if that cannot be
 */
int relay_wait_connect(struct trapped_call *trapped, const union addr *to, socklen_t len);

#endif
