#include "../core/assign.h"
#include "memory.h"
#include "real.h"
#include "shim.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * An exported hook is one line that calls a function of ours. That saves errno,
 * asks core what is to be done, and makes the real call with errno as it was:
 * the program sees its own call's result and nothing else.
 *
 * A hook may run in a signal handler, in a child between vfork and exec, in any
 * thread and before our constructor. So there is no lock, no allocation and no
 * stdio in here, and what is remembered is immutable (shim.h).
 */

#define EXPORT __attribute__((visibility("default")))

int __connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __send(int fd, const void *data, size_t size, int flags);

/* A fresh socket is so only once: what is about to be done to it is not recorded. */
static void recall(struct shim *now, struct assign *assign)
{
	enum descriptor what = descriptor_get(now->descriptors, assign->fd);

	if (what < DESCRIPTOR_TCP4)
		return;
	descriptor_forget(now->descriptors, assign->fd);
	assign->fresh = true;
	assign->family = what == DESCRIPTOR_TCP4 || what == DESCRIPTOR_UDP4 ? AF_INET : AF_INET6;
	assign->proto = what == DESCRIPTOR_TCP4 || what == DESCRIPTOR_TCP6 ? PROTO_TCP : PROTO_UDP;
	assign->home = descriptor_home(now->descriptors, assign->proto);
}

/* Return: assign_begin()'s answer, with the failure told */
static int begin(struct shim *now, struct assign *assign, const char *name)
{
	int rc;

	recall(now, assign);
	rc = assign_begin(&now->fence, assign);
	if (assign->fresh && assign->home)
		descriptor_set_home(now->descriptors, assign->proto);
	if (rc < 0 && (assign->exhausted || assign->refused || assign->closed || assign->useless))
		log_assign(&now->log, name, assign);
	return rc;
}

/* Was a port assigned, or left to the kernel on our behalf? */
static bool serves(const struct assign *assign)
{
	return assign->engine != ENGINE_AUTO || assign->system;
}

/* Return: true if the real call has to be made again. errno may have changed. */
static bool end(struct shim *now, struct assign *assign, const char *name, int *error)
{
	if (assign_end(&now->fence, assign, error) == ASSIGN_AGAIN)
		return true;
	if (serves(assign) || assign->escaped)
		log_assign(&now->log, name, assign);
	return false;
}

/* Makes a real call, the expression @call of type @type, between begin() and end(). */
#define AROUND(type, now, assign, name, call)                                                      \
	({                                                                                         \
		int around_saved = errno, around_error;                                            \
		type around_result = -1;                                                           \
		int around_rc = begin(now, assign, name);                                          \
                                                                                                   \
		if (around_rc < 0) {                                                               \
			errno = -around_rc;                                                        \
		} else {                                                                           \
			do {                                                                       \
				errno = around_saved;                                              \
				around_result = around_rc == ASSIGN_MADE ? 0 : (call);             \
				around_error = around_result < 0 ? errno : 0;                      \
				around_saved = around_error ? around_saved : errno;                \
			} while (end(now, assign, name, &around_error));                           \
			errno = around_error ? around_error : around_saved;                        \
			if (around_error)                                                          \
				around_result = -1;                                                \
		}                                                                                  \
		around_result;                                                                     \
	})

static int hook_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .len = len };
	struct shim *now = shim();
	int saved = errno, result;
	bool copied = now->fenced && memory_address(addr, len, &assign.addr);

	errno = saved;
	if (!copied)
		return REAL(bind)(fd, addr, len);
	result = AROUND(int, now, &assign, "bind", REAL(bind)(fd, addr, len));
	if (!result && addr_port(&assign.addr))
		descriptor_bound(now->descriptors, fd);
	return result;
}

/* Has a bind() to a port that the program named settled all? One system call, if it may have. */
static bool is_bound(struct shim *now, int fd)
{
	int saved = errno;
	bool bound = descriptor_get(now->descriptors, fd) == DESCRIPTOR_BOUND && assign_settled(fd);

	errno = saved;
	return bound;
}

static bool is_settled(enum descriptor what)
{
	return what == DESCRIPTOR_SETTLED || what == DESCRIPTOR_SETTLED_UDP;
}

/*
 * A call that gives the socket no port if it goes well has failed: see
 * assign_undo(). Too long a datagram and MSG_OOB are refused before the want of
 * a destination is noticed (net/ipv4/udp.c, udp_sendmsg), and a connect()'s
 * address is looked at last (net/ipv4/af_inet.c, inet_dgram_connect).
 */
