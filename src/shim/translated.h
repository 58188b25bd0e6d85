/* translated: addresses of calls under a map, as the kernel sees them and as the program does; it hooks nothing. */
#ifndef PORTFENCE_SHIM_TRANSLATED_H
#define PORTFENCE_SHIM_TRANSLATED_H

#include "../core/addr.h"
#include "shim.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address that goes to the kernel: the program's own, or one in its place. */
struct translated {
	const struct sockaddr *addr;
	socklen_t len;
	uint16_t asked; /* of translated_bind(): as translate_bind() */
	union addr copy;
};

/* All of these keep errno. Without a map, do not call them. */

/* translated_bind() - The address of a bind() */
void translated_bind(struct shim *shim, int fd, const struct sockaddr *addr, socklen_t len,
		     struct translated *ret_mapped);

/**
 * translated_to() - A destination
 *
 * Return: 0; -errno if nobody can tell whether it is this machine's, and the call has to fail
 */
int translated_to(struct shim *shim, int fd, const struct sockaddr *addr, socklen_t len,
		  struct translated *ret_mapped);

/**
 * translated_message() - A message whose destination was translated
 * @ret_copy:	the message, with its name in @ret_mapped
 *
 * Return: 1; 0 if it needs no other, or cannot be read; -errno as translated_to()
 */
int translated_message(struct shim *shim, int fd, const struct msghdr *message,
		       struct msghdr *ret_copy, struct translated *ret_mapped);

/* translated_room() - What *@len says before a call, 0 if it cannot be read */
socklen_t translated_room(const socklen_t *len);

/* translated_message_room() - Likewise of a message's name; the message need not be readable either */
socklen_t translated_message_room(const struct msghdr *message);

/**
 * translated_local() - Translate in place what the kernel has written of a socket's own address
 * @room:	of the program's buffer, before the call
 * @len:	of the address, as the kernel says after it
 */
void translated_local(struct shim *shim, struct sockaddr *addr, socklen_t room, socklen_t len);

/* translated_from() - Likewise a peer's; @fd is any socket of the same network namespace */
void translated_from(struct shim *shim, int fd, struct sockaddr *addr, socklen_t room,
		     socklen_t len);

#endif
