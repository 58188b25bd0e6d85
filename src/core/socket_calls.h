/* socket_calls: the real socket calls that core uses, given by its user. */
#ifndef PORTFENCE_CORE_SOCKET_CALLS_H
#define PORTFENCE_CORE_SOCKET_CALLS_H

#include <stdint.h>
#include <sys/socket.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* include/uapi/asm-generic/socket.h, since Linux 5.14 */
#endif

/*
 * Inside the shim, a plain bind() would be our own hook. So the shim, the supervisor or a
 * test says which functions are the real ones. Immutable once published.
 */
struct socket_calls {
	int (*socket)(int domain, int type, int protocol);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*setsockopt)(int fd, int level, int option, const void *value, socklen_t len);
	int (*getsockopt)(int fd, int level, int option, void *value, socklen_t *len);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*getpeername)(int fd, struct sockaddr *addr, socklen_t *len);
};

/* socket_calls_netns_cookie() - The cookie of a socket's network namespace; 0 if the kernel does not say */
static inline uint64_t socket_calls_netns_cookie(const struct socket_calls *calls, int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return calls->getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) ? 0 : cookie;
}

#endif
