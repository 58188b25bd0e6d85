/* relay: makes a supervised thread's call with a destination in the place of its own; it chooses none. */
#ifndef PORTFENCE_CLI_RELAY_H
#define PORTFENCE_CLI_RELAY_H

#include "../core/addr.h"
#include "caller.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* What relay_connect() returns where the answer comes later. */
#define RELAY_LATER 1

/**
 * relay_connect() - connect(2), on behalf of a call that waits
 * @listener:	where the notification came from
 * @id:		of the notification
 *
 * One that has to wait does so in a thread of its own, which then answers. It
 * ends early for a signal of the caller's, and for its death.
 *
 * Return: the call's result, 0 or -errno; or RELAY_LATER
 */
int relay_connect(const struct caller *caller, int listener, uint64_t id, int fd,
		  const union addr *to, socklen_t len);

/* One message in a thread's memory. */
struct relay_message {
	uint64_t data; /* of sendto(2), with its size; if @header is 0 */
	uint64_t size;
	uint64_t header; /* of a struct msghdr */
	bool narrow;     /* 32-bit pointers */
	int flags;
};

/**
 * relay_send() - Send a message to another destination
 *
 * It never waits: a datagram to this machine has room, or there is none.
 *
 * Return: bytes sent, or -errno; -EMSGSIZE of one that is too large for a datagram
 */
long relay_send(const struct caller *caller, int fd, const struct relay_message *message,
		const union addr *to, socklen_t len);

#endif
