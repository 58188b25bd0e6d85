/* real: the functions that our hooks stand in front of; it calls none of them. */
#ifndef PORTFENCE_SHIM_REAL_H
#define PORTFENCE_SHIM_REAL_H

#include "../core/sys.h"

#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>

/*
 * The hooks: return type, name, parameters. Whatever is added here has to be
 * added to libportfence.map, too; a test holds the two together.
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
	X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags))            \
	X(int, bindresvport, (int fd, struct sockaddr_in *addr))                                   \
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

struct real {
#define REAL_MEMBER(type, name, parameters) type(*name) parameters;
	REAL_FUNCTIONS(REAL_MEMBER)
#undef REAL_MEMBER
};

/**
 * real() - The functions, resolved
 *
 * Resolved by our constructor, or by the first hook where that runs before it.
 * Written with the same values however often, by relaxed atomics, so no lock.
 */
const struct real *real(void);

/* real_sys() - Those of them that core works with */
const struct sys *real_sys(void);

#endif
