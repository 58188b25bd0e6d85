/* gated: the real calls, through the gate where there is one; it fences nothing. */
#ifndef PORTFENCE_SHIM_GATED_H
#define PORTFENCE_SHIM_GATED_H

#include "libc.h"

#include "../core/addr.h"
#include "../core/socket_calls.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* libc has more than one of these where it has two kinds of time_t */
typedef ssize_t sendmsg_fn(int fd, const struct msghdr *message, int flags);
typedef int sendmmsg_fn(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags);

/*
 * gated_start() - Open the gate, as gate_open() does, and find what is needed to use it
 * @unseen:	the supervisor may look into no process
 */
void gated_start(uint64_t address, bool unseen);

/* Has the process one thread? Then nobody rewrites what is looked at, and nobody cancels this thread. */
bool gated_is_alone(void);

/* What is known of a send: may it wait? */
enum gated_wait {
	GATED_ASK,       /* nothing: ask the kernel, if it matters */
	GATED_WHOLE,     /* it may, but the message is sent whole or not at all */
	GATED_NEVER,     /* it does not */
	GATED_ASK_NOBODY /* nothing, and the kernel must not be asked */
};

/*
 * libc_bind(), libc_listen(), libc_connect() - libc's functions, at whose calls the supervisor looks, if there is one
 *
 * A signal that comes before it has looked does not make them fail. But a connect() of a stream that is not
 * TCP's, and one under a filter of the program's own, may then fail with EINTR, and has done nothing.
 */
int libc_bind(int fd, const struct sockaddr *addr, socklen_t len);
int libc_listen(int fd, int backlog);
int libc_connect(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * Each does what libc's function of that name does, a thread's cancellation
 * included, and is that function unless a gate is open.
 *
 * @real:	libc's function
 * @seen:	the address as it was when it was looked at; NULL: nobody has looked. Of a send, it matters
 *		with MSG_FASTOPEN alone, by which it connects
 * @len:	of gated_sendmsg(), the address's length as it was then
 * @wait:	see there
 */

int gated_socket(int domain, int type, int protocol);
int gated_bind(int fd, const struct sockaddr *addr, socklen_t len, const union addr *seen);

int gated_connect(int fd, const struct sockaddr *addr, socklen_t len, const union addr *seen,
		  enum gated_wait wait);

int gated_listen(int fd, int backlog);

int gated_getsockname(int fd, struct sockaddr *addr, socklen_t *len);

int gated_epoll_ctl(int set, int operation, int fd, struct epoll_event *event);

ssize_t gated_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		     socklen_t len, const union addr *seen, enum gated_wait wait);

ssize_t gated_sendmsg(sendmsg_fn *real, int fd, const struct msghdr *message, int flags,
		      const union addr *seen, socklen_t len, enum gated_wait wait);

int gated_sendmmsg(sendmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count, int flags);

/* gated_calls - The calls that core makes: bind and connect through the gate, the others as they are */
extern const struct socket_calls gated_calls;

#endif
