#include "around.h"
#include "gate.h"
#include "memory.h"
#include "pass.h"
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

static int hook_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .len = len };
	struct shim *now = shim();
	int saved = errno, result;
	bool copied = now->fenced && memory_address(addr, len, &assign.addr);

	errno = saved;
	if (!copied)
		return pass_bind(fd, addr, len, NULL);
	result = AROUND(int, now, &assign, "bind", pass_bind(fd, addr, len, &assign.addr));
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
		return pass_connect(fd, addr, len, NULL);
	if (assign.addr.sa.sa_family == AF_UNSPEC) {
		descriptor_dissolve(now->descriptors);
		result = AROUND(int, now, &assign, "connect",
				pass_connect(fd, addr, len, &assign.addr));
		descriptor_dissolve(now->descriptors);
		return result;
	}
	/* most of them; no other family's socket takes such an address */
	if (assign.addr.sa.sa_family == AF_UNIX)
		return (int)undo(now, fd, pass_connect(fd, addr, len, &assign.addr));
	if (descriptor_get(now->descriptors, fd) == DESCRIPTOR_SETTLED_UDP || is_bound(now, fd))
		return pass_connect(fd, addr, len, &assign.addr);
	return AROUND(int, now, &assign, "connect", pass_connect(fd, addr, len, &assign.addr));
}

static int hook_listen(int fd, int backlog)
{
	struct assign assign = { .call = ASSIGN_LISTEN, .fd = fd, .backlog = backlog };
	struct shim *now = shim();

	if (!now->fenced || is_bound(now, fd))
		return pass_listen(fd, backlog);
	return AROUND(int, now, &assign, "listen", pass_listen(fd, backlog));
}

/* Known to be a UDP socket? Of interest only to whoever has a gate. */
static bool is_udp(struct shim *now, int fd)
{
	enum descriptor what;

	if (!gate())
		return false;
	what = descriptor_get(now->descriptors, fd);
	return what == DESCRIPTOR_SETTLED_UDP || what == DESCRIPTOR_UDP4 || what == DESCRIPTOR_UDP6;
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
		return pass_sendto(fd, data, size, flags, addr, len, is_udp(now, fd));
	if (!addr)
		return undo(now, fd,
			    pass_sendto(fd, data, size, flags, addr, len, is_udp(now, fd)));

	struct assign assign = {
		.call = ASSIGN_SEND,
		.fd = fd,
		.len = len,
		.fast_open = flags & MSG_FASTOPEN,
	};

	if (!needs_port(now, &assign, addr))
		return pass_sendto(fd, data, size, flags, addr, len, is_udp(now, fd));
	return AROUND(ssize_t, now, &assign, "sendto",
		      pass_sendto(fd, data, size, flags, addr, len, is_udp(now, fd)));
}

/*
 * The destination of a message. Return: false if there is none, or no send
 * through this socket needs a port. Keeps errno.
 */
static bool destination(struct shim *now, struct assign *assign, const struct msghdr *message,
			const struct sockaddr **ret_addr)
{
	int saved = errno;
	bool there;

	/* to look at far memory costs a system call each time, to ask about the socket only one */
	there = (memory_near(message, sizeof(*message)) || assign->fast_open ||
		 !settled(now, assign->fd)) &&
		memory_readable(message, sizeof(*message)) && message->msg_name &&
		message->msg_namelen;
	errno = saved;
	if (!there)
		return false;
	*ret_addr = message->msg_name;
	assign->len = message->msg_namelen;
	/* of a message, the kernel cuts what sendto() and connect() refuse (net/socket.c, __copy_msghdr) */
	if (assign->len > sizeof(struct sockaddr_storage) && assign->len <= INT_MAX)
		assign->len = sizeof(struct sockaddr_storage);
	return true;
}

/*
 * Has it no destination for sure? Behind a gate nobody looks at a message that
 * another thread may rewrite, so there its socket has to be settled. Keeps errno.
 */
static bool stays_so(struct shim *now, int fd)
{
	int saved = errno;
	bool stays = !gate() || settled(now, fd);

	errno = saved;
	return stays;
}

static ssize_t hook_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct sockaddr *addr;
	struct shim *now = shim();

	if (passes(now, fd, flags))
		return pass_sendmsg(fd, message, flags, is_udp(now, fd));

	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };

	if (!destination(now, &assign, message, &addr))
		return undo(now, fd,
			    stays_so(now, fd) ? pass_sendmsg(fd, message, flags, is_udp(now, fd))
					      : REAL(sendmsg)(fd, message, flags));
	if (!needs_port(now, &assign, addr))
		return pass_sendmsg(fd, message, flags, is_udp(now, fd));
	return AROUND(ssize_t, now, &assign, "sendmsg",
		      pass_sendmsg(fd, message, flags, is_udp(now, fd)));
}

/*
 * How many messages at the beginning have control data and no destination? Of
 * SCTP alone they may go well, and leave the socket without a port: with
 * SCTP_SENDALL they go to all associations, even if there is none. Keeps errno.
 */
static unsigned count_unnamed(const struct mmsghdr *messages, unsigned count)
{
	int saved = errno;
	unsigned i = 0;

	while (i < count && memory_readable(&messages[i], sizeof(messages[i])) &&
	       messages[i].msg_hdr.msg_controllen &&
	       !(messages[i].msg_hdr.msg_name && messages[i].msg_hdr.msg_namelen))
		i++;
	errno = saved;
	return i;
}

static int hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);

/* They have no destination. */
static int send_unnamed(struct shim *now, int fd, struct mmsghdr *messages, unsigned count,
			int flags)
{
	ssize_t result = stays_so(now, fd)
				 ? pass_sendmmsg(fd, messages, count, flags, is_udp(now, fd))
				 : REAL(sendmmsg)(fd, messages, count, flags);

	return (int)undo(now, fd, result);
}

/* Sends @first messages, and then the others. What becomes of those the kernel does not tell either. */
static int send_in_two(struct shim *now, int fd, struct mmsghdr *messages, unsigned first,
		       unsigned count, int flags)
{
	int sent = send_unnamed(now, fd, messages, first, flags), saved = errno, more;

	if (sent < (int)first)
		return sent;
	more = hook_sendmmsg(fd, messages + first, count - first, flags);
	errno = saved;
	return more < 0 ? sent : sent + more;
}

/* The first message decides: once it is sent, the socket has its port. */
static int hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	const struct sockaddr *addr;
	struct shim *now = shim();

	if (count == 0 || passes(now, fd, flags))
		return pass_sendmmsg(fd, messages, count, flags, is_udp(now, fd));

	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };

	if (!destination(now, &assign, &messages->msg_hdr, &addr)) {
		unsigned unnamed = count_unnamed(messages, count);

		if (unnamed && unnamed < count && !passes(now, fd, flags))
			return send_in_two(now, fd, messages, unnamed, count, flags);
		return send_unnamed(now, fd, messages, count, flags);
	}
	if (!needs_port(now, &assign, addr))
		return pass_sendmmsg(fd, messages, count, flags, is_udp(now, fd));
	return AROUND(int, now, &assign, "sendmmsg",
		      pass_sendmmsg(fd, messages, count, flags, is_udp(now, fd)));
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
		    around_serves(&assign)
			    ? pass_bind(fd, &assign.addr.sa, assign.len, &assign.addr)
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
