#include "libc.h"

#include "real.h"
#include "shim.h"
#include "translated.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * These hooks change nothing. They note where a socket is made, and where a
 * number comes to mean another socket: see descriptor.c.
 */

#define EXPORT __attribute__((visibility("default")))

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1) /* include/uapi/linux/close_range.h, since Linux 5.9 */
#endif

static struct descriptors *descriptors(void)
{
	return shim()->descriptors;
}

static int hook_socket(int domain, int type, int protocol)
{
	struct descriptors *all = descriptors();
	int fd = REAL(socket)(domain, type, protocol);

	if (fd >= 0)
		fdcache_born(all, fd, domain, type, protocol);
	return fd;
}

/* Forgets the descriptors that came with a message. Keeps errno. */
static void forget_received(const struct msghdr *message)
{
	struct descriptors *all = descriptors();
	const struct cmsghdr *control;
	size_t i;

	if (!all || !message->msg_controllen)
		return;
	for (control = CMSG_FIRSTHDR(message); control;
	     control = CMSG_NXTHDR((struct msghdr *)message, (struct cmsghdr *)control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < (control->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(control) + i * sizeof(fd), sizeof(fd));
			fdcache_forget(all, fd);
		}
	}
}

static ssize_t recvmsg_mapped(ssize_t (*real)(int, struct msghdr *, int), int fd,
			      struct msghdr *message, int flags)
{
	/* what is there before the call is what there is room for */
	socklen_t room = translated_message_room(message);
	ssize_t result = real(fd, message, flags);

	if (result >= 0 && message->msg_name)
		translated_from(shim(), fd, message->msg_name, room, message->msg_namelen);
	return result;
}

static ssize_t hook_recvmsg(ssize_t (*real)(int, struct msghdr *, int), int fd,
			    struct msghdr *message, int flags)
{
	ssize_t result =
		shim()->maps ? recvmsg_mapped(real, fd, message, flags) : real(fd, message, flags);

	if (result >= 0)
		forget_received(message);
	return result;
}

static int forget_all_received(const struct mmsghdr *messages, int count)
{
	int i;

	for (i = 0; i < count; i++)
		forget_received(&messages[i].msg_hdr);
	return count;
}

/* Under a map: the room for each message's name, before recvmmsg() puts its length there. */
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
			translated_from(shim(), fd, messages[i].msg_hdr.msg_name, rooms[i],
					messages[i].msg_hdr.msg_namelen);
}

/* Flags for the messages that follow, of which MSG_WAITFORONE would wait for one once more. */
static libc_flags flags_later(libc_flags flags)
{
	return flags & MSG_WAITFORONE ? flags | MSG_DONTWAIT : flags;
}

/* Is time up? The kernel writes what is left of it. */
static bool is_up(const void *timeout, size_t size)
{
	static const char zeros[16];

	return timeout && memcmp(timeout, zeros, size) == 0;
}

/*
 * Of what recvmmsg() takes at once there is no limit (net/socket.c,
 * do_recvmmsg), but of the rooms. An error that comes later is lost: the kernel
 * would tell it with the next call.
 */
#define RECVMMSG_MAPPED(real, timeout_size)                                                        \
	({                                                                                         \
		uint8_t mmsg_rooms[UIO_MAXIOV] = { 0 };                                            \
		unsigned mmsg_done = 0, mmsg_most;                                                 \
		int mmsg_saved = errno, mmsg_some;                                                 \
                                                                                                   \
		do {                                                                               \
			mmsg_most =                                                                \
				count - mmsg_done < UIO_MAXIOV ? count - mmsg_done : UIO_MAXIOV;   \
			note_rooms(messages + mmsg_done, mmsg_most, mmsg_rooms);                   \
			mmsg_some = (real)(fd, messages + mmsg_done, mmsg_most,                    \
					   mmsg_done ? flags_later(flags) : flags, timeout);       \
			translate_received(fd, messages + mmsg_done, mmsg_some, mmsg_rooms);       \
			if (mmsg_some > 0)                                                         \
				mmsg_done += (unsigned)mmsg_some;                                  \
		} while (mmsg_some == UIO_MAXIOV && mmsg_done < count &&                           \
			 !is_up(timeout, timeout_size));                                           \
		if (mmsg_done)                                                                     \
			errno = mmsg_saved;                                                        \
		mmsg_done ? (int)mmsg_done : mmsg_some;                                            \
	})

static int recvmmsg_mapped(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags,
			   struct timespec *timeout)
{
	return RECVMMSG_MAPPED(REAL(recvmmsg), sizeof(*timeout));
}

#if LIBC_TIME64
static int recvmmsg64_mapped(int fd, struct mmsghdr *messages, unsigned count, int flags,
			     void *timeout)
{
	return RECVMMSG_MAPPED(REAL(__recvmmsg64), 2 * sizeof(int64_t));
}
#endif

/* A second number for a socket: what is done by the one is not seen by the other. */
static int twin(int fd, int to)
{
	struct descriptors *all = descriptors();

	if (to < 0)
		return to;
	fdcache_forget(all, to);
	if (fdcache_get(all, fd) >= FDCACHE_TCP4)
		fdcache_forget(all, fd);
	return to;
}

static int hook_dup(int fd)
{
	return twin(fd, REAL(dup)(fd));
}

static int hook_dup2(int fd, int to)
{
	int result;

	/* then it changes nothing (dup(2)) */
	if (fd == to)
		return REAL(dup2)(fd, to);
	fdcache_replace(descriptors(), to);
	result = twin(fd, REAL(dup2)(fd, to));
	fdcache_replace(descriptors(), to);
	return result;
}

static int hook_dup3(int fd, int to, int flags)
{
	int result;

	fdcache_replace(descriptors(), to);
	result = twin(fd, REAL(dup3)(fd, to, flags));
	fdcache_replace(descriptors(), to);
	return result;
}

