/* translate: puts a rule's map into effect on socket addresses; it makes no call that changes a socket. */
#ifndef PORTFENCE_CORE_TRANSLATE_H
#define PORTFENCE_CORE_TRANSLATE_H

#include "addr.h"
#include "fence.h"

#include <stdbool.h>

/* All of these leave alone what is no IPv4 or IPv6 address, and sockets of kinds that are not fenced. */

/**
 * translate_bind() - The address of a bind() as the kernel is to see it
 *
 * Return: the port that the program named, if another is there now; else 0
 */
uint16_t translate_bind(const struct fence *fence, int fd, union addr *addr);

/**
 * translate_to() - Likewise a destination, if it is an address of this machine
 *
 * The wildcard is one, too: connect() takes it for this host. So are multicast
 * groups and broadcast addresses.
 *
 * Return: 1 if the port was changed, 0; -errno if the kernel cannot be asked whose the address is
 */
int translate_to(const struct fence *fence, int fd, union addr *addr);

/* translate_local() - A socket's own address as the program is to see it; true if it was changed */
bool translate_local(const struct fence *fence, union addr *addr);

/* translate_from() - Likewise a peer's, if it is an address of this machine */
bool translate_from(const struct fence *fence, int fd, union addr *addr);

#endif
