/* translated: under a map, puts the port in an address that the kernel or the program knows; it hooks nothing. */
#ifndef PORTFENCE_SHIM_TRANSLATED_H
#define PORTFENCE_SHIM_TRANSLATED_H

#include "../core/addr.h"
#include "shim.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address for the kernel: the program's own, or our copy with another port. */
struct translated {
	const struct sockaddr *addr;
	socklen_t len;
	uint16_t program_port; /* of translated_bind(): the port that the program named; 0 if none was translated */
	union addr copy;
};

/* All functions of this file keep errno. Call them only under a map. */

/* translated_bind() - Translate the address of a bind() */
void translated_bind(struct shim *shim, int fd, const struct sockaddr *addr, socklen_t len,
		     struct translated *ret_mapped);

/**
 * translated_to() - Translate a destination
 *
 * Return: 0; -errno if the call has to fail, as the kernel does not tell whether the address is this
 * machine's
 */
int translated_to(struct shim *shim, int fd, const struct sockaddr *addr, socklen_t len,
		  struct translated *ret_mapped);

/**
 * translated_message() - Translate the destination of a message
 * @ret_copy:	the message, with its name in @ret_mapped
 *
 * Return: 1; 0 if nothing was translated, or the message cannot be read; -errno as translated_to()
 */
int translated_message(struct shim *shim, int fd, const struct msghdr *message,
		       struct msghdr *ret_copy, struct translated *ret_mapped);

/* translated_room() - The room for an address, which *@len holds before a call; 0 if it cannot be read */
socklen_t translated_room(const socklen_t *len);

/* translated_message_room() - The room for a message's name; 0 if the message cannot be read */
socklen_t translated_message_room(const struct msghdr *message);

/**
 * translated_local() - Translate a socket's own address, in place, after the kernel has written it
 * @room:	bytes in the program's buffer, as they were before the call
 * @len:	bytes of the address, as the kernel says after the call
 */
void translated_local(struct shim *shim, struct sockaddr *addr, socklen_t room, socklen_t len);

/*
 * translated_from() - Translate a peer's address, in place, after the kernel has written it
 *
 * @fd is any socket of the same network namespace; @room and @len are those of translated_local().
 */
void translated_from(struct shim *shim, int fd, struct sockaddr *addr, socklen_t room,
		     socklen_t len);

#endif
