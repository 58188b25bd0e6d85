/* lease_hold: tells when a lease that `portfence lease` holds is over; it holds none itself. */
#ifndef PORTFENCE_CLI_LEASE_HOLD_H
#define PORTFENCE_CLI_LEASE_HOLD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LEASE_HOLD_INPUT, LEASE_HOLD_PARENT, LEASE_HOLD_WATCHED };

/* What the lease depends on: standard input, and the process that started this one. */
struct lease_hold {
	struct pollfd watched[LEASE_HOLD_WATCHED]; /* its fd is -1 if it is not watched */
	pid_t parent;
};

/**
 * lease_hold_begin() - Begin to watch standard input and the parent process
 *
 * Call it first: a parent that has ended before is not noticed. Standard input is watched if it is a
 * pipe, a socket or a terminal that can be read. Anything else would end at once, such as /dev/null,
 * which a shell gives to commands in the background and systemd to services.
 */
void lease_hold_begin(struct lease_hold *ret_hold);

/**
 * lease_hold_wait() - Wait until the lease is over
 * @ns:		at most so long; below 0: without end
 *
 * What is read from standard input is thrown away.
 *
 * Return: false if the lease is over
 */
bool lease_hold_wait(struct lease_hold *hold, int64_t ns);

/**
 * lease_hold_let_go() - Close all descriptors that the holder of a lease does not need
 * @kept:	ascending, above 2
 * @input:	standard input, too, becomes /dev/null
 *
 * Standard output and standard error become /dev/null, so that a process that reads them to their
 * end does not wait for the end of the lease.
 */
void lease_hold_let_go(const int kept[], size_t count, bool input);

#endif
