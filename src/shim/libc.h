/* libc: what C libraries declare differently or not at all; it comes before their headers and defines nothing. */
#ifndef PORTFENCE_SHIM_LIBC_H
#define PORTFENCE_SHIM_LIBC_H

/*
 * A hook must keep the name that it is written with. With these macros, 32-bit
 * glibc would turn `fcntl` into fcntl64, and `recvmsg` into __recvmsg64.
 */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/* the flags of sendmmsg() and recvmmsg() */
#ifdef __GLIBC__
typedef int libc_flags;
#else
typedef unsigned libc_flags; /* musl */
#endif

/*
 * Where time_t has 32 bits, glibc has a second function for programs in which
 * time_t has 64 (_TIME_BITS). Both make the same system call. They differ in the
 * timeouts and time stamps that they take and return.
 */
#if defined(__GLIBC__) && defined(__TIMESIZE) && __TIMESIZE == 32
#define LIBC_TIME64 1
#else
#define LIBC_TIME64 0
#endif

/* Not in musl, or not in every glibc's headers. */
int bindresvport(int fd, struct sockaddr_in *addr);
int close_range(unsigned first, unsigned last, int flags);
int execveat(int folder, const char *path, char *const argv[], char *const envp[], int flags);
int fcntl64(int fd, int command, ...);
int pidfd_getfd(int pidfd, int fd, unsigned flags);

/* Second names that glibc exports (GLIBC_2.2.5). */
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);
int __close(int fd);
int __connect(int fd, const struct sockaddr *addr, socklen_t len);
int __dup2(int fd, int to);
int __fcntl(int fd, int command, ...);
ssize_t __recvfrom_chk(int fd, void *data, size_t size, size_t most, int flags,
		       struct sockaddr *addr, socklen_t *len);
ssize_t __send(int fd, const void *data, size_t size, int flags);

/* Names for programs with 64-bit times (GLIBC_2.34). */
int __fcntl_time64(int fd, int command, ...);
int __getsockopt64(int fd, int level, int option, void *value, socklen_t *len);
/* the timeout has 64-bit members in fact */
int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags,
		 struct timespec *timeout);
ssize_t __recvmsg64(int fd, struct msghdr *message, int flags);
int __sendmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t __sendmsg64(int fd, const struct msghdr *message, int flags);
int __setsockopt64(int fd, int level, int option, const void *value, socklen_t len);

#endif
