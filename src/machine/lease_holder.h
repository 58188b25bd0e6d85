/* lease_holder: finds a living process of each lease, where the one that took it has ended. */
#ifndef PORTFENCE_MACHINE_LEASE_HOLDER_H
#define PORTFENCE_MACHINE_LEASE_HOLDER_H

#include "lease.h"

/**
 * lease_holder_find() - Name a living process of each lease
 * @lease:	of lease_list(). Where the process that took the lease has ended, @pid and @heir become
 *		those of the oldest process that was started with the lease's variables
 *
 * A test may leave a helper behind, which keeps the lease. Without root, only this user's own
 * processes can be looked at: @pid becomes 0 where none was found.
 */
void lease_holder_find(struct lease *lease, size_t count);

#endif