/* @real: fcntl, or one that differs in the lock commands alone */
static int hook_fcntl(int (*real)(int, int, ...), int fd, int command, void *argument)
{
	int result;

	/* a libc without files of two sizes has but one */
	if (!real)
		real = REAL(fcntl);
	result = real(fd, command, argument);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? twin(fd, result) : result;
}

static int hook_close(int fd)
{
	fdcache_forget(descriptors(), fd);
	return REAL(close)(fd);
}

static int hook_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	int (*function)(int, int, unsigned) = REAL(pidfd_getfd);
	int result;

	if (!function) {
		errno = ENOSYS;
		return -1;
	}
	result = function(pidfd, fd, flags);
	if (result >= 0)
		fdcache_forget(descriptors(), result);
	return result;
}

/*
 * What follows parts a thread from the others' table of descriptors or network
 * namespace. All is forgotten before, as a signal handler may come right after.
 */

static int hook_setns(int fd, int type)
{
	fdcache_disown(descriptors());
	return REAL(setns)(fd, type);
}

static int hook_unshare(int flags)
{
	if (flags & (CLONE_FILES | CLONE_NEWNET))
		fdcache_disown(descriptors());
	return REAL(unshare)(flags);
}

static int hook_close_range(unsigned first, unsigned last, int flags)
{
	int (*function)(unsigned, unsigned, int) = REAL(close_range);

	if (!function) {
		errno = ENOSYS;
		return -1;
	}
	if (flags & (int)CLOSE_RANGE_UNSHARE)
		fdcache_disown(descriptors());
	return function(first, last, flags);
}

/* The child goes on in @function, not here. */
static int hook_clone(int (*function)(void *), void *stack, int flags, void *argument,
		      pid_t *parent_id, void *tls, pid_t *child_id)
{
	/* with CLONE_VFORK it is as after vfork(), see descriptor.c */
	if (flags & CLONE_VM && (flags & CLONE_NEWNET || !(flags & (CLONE_FILES | CLONE_VFORK))))
		fdcache_disown(descriptors());
	return REAL(clone)(function, stack, flags, argument, parent_id, tls, child_id);
}

EXPORT int socket(int domain, int type, int protocol)
{
	return hook_socket(domain, type, protocol);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return hook_recvmsg(REAL(recvmsg), fd, message, flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags,
		    struct timespec *timeout)
{
	return forget_all_received(
		messages, shim()->maps ? recvmmsg_mapped(fd, messages, count, flags, timeout)
				       : REAL(recvmmsg)(fd, messages, count, flags, timeout));
}

EXPORT int dup(int fd)
{
	return hook_dup(fd);
}

EXPORT int dup2(int fd, int to)
{
	return hook_dup2(fd, to);
}

EXPORT int dup3(int fd, int to, int flags)
{
	return hook_dup3(fd, to, flags);
}

/* Every command takes one argument at most, which fits a pointer: so does libc (sysdeps/unix/sysv/linux/fcntl64.c). */
#define FCNTL(real)                                                                                \
	({                                                                                         \
		va_list fcntl_list;                                                                \
		void *fcntl_argument;                                                              \
                                                                                                   \
		va_start(fcntl_list, command);                                                     \
		fcntl_argument = va_arg(fcntl_list, void *);                                       \
		va_end(fcntl_list);                                                                \
		hook_fcntl(real, fd, command, fcntl_argument);                                     \
	})

EXPORT int fcntl(int fd, int command, ...)
{
	return FCNTL(REAL(fcntl));
}

EXPORT int fcntl64(int fd, int command, ...)
{
	return FCNTL(REAL(fcntl64));
}

EXPORT int close(int fd)
{
	return hook_close(fd);
}

EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	return hook_pidfd_getfd(pidfd, fd, flags);
}

EXPORT int setns(int fd, int type)
{
	return hook_setns(fd, type);
}

EXPORT int unshare(int flags)
{
	return hook_unshare(flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	return hook_close_range(first, last, flags);
}

/* libc reads three arguments more, whatever the flags (sysdeps/unix/sysv/linux/x86_64/clone.S). */
#define CLONE()                                                                                    \
	({                                                                                         \
		va_list clone_list;                                                                \
		pid_t *clone_parent, *clone_child;                                                 \
		void *clone_tls;                                                                   \
                                                                                                   \
		va_start(clone_list, argument);                                                    \
		clone_parent = va_arg(clone_list, pid_t *);                                        \
		clone_tls = va_arg(clone_list, void *);                                            \
		clone_child = va_arg(clone_list, pid_t *);                                         \
		va_end(clone_list);                                                                \
		hook_clone(function, stack, flags, argument, clone_parent, clone_tls,              \
			   clone_child);                                                           \
	})

EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	return CLONE();
}

EXPORT int __close(int fd)
{
	return hook_close(fd);
}

EXPORT int __dup2(int fd, int to)
{
	return hook_dup2(fd, to);
}

EXPORT int __fcntl(int fd, int command, ...)
{
	return FCNTL(REAL(fcntl));
}

EXPORT int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	return CLONE();
}

#if LIBC_TIME64
EXPORT int __fcntl_time64(int fd, int command, ...)
{
	return FCNTL(REAL(__fcntl_time64));
}

EXPORT int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags, void *timeout)
{
	return forget_all_received(
		messages, shim()->maps ? recvmmsg64_mapped(fd, messages, count, flags, timeout)
				       : REAL(__recvmmsg64)(fd, messages, count, flags, timeout));
}

EXPORT ssize_t __recvmsg64(int fd, struct msghdr *message, int flags)
{
	return hook_recvmsg(REAL(__recvmsg64), fd, message, flags);
}
#endif