static ssize_t undo(struct shim *now, int fd, ssize_t result)
{
	int error;

	if (result >= 0 || !now->fenced || is_settled(descriptor_get(now->descriptors, fd)))
		return result;
	error = errno;
	if (error == EDESTADDRREQ || error == EMSGSIZE || error == EOPNOTSUPP ||
	    error == EAFNOSUPPORT || error == EINVAL) {
		/* what is remembered stays true: no such port is, see settled() */
		assign_undo(&now->fence, fd);
		errno = error;
	}
	return result;
}

static int hook_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct assign assign = { .call = ASSIGN_CONNECT, .fd = fd, .len = len };
	struct shim *now = shim();
	int saved = errno, result;
	bool copied = now->fenced && memory_address(addr, len, &assign.addr);

	errno = saved;
	if (!copied)
		return REAL(connect)(fd, addr, len);
	if (assign.addr.sa.sa_family == AF_UNSPEC) {
		descriptor_dissolve(now->descriptors);
		result = AROUND(int, now, &assign, "connect", REAL(connect)(fd, addr, len));
		descriptor_dissolve(now->descriptors);
		return result;
	}
	/* most of them; no other family's socket takes such an address */
	if (assign.addr.sa.sa_family == AF_UNIX)
		return (int)undo(now, fd, REAL(connect)(fd, addr, len));
	if (descriptor_get(now->descriptors, fd) == DESCRIPTOR_SETTLED_UDP || is_bound(now, fd))
		return REAL(connect)(fd, addr, len);
	return AROUND(int, now, &assign, "connect", REAL(connect)(fd, addr, len));
}

static int hook_listen(int fd, int backlog)
{
	struct assign assign = { .call = ASSIGN_LISTEN, .fd = fd };
	struct shim *now = shim();

	if (!now->fenced || is_bound(now, fd))
		return REAL(listen)(fd, backlog);
	return AROUND(int, now, &assign, "listen", REAL(listen)(fd, backlog));
}

/* Does no send through this socket need a port from us? Remembers it if so. */
static bool settled(struct shim *now, int fd)
{
	enum descriptor what = descriptor_get(now->descriptors, fd);
	char mark;

	if (is_settled(what) || what == DESCRIPTOR_UDP4 || what == DESCRIPTOR_UDP6)
		return is_settled(what);
	/* that it is a fresh TCP socket is a hint, too, and no bind would put it right */
	descriptor_ask(now->descriptors, fd, &mark);
	switch (assign_state(&now->fence, fd)) {
	case ASSIGN_SETTLED:
		descriptor_settle(now->descriptors, fd, DESCRIPTOR_SETTLED, &mark);
		return true;
	case ASSIGN_FOREIGN_UDP:
		/* chosen by the kernel for somebody else, whoever shares the socket can dissolve it */
		if (what != DESCRIPTOR_BOUND)
			return true;
		/* fallthrough */
	case ASSIGN_SETTLED_UDP:
		descriptor_settle(now->descriptors, fd, DESCRIPTOR_SETTLED_UDP, &mark);
		return true;
	default:
		return false;
	}
}

/* Does a send to an address need a port first? Keeps errno. */
static bool needs_port(struct shim *now, struct assign *assign, const struct sockaddr *addr)
{
	int saved = errno;
	bool needs = now->fenced && (assign->fast_open || !settled(now, assign->fd)) &&
		     memory_address(addr, assign->len, &assign->addr);

	errno = saved;
	return needs;
}

static ssize_t hook_send(int fd, const void *data, size_t size, int flags)
{
	ssize_t result = REAL(send)(fd, data, size, flags);

	return result < 0 ? undo(shim(), fd, result) : result;
}

/* Is there nothing to be done for a send, as far as can be told without a system call? */
static bool passes(struct shim *now, int fd, int flags)
{
	return !now->fenced ||
	       (!(flags & MSG_FASTOPEN) && is_settled(descriptor_get(now->descriptors, fd)));
}

static ssize_t hook_sendto(int fd, const void *data, size_t size, int flags,
			   const struct sockaddr *addr, socklen_t len)
{
	struct shim *now = shim();

	if (passes(now, fd, flags))
		return REAL(sendto)(fd, data, size, flags, addr, len);
	if (!addr)
		return undo(now, fd, REAL(sendto)(fd, data, size, flags, addr, len));

	struct assign assign = {
		.call = ASSIGN_SEND,
		.fd = fd,
		.len = len,
		.fast_open = flags & MSG_FASTOPEN,
	};

	if (!needs_port(now, &assign, addr))
		return REAL(sendto)(fd, data, size, flags, addr, len);
	return AROUND(ssize_t, now, &assign, "sendto",
		      REAL(sendto)(fd, data, size, flags, addr, len));
}

