/* passing: which calls need nothing from the fence, told without a system call; it makes no call itself. */
#ifndef PORTFENCE_SHIM_PASSING_H
#define PORTFENCE_SHIM_PASSING_H

#include "libc.h"

#include "gated.h"
#include "shim.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Where a call goes to, as far as its memory can be read without a system call. */
enum passing_target {
	PASSING_UNREAD,  /* it cannot be read so */
	PASSING_NOBODY,  /* a message without a destination */
	PASSING_FOREIGN, /* an address that no IPv4 or IPv6 socket takes */
	PASSING_INET     /* an address of IPv4, IPv6 or AF_UNSPEC, or no address at all */
};

/* How a call is made. */
enum passing_way {
	PASSING_FENCED, /* the socket may need a port: look closer */
	PASSING_LIBC,   /* by libc's function; if there is a supervisor, it looks at the call */
	PASSING_GATE    /* through the gate, at once */
};

/* passing_address() - Where a call with this address goes to */
enum passing_target passing_address(const struct sockaddr *addr, socklen_t len);

/* passing_message() - Where a message goes to */
enum passing_target passing_message(const struct msghdr *message);

/* passing_way() - How a call on this descriptor is made */
enum passing_way passing_way(const struct shim *shim, int fd, enum passing_target target);

/* passing_wait() - What is known of a send on a descriptor: may it wait? */
enum gated_wait passing_wait(const struct shim *shim, int fd);

/* passing_wait_quiet() - The same for a call that the kernel must not be asked about */
enum gated_wait passing_wait_quiet(const struct shim *shim, int fd);

/*
 * passing_asks_nobody() - Does the supervisor serve all calls that may need a port?
 *
 * So it is where the process has a seccomp filter of its own, and there is a supervisor.
 */
bool passing_asks_nobody(void);

#endif
