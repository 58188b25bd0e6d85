/* real: the functions that our hooks replace; it calls none of them. */
#ifndef PORTFENCE_SHIM_REAL_H
#define PORTFENCE_SHIM_REAL_H

#include "libc.h"

#include <errno.h>

#include <netinet/in.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <threads.h>
#include <time.h>

/* Before a hook: programs find it in place of libc's function. */
#define EXPORT __attribute__((visibility("default")))

/*
 * The hooks: return type, name, parameters. A test holds that libportfence.map
 * has the same names.
 */
#define REAL_FUNCTIONS(X)                                                                          \
	X(int, bind, (int fd, const struct sockaddr *addr, socklen_t len))                         \
	X(int, connect, (int fd, const struct sockaddr *addr, socklen_t len))                      \
	X(int, listen, (int fd, int backlog))                                                      \
	X(ssize_t, send, (int fd, const void *data, size_t size, int flags))                       \
	X(ssize_t, sendto,                                                                         \
	  (int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,          \
	   socklen_t len))                                                                         \
	X(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags))                     \
	X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, libc_flags flags))     \
	X(int, bindresvport, (int fd, struct sockaddr_in *addr))                                   \
	X(int, socket, (int domain, int type, int protocol))                                       \
	X(int, socketpair, (int domain, int type, int protocol, int fds[2]))                       \
	X(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t len))      \
	X(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *len))           \
	X(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len))                       \
	X(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len))                       \
	X(int, accept, (int fd, struct sockaddr *addr, socklen_t *len))                            \
	X(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags))                \
	X(ssize_t, recvfrom,                                                                       \
	  (int fd, void *data, size_t size, int flags, struct sockaddr *addr, socklen_t *len))     \
	X(ssize_t, __recvfrom_chk,                                                                 \
	  (int fd, void *data, size_t size, size_t room, int flags, struct sockaddr *addr,         \
	   socklen_t *len))                                                                        \
	X(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags))                           \
	X(int, recvmmsg,                                                                           \
	  (int fd, struct mmsghdr *messages, unsigned count, libc_flags flags,                     \
	   struct timespec *timeout))                                                              \
	X(int, epoll_ctl, (int set, int operation, int fd, struct epoll_event *event))             \
	X(int, dup, (int fd))                                                                      \
	X(int, dup2, (int fd, int to))                                                             \
	X(int, dup3, (int fd, int to, int flags))                                                  \
	X(int, fcntl, (int fd, int command, ...))                                                  \
	X(int, fcntl64, (int fd, int command, ...))                                                \
	X(int, close, (int fd))                                                                    \
	X(int, pidfd_getfd, (int pidfd, int fd, unsigned flags))                                   \
	X(int, prctl, (int option, ...))                                                           \
	X(int, setuid, (uid_t user))                                                               \
	X(int, setreuid, (uid_t real, uid_t effective))                                            \
	X(int, setresuid, (uid_t real, uid_t effective, uid_t kept))                               \
	X(int, setns, (int fd, int type))                                                          \
	X(int, unshare, (int flags))                                                               \
	X(int, close_range, (unsigned first, unsigned last, int flags))                            \
	X(int, clone, (int (*function)(void *), void *stack, int flags, void *argument, ...))      \
	X(int, pthread_create,                                                                     \
	  (pthread_t * thread, const pthread_attr_t *attributes, void *(*function)(void *),        \
	   void *argument))                                                                        \
	X(int, thrd_create, (thrd_t * thread, thrd_start_t function, void *argument))              \
	X(int, execve, (const char *path, char *const argv[], char *const envp[]))                 \
	X(int, execvpe, (const char *file, char *const argv[], char *const envp[]))                \
	X(int, execveat,                                                                           \
	  (int folder, const char *path, char *const argv[], char *const envp[], int flags))       \
	X(int, fexecve, (int fd, char *const argv[], char *const envp[]))                          \
	X(int, posix_spawn,                                                                        \
	  (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,               \
	   const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]))           \
	X(int, posix_spawnp,                                                                       \
	  (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,               \
	   const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]))           \
	X(int, system, (const char *command))                                                      \
	X(FILE *, popen, (const char *command, const char *type))

/* More hooks, of a 32-bit libc alone */
#define REAL_TIME64_FUNCTIONS(X)                                                                   \
	X(int, __fcntl_time64, (int fd, int command, ...))                                         \
	X(int, __getsockopt64, (int fd, int level, int option, void *value, socklen_t *len))       \
	X(int, __recvmmsg64,                                                                       \
	  (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)) \
	X(ssize_t, __recvmsg64, (int fd, struct msghdr *message, int flags))                       \
	X(int, __sendmmsg64, (int fd, struct mmsghdr *messages, unsigned count, int flags))        \
	X(ssize_t, __sendmsg64, (int fd, const struct msghdr *message, int flags))                 \
	X(int, __setsockopt64, (int fd, int level, int option, const void *value, socklen_t len))

struct real {
#define REAL_MEMBER(type, name, parameters) type(*name) parameters;
	REAL_FUNCTIONS(REAL_MEMBER)
#if LIBC_TIME64
	REAL_TIME64_FUNCTIONS(REAL_MEMBER)
#endif
#undef REAL_MEMBER
};

/* Relaxed atomics; each is written with one value only. */
extern struct real real_functions;

void *real_resolve(void **function, const char *name);

/**
 * REAL() - One of the functions, resolved when it is first asked for
 *
 * So a process pays for those that it calls, unless real_resolve_all() comes
 * before. NULL: this libc has no such function.
 */
#define REAL(name)                                                                                 \
	({                                                                                         \
		__typeof__(real_functions.name) real_found =                                       \
			real_get((void **)&real_functions.name, #name);                            \
		real_found;                                                                        \
	})

static inline void *real_get(void **function, const char *name)
{
	void *known = __atomic_load_n(function, __ATOMIC_RELAXED);

	return __builtin_expect(known != NULL, 1) ? known : real_resolve(function, name);
}

/* real_missing() - What a hook returns where this libc has no such function: -1, and errno is ENOSYS */
static inline int real_missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* real_socket_is_replaced() - Does socket() come from another preloaded library? Once it has been resolved */
bool real_socket_is_replaced(void);

/* real_resolve_all() - Resolve them now, where there are going to be threads */
void real_resolve_all(void);

#endif