/*
 * The destination of a message. Return: false if there is none, or no send
 * through this socket needs a port. Keeps errno.
 */
static bool destination(struct shim *now, struct assign *assign, const void *message,
			const struct sockaddr **ret_addr)
{
	struct msghdr copy = { .msg_name = NULL };
	int saved = errno;
	bool there;

	/* to look at far memory costs a system call each time, to ask about the socket only one */
	there = (memory_near(message, sizeof(copy)) || assign->fast_open ||
		 !settled(now, assign->fd)) &&
		memory_readable(message, sizeof(copy));
	errno = saved;
	/* it need not be aligned for the kernel */
	if (there)
		memcpy(&copy, message, sizeof(copy));
	if (!copy.msg_name || !copy.msg_namelen)
		return false;
	*ret_addr = copy.msg_name;
	assign->len = copy.msg_namelen;
	/* of a message, the kernel cuts what sendto() and connect() refuse (net/socket.c, __copy_msghdr) */
	if (assign->len > sizeof(struct sockaddr_storage) && assign->len <= INT_MAX)
		assign->len = sizeof(struct sockaddr_storage);
	return true;
}

static ssize_t hook_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct sockaddr *addr;
	struct shim *now = shim();

	if (passes(now, fd, flags))
		return REAL(sendmsg)(fd, message, flags);

	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };

	if (!destination(now, &assign, message, &addr))
		return undo(now, fd, REAL(sendmsg)(fd, message, flags));
	if (!needs_port(now, &assign, addr))
		return REAL(sendmsg)(fd, message, flags);
	return AROUND(ssize_t, now, &assign, "sendmsg", REAL(sendmsg)(fd, message, flags));
}

/* The first message decides: once it is sent, the socket has its port. Its header comes first, too. */
static int hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	const struct sockaddr *addr;
	struct shim *now = shim();

	if (count == 0 || passes(now, fd, flags))
		return REAL(sendmmsg)(fd, messages, count, flags);

	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };

	if (!destination(now, &assign, messages, &addr))
		return (int)undo(now, fd, REAL(sendmmsg)(fd, messages, count, flags));
	if (!needs_port(now, &assign, addr))
		return REAL(sendmmsg)(fd, messages, count, flags);
	return AROUND(int, now, &assign, "sendmmsg", REAL(sendmmsg)(fd, messages, count, flags));
}

/* Keeps errno. */
static bool is_inet(int fd)
{
	union addr local = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(local);
	int saved = errno;
	bool inet = !getsockname(fd, &local.sa, &len) && local.sa.sa_family == AF_INET;

	errno = saved;
	return inet;
}

/*
 * libc's own takes a port below 1024 by calling its internal bind. Here it is
 * a bind to port 0, and the port is reported as bindresvport(3) has it. For
 * other families than libc's, a library such as libtirpc may have a version of
 * its own, which binds by bind(), our hook.
 */
static int hook_bindresvport(int fd, struct sockaddr_in *addr)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .now = true };
	struct shim *now = shim();
	int rc;

	if (!now->fenced || !is_inet(fd) || (addr && addr->sin_family != AF_INET))
		return REAL(bindresvport)(fd, addr);
	assign.len = addr_wildcard(&assign.addr, AF_INET);
	if (addr)
		assign.addr.in4.sin_addr = addr->sin_addr;
	rc = AROUND(int, now, &assign, "bindresvport",
		    serves(&assign) ? REAL(bind)(fd, &assign.addr.sa, assign.len)
				    : REAL(bindresvport)(fd, addr));
	if (!rc && addr && assign.port)
		addr->sin_port = htons(assign.port);
	return rc;
}

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return hook_bind(fd, addr, len);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return hook_connect(fd, addr, len);
}

EXPORT int listen(int fd, int backlog)
{
	return hook_listen(fd, backlog);
}

EXPORT ssize_t send(int fd, const void *data, size_t size, int flags)
{
	return hook_send(fd, data, size, flags);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		      socklen_t len)
{
	return hook_sendto(fd, data, size, flags, addr, len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return hook_sendmsg(fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	return hook_sendmmsg(fd, messages, count, flags);
}

EXPORT int bindresvport(int fd, struct sockaddr_in *addr)
{
	return hook_bindresvport(fd, addr);
}

/* glibc exports these names, too (GLIBC_2.2.5). */
EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return hook_connect(fd, addr, len);
}

EXPORT ssize_t __send(int fd, const void *data, size_t size, int flags)
{
	return hook_send(fd, data, size, flags);
}
