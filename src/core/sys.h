/* sys: the real socket calls that core may use, passed in by the caller; it resolves nothing. */
#ifndef PORTFENCE_CORE_SYS_H
#define PORTFENCE_CORE_SYS_H

#include <sys/socket.h>

/*
 * A plain bind() inside the shim would find our own hook, so whoever owns the
 * process (the shim, the supervisor, a test) says which functions are the real
 * ones. Calls that no fence hooks (getsockname) are called as they are, and
 * descriptors of our own are made and closed by fd. Immutable once published.
 */
struct sys {
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*setsockopt)(int fd, int level, int option, const void *value, socklen_t len);
	int (*getsockopt)(int fd, int level, int option, void *value, socklen_t *len);
};

#endif
