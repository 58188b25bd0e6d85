#include "libc.h"

#include "../core/mptcp.h"
#include "gate.h"
#include "gated.h"
#include "real.h"
#include "sandbox.h"
#include "shim.h"
#include "translated.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * These hooks change nothing, but for addresses under a map. They note where a
 * socket is made, and where a number comes to mean another socket: see fdcache.c.
 */

typedef ssize_t recvmsg_fn(int fd, struct msghdr *message, int flags);
typedef int recvmmsg_fn(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags,
			struct timespec *timeout);

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1) /* include/uapi/linux/close_range.h, since Linux 5.9 */
#endif

static bool is_stream(int domain, int type)
{
	return (domain == AF_INET || domain == AF_INET6) &&
	       (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM;
}

/* May an MPTCP socket be made, and judged once it is there? Without a system call */
static bool may_make_mptcp(const struct shim *shim)
{
	if (!shim->fence.rule)
		return false;
	if (shim->fence.rule->mptcp == MPTCP_ALLOW)
		return true;
	/* a filter may forbid to judge it, but a supervisor can */
	return sandbox_is_filtered() ? gate() != NULL : !mptcp_leaves(&shim->fence);
}

/* Sees to it that further subflows stay in the range. Keeps errno. Return: false if they do not, or may not */
static bool keep_mptcp(const struct shim *shim, int fd)
{
	int saved = errno;
	bool keeps = sandbox_is_filtered() || !mptcp_keep(&shim->fence, fd) ||
		     shim->fence.rule->mptcp == MPTCP_ALLOW;

	errno = saved;
	return keeps;
}

/*
 * Makes an MPTCP socket, or what the rule wants in its place. @fd: such a socket, if it is made already, else -1.
 * Return: as socket(); @ret_protocol of what was made
 */
static int make_mptcp(struct shim *shim, int domain, int type, int fd, int *ret_protocol)
{
	int saved = errno;

	if (fd < 0 && may_make_mptcp(shim)) {
		fd = gated_socket(domain, type, IPPROTO_MPTCP);
		if (fd < 0)
			return fd;
	}
	if (fd >= 0) {
		if (shim->fence.rule && keep_mptcp(shim, fd))
			return fd;
		/* not libc's close(): it would be a cancellation point */
		syscall(SYS_close, fd);
	}
	if (shim->fence.rule)
		log_mptcp(&shim->log, shim->fence.rule->mptcp);
	if (shim->fence.rule && shim->fence.rule->mptcp == MPTCP_REFUSE) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	errno = saved;
	*ret_protocol = IPPROTO_TCP;
	/* another library's socket() would make it MPTCP again */
	return real_socket_is_replaced() ? (int)syscall(SYS_socket, domain, type, IPPROTO_TCP)
					 : gated_socket(domain, type, IPPROTO_TCP);
}

/*
 * Another preloaded library, behind ours, may make MPTCP sockets where TCP is asked for: mptcpize does.
 * Keeps errno.
 */
static bool has_become_mptcp(int fd)
{
	int saved = errno, protocol = 0;
	socklen_t len = sizeof(protocol);
	bool is = real_socket_is_replaced() && !sandbox_is_filtered() &&
		  !REAL(getsockopt)(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
		  protocol == IPPROTO_MPTCP;

	errno = saved;
	return is;
}

static int make_stream(struct shim *shim, int domain, int type, int *protocol)
{
	int fd = -1;

	if (*protocol != IPPROTO_MPTCP) {
		fd = gated_socket(domain, type, *protocol);
		if (fd < 0 || !has_become_mptcp(fd))
			return fd;
		*protocol = IPPROTO_MPTCP;
	}
	return make_mptcp(shim, domain, type, fd, protocol);
}

/*
 * What a process needs once it has a socket is made with the first one: a call on a socket that is none of
 * ours makes no other.
 */
static void note_made(int fd, int domain, int type, int protocol)
{
	gate_prepare();
	fdcache_note_new(shim_get()->fdcache, fd, domain, type, protocol);
}

EXPORT int socket(int domain, int type, int protocol)
{
	struct shim *shim = shim_get();
	int fd = shim->fenced && is_stream(domain, type)
			 ? make_stream(shim, domain, type, &protocol)
			 : gated_socket(domain, type, protocol);

	if (fd >= 0)
		note_made(fd, domain, type, protocol);
	return fd;
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	int result = REAL(socketpair)(domain, type, protocol, fds);

	if (!result) {
		note_made(fds[0], domain, type, protocol);
		note_made(fds[1], domain, type, protocol);
	}
	return result;
}

/* Notes the descriptors that came with a message. Keeps errno. */
static void note_received(const struct msghdr *message)
{
	struct fdcache *cache = shim_get()->fdcache;
	const struct cmsghdr *control;
	size_t i;

	if (!cache || !message->msg_controllen)
		return;
	for (control = CMSG_FIRSTHDR(message); control;
	     control = CMSG_NXTHDR((struct msghdr *)message, (struct cmsghdr *)control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < (control->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(control) + i * sizeof(fd), sizeof(fd));
			fdcache_note_received(cache, fd);
		}
	}
}

/* Are the addresses translated that this socket receives? */
static bool is_translated(int fd)
{
	const struct shim *shim = shim_get();

	return shim->maps && !fdcache_is_foreign(fdcache_get(shim->fdcache, fd));
}

static ssize_t recvmsg_mapped(recvmsg_fn *real, int fd, struct msghdr *message, int flags)
{
	/* before the call, the length says how much room there is */
	socklen_t room = translated_message_room(message);
	ssize_t result = real(fd, message, flags);

	if (result >= 0 && message->msg_name)
		translated_from(shim_get(), fd, message->msg_name, room, message->msg_namelen);
	return result;
}

static ssize_t hook_recvmsg(recvmsg_fn *real, int fd, struct msghdr *message, int flags)
{
	ssize_t result = is_translated(fd) ? recvmsg_mapped(real, fd, message, flags)
					   : real(fd, message, flags);

	if (result >= 0)
		note_received(message);
	return result;
}

static int forget_all_received(const struct mmsghdr *messages, int count)
{
	int i;

	for (i = 0; i < count; i++)
		note_received(&messages[i].msg_hdr);
	return count;
}

/* Notes how much room there is for each message's name: recvmmsg() puts the name's length in its place. */
static void note_rooms(const struct mmsghdr *messages, unsigned count, uint8_t rooms[UIO_MAXIOV])
{
	unsigned i;

	for (i = 0; i < count; i++) {
		socklen_t room = translated_message_room(
			(const void *)((uintptr_t)messages + i * sizeof(*messages)));

		rooms[i] = room < UINT8_MAX ? (uint8_t)room : UINT8_MAX;
	}
}

static void translate_received(int fd, struct mmsghdr *messages, int count, const uint8_t *rooms)
{
	int i;

	for (i = 0; i < count; i++)
		if (messages[i].msg_hdr.msg_name)
			translated_from(shim_get(), fd, messages[i].msg_hdr.msg_name, rooms[i],
					messages[i].msg_hdr.msg_namelen);
}

/* Flags for the messages after the first ones: with MSG_WAITFORONE, the kernel would wait once more. */
static libc_flags flags_later(libc_flags flags)
{
	return flags & MSG_WAITFORONE ? flags | MSG_DONTWAIT : flags;
}

/* Has the time run out? The kernel writes what is left of it. */
static bool is_time_up(const void *timeout, size_t size)
{
	static const char zeros[16];

	return timeout && memcmp(timeout, zeros, size) == 0;
}

/*
 * The kernel has no limit on how many messages recvmmsg() takes at once
 * (net/socket.c, do_recvmmsg), but we have one: the rooms. An error behind the
 * first messages is lost here; the kernel would return it from the next call.
 */
static int recvmmsg_mapped(recvmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count,
			   libc_flags flags, struct timespec *timeout, size_t timeout_size)
{
	uint8_t rooms[UIO_MAXIOV] = { 0 };
	unsigned done = 0, most;
	int saved = errno, some;

	do {
		most = count - done < UIO_MAXIOV ? count - done : UIO_MAXIOV;
		note_rooms(messages + done, most, rooms);
		some = real(fd, messages + done, most, done ? flags_later(flags) : flags, timeout);
		translate_received(fd, messages + done, some, rooms);
		if (some > 0)
			done += (unsigned)some;
	} while (some == UIO_MAXIOV && done < count && !is_time_up(timeout, timeout_size));
	if (done)
		errno = saved;
	return done ? (int)done : some;
}

static int hook_recvmmsg(recvmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count,
			 libc_flags flags, struct timespec *timeout, size_t timeout_size)
{
	int received = is_translated(fd) ? recvmmsg_mapped(real, fd, messages, count, flags,
							   timeout, timeout_size)
					 : real(fd, messages, count, flags, timeout);

	return forget_all_received(messages, received);
}

/* The socket has a second number now. What is done by one number is not seen by the other. */
static int note_dup(int fd, int to)
{
	struct fdcache *cache = shim_get()->fdcache;
	enum fdcache_state state = fdcache_get(cache, fd);

	if (to < 0)
		return to;
	if (fdcache_is_foreign(state))
		fdcache_note_foreign(cache, to, state);
	else
		fdcache_forget(cache, to);
	if (state >= FDCACHE_TCP4)
		fdcache_forget(cache, fd);
	return to;
}

EXPORT int dup(int fd)
{
	return note_dup(fd, REAL(dup)(fd));
}

EXPORT int dup2(int fd, int to)
{
	int result;

	/* dup2() changes nothing then (dup(2)) */
	if (fd == to)
		return REAL(dup2)(fd, to);
	fdcache_replace(shim_get()->fdcache, to);
	result = REAL(dup2)(fd, to);
	fdcache_replace(shim_get()->fdcache, to);
	return note_dup(fd, result);
}

EXPORT int dup3(int fd, int to, int flags)
{
	int result;

	fdcache_replace(shim_get()->fdcache, to);
	result = REAL(dup3)(fd, to, flags);
	fdcache_replace(shim_get()->fdcache, to);
	return note_dup(fd, result);
}

/* @real: fcntl, or a variant that differs in the lock commands alone; NULL: libc has no such variant */
static int hook_fcntl(int (*real)(int, int, ...), int fd, int command, void *argument)
{
	int result;

	if (!real)
		real = REAL(fcntl);
	result = real(fd, command, argument);
	if (command == F_SETFL && !result)
		fdcache_note_nonblock(shim_get()->fdcache, fd, (uintptr_t)argument & O_NONBLOCK);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? note_dup(fd, result) : result;
}

EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	int (*function)(int, int, unsigned) = REAL(pidfd_getfd);
	int result;

	if (!function)
		return real_missing();
	result = function(pidfd, fd, flags);
	if (result >= 0)
		fdcache_forget(shim_get()->fdcache, result);
	return result;
}

/*
 * The hooks below move a thread to a table of descriptors or a network namespace
 * of its own. The cache is emptied before the call, as a signal handler may run
 * right after it.
 */

EXPORT int setns(int fd, int type)
{
	fdcache_disown(shim_get()->fdcache);
	return REAL(setns)(fd, type);
}

EXPORT int unshare(int flags)
{
	if (flags & (CLONE_FILES | CLONE_NEWNET))
		fdcache_disown(shim_get()->fdcache);
	return REAL(unshare)(flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	int (*function)(unsigned, unsigned, int) = REAL(close_range);

	if (!function)
		return real_missing();
	if (flags & (int)CLOSE_RANGE_UNSHARE)
		fdcache_disown(shim_get()->fdcache);
	return function(first, last, flags);
}

/*
 * The child goes on in @function, not here. libc reads the three arguments at the
 * end whatever the flags are (sysdeps/unix/sysv/linux/x86_64/clone.S).
 */
EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	pid_t *parent_id, *child_id;
	va_list rest;
	void *tls;

	va_start(rest, argument);
	parent_id = va_arg(rest, pid_t *);
	tls = va_arg(rest, void *);
	child_id = va_arg(rest, pid_t *);
	va_end(rest);
	/* with CLONE_VFORK the child is like one of vfork(), see fdcache.c */
	if (flags & CLONE_VM && (flags & CLONE_NEWNET || !(flags & (CLONE_FILES | CLONE_VFORK))))
		fdcache_disown(shim_get()->fdcache);
	return REAL(clone)(function, stack, flags, argument, parent_id, tls, child_id);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return hook_recvmsg(REAL(recvmsg), fd, message, flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags,
		    struct timespec *timeout)
{
	return hook_recvmmsg(REAL(recvmmsg), fd, messages, count, flags, timeout, sizeof(*timeout));
}

/*
 * The argument of an fcntl() behind @last, its last named parameter. Every command
 * takes one argument at most, which fits a pointer; glibc reads it in the same way
 * (sysdeps/unix/sysv/linux/fcntl64.c).
 */
#define ARGUMENT_AFTER(last)                                                                       \
	({                                                                                         \
		va_list argument_list;                                                             \
		void *argument_found;                                                              \
                                                                                                   \
		va_start(argument_list, last);                                                     \
		argument_found = va_arg(argument_list, void *);                                    \
		va_end(argument_list);                                                             \
		argument_found;                                                                    \
	})

EXPORT int fcntl(int fd, int command, ...)
{
	return hook_fcntl(REAL(fcntl), fd, command, ARGUMENT_AFTER(command));
}

EXPORT int fcntl64(int fd, int command, ...)
{
	return hook_fcntl(REAL(fcntl64), fd, command, ARGUMENT_AFTER(command));
}

EXPORT int close(int fd)
{
	fdcache_forget(shim_get()->fdcache, fd);
	return REAL(close)(fd);
}

EXPORT int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
	return gated_epoll_ctl(set, operation, fd, event);
}

EXPORT int __close(int fd) __attribute__((alias("close")));

EXPORT int __dup2(int fd, int to) __attribute__((alias("dup2"), nothrow, leaf));

EXPORT int __fcntl(int fd, int command, ...) __attribute__((alias("fcntl")));

EXPORT int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
	__attribute__((alias("clone"), nothrow, leaf));

#if LIBC_TIME64
EXPORT int __fcntl_time64(int fd, int command, ...)
{
	return hook_fcntl(REAL(__fcntl_time64), fd, command, ARGUMENT_AFTER(command));
}

EXPORT int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags,
			struct timespec *timeout)
{
	return hook_recvmmsg(REAL(__recvmmsg64), fd, messages, count, flags, timeout,
			     2 * sizeof(int64_t));
}

EXPORT ssize_t __recvmsg64(int fd, struct msghdr *message, int flags)
{
	return hook_recvmsg(REAL(__recvmsg64), fd, message, flags);
}
#endif
