/* translate: applies a rule's map to socket addresses; it changes no socket. */
#ifndef PORTFENCE_CORE_TRANSLATE_H
#define PORTFENCE_CORE_TRANSLATE_H

#include "addr.h"
#include "fence.h"

#include <stdbool.h>

/* All of these change only IPv4 and IPv6 addresses, and only for sockets of kinds that are fenced. */

/**
 * translate_bind() - Translate the address of a bind() from the program to the kernel
 *
 * Return: the port that the program named if it was replaced, else 0
 */
uint16_t translate_bind(const struct fence *fence, int fd, union addr *addr);

/**
 * translate_to() - Translate a destination from the program to the kernel, if it is on this machine
 *
 * The wildcard is on this machine, as connect() takes it for this host; multicast and
 * broadcast addresses count, too.
 *
 * Return: 1 if the port was replaced, 0; -errno if the kernel cannot be asked whether the
 * address is local
 */
int translate_to(const struct fence *fence, int fd, union addr *addr);

/* translate_local() - Translate a socket's own address for the program. Return: was it changed? */
bool translate_local(const struct fence *fence, union addr *addr);

/* translate_from() - Translate a peer's address for the program, if it is on this machine. Return: was it changed? */
bool translate_from(const struct fence *fence, int fd, union addr *addr);

#endif
