#include "libc.h"

#include "caller_memory.h"
#include "gate.h"
#include "gated.h"
#include "real.h"
#include "shim.h"
#include "translated.h"
#include "with_port.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
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

/* @asked: the port that the program named, if that of @addr is another; else 0 */
static int hook_bind(int fd, const struct sockaddr *addr, socklen_t len, uint16_t asked)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .len = len, .program_port = asked };
	struct shim *shim = shim_get();
	int saved = errno, result;
	bool copied = shim->fenced && caller_memory_address(addr, len, &assign.addr);

	errno = saved;
	if (!copied)
		return gated_bind(fd, addr, len, NULL);
	result = WITH_PORT(int, shim, &assign, "bind", gated_bind(fd, addr, len, &assign.addr));
	if (!result && addr_port(&assign.addr))
		fdcache_note_bound(shim->fdcache, fd);
	return result;
}

/* Has a bind() to a port that the program named settled all? One system call, if it may have. */
static bool is_bound(struct shim *shim, int fd)
{
	int saved = errno;
	bool bound = fdcache_get(shim->fdcache, fd) == FDCACHE_BOUND &&
		     assign_has_port(&shim->fence, fd);

	errno = saved;
	return bound;
}

static bool is_settled(enum fdcache_state what)
{
	return what == FDCACHE_SETTLED || what == FDCACHE_SETTLED_UDP;
}

/*
 * A call that gives the socket no port if it goes well has failed: see
 * assign_undo(). Too long a datagram and MSG_OOB are refused before the want of
 * a destination is noticed (net/ipv4/udp.c, udp_sendmsg), and a connect()'s
 * address is looked at last (net/ipv4/af_inet.c, inet_dgram_connect).
 */
static ssize_t take_back_port(struct shim *shim, int fd, ssize_t result)
{
	int error;

	if (result >= 0 || !shim->fenced || is_settled(fdcache_get(shim->fdcache, fd)))
		return result;
	error = errno;
	if (error == EDESTADDRREQ || error == EMSGSIZE || error == EOPNOTSUPP ||
	    error == EAFNOSUPPORT || error == EINVAL) {
		/* what is remembered stays true: no such port is, see remember_if_settled() */
		if (assign_undo(&shim->fence, fd))
			log_port_kept(&shim->log);
		errno = error;
	}
	return result;
}

static int hook_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct assign assign = { .call = ASSIGN_CONNECT, .fd = fd, .len = len };
	struct shim *shim = shim_get();
	int saved = errno, result;
	bool copied = shim->fenced && caller_memory_address(addr, len, &assign.addr);

	errno = saved;
	if (!copied)
		return gated_connect(fd, addr, len, NULL);
	if (assign.addr.sa.sa_family == AF_UNSPEC) {
		fdcache_dissolve(shim->fdcache);
		result = WITH_PORT(int, shim, &assign, "connect",
				   gated_connect(fd, addr, len, &assign.addr));
		fdcache_dissolve(shim->fdcache);
		return result;
	}
	/* most of them; no other family's socket takes such an address */
	if (assign.addr.sa.sa_family == AF_UNIX)
		return (int)take_back_port(shim, fd, gated_connect(fd, addr, len, &assign.addr));
	if (fdcache_get(shim->fdcache, fd) == FDCACHE_SETTLED_UDP || is_bound(shim, fd))
		return gated_connect(fd, addr, len, &assign.addr);
	return WITH_PORT(int, shim, &assign, "connect", gated_connect(fd, addr, len, &assign.addr));
}

static int hook_listen(int fd, int backlog)
{
	struct assign assign = { .call = ASSIGN_LISTEN, .fd = fd, .backlog = backlog };
	struct shim *shim = shim_get();

	if (!shim->fenced || is_bound(shim, fd))
		return gated_listen(fd, backlog);
	return WITH_PORT(int, shim, &assign, "listen", gated_listen(fd, backlog));
}

/* Known to be a UDP socket? Of interest only to whoever has a gate. */
static bool is_udp(struct shim *shim, int fd)
{
	enum fdcache_state what;

	if (!gate())
		return false;
	what = fdcache_get(shim->fdcache, fd);
	return what == FDCACHE_SETTLED_UDP || what == FDCACHE_UDP4 || what == FDCACHE_UDP6;
}

/* Does no send through this socket need a port from us? Remembers it if so. */
static bool remember_if_settled(struct shim *shim, int fd)
{
	enum fdcache_state what = fdcache_get(shim->fdcache, fd);
	char mark;

	if (is_settled(what) || what == FDCACHE_UDP4 || what == FDCACHE_UDP6)
		return is_settled(what);
	/* that it is a fresh TCP socket is a hint, too, and no bind would put it right */
	fdcache_ask(shim->fdcache, fd, &mark);
	switch (assign_state(&shim->fence, fd)) {
	case ASSIGN_SETTLED:
		fdcache_settle(shim->fdcache, fd, FDCACHE_SETTLED, &mark);
		return true;
	case ASSIGN_FOREIGN_UDP:
		/* chosen by the kernel for somebody else, whoever shares the socket can dissolve it */
		if (what != FDCACHE_BOUND)
			return true;
		/* fallthrough */
	case ASSIGN_SETTLED_UDP:
		fdcache_settle(shim->fdcache, fd, FDCACHE_SETTLED_UDP, &mark);
		return true;
	default:
		return false;
	}
}

/* Does a send to an address need a port first? Keeps errno. */
static bool needs_port(struct shim *shim, struct assign *assign, const struct sockaddr *addr)
{
	int saved = errno;
	bool needs = shim->fenced &&
		     (assign->fast_open || !remember_if_settled(shim, assign->fd)) &&
		     caller_memory_address(addr, assign->len, &assign->addr);

	errno = saved;
	return needs;
}

static ssize_t hook_send(int fd, const void *data, size_t size, int flags)
{
	ssize_t result = REAL(send)(fd, data, size, flags);

	return result < 0 ? take_back_port(shim_get(), fd, result) : result;
}

/* Is there nothing to be done for a send, as far as can be told without a system call? */
static bool needs_nothing(struct shim *shim, int fd, int flags)
{
	return !shim->fenced ||
	       (!(flags & MSG_FASTOPEN) && is_settled(fdcache_get(shim->fdcache, fd)));
}

static ssize_t hook_sendto(int fd, const void *data, size_t size, int flags,
			   const struct sockaddr *addr, socklen_t len)
{
	struct shim *shim = shim_get();

	if (needs_nothing(shim, fd, flags))
		return gated_sendto(fd, data, size, flags, addr, len, is_udp(shim, fd));
	if (!addr)
		return take_back_port(
			shim, fd, gated_sendto(fd, data, size, flags, addr, len, is_udp(shim, fd)));

	struct assign assign = {
		.call = ASSIGN_SEND,
		.fd = fd,
		.len = len,
		.fast_open = flags & MSG_FASTOPEN,
	};

	if (!needs_port(shim, &assign, addr))
		return gated_sendto(fd, data, size, flags, addr, len, is_udp(shim, fd));
	return WITH_PORT(ssize_t, shim, &assign, "sendto",
			 gated_sendto(fd, data, size, flags, addr, len, is_udp(shim, fd)));
}

/*
 * The destination of a message. Return: false if there is none, or no send
 * through this socket needs a port. Keeps errno.
 */
static bool read_destination(struct shim *shim, struct assign *assign, const void *message,
			     const struct sockaddr **ret_addr)
{
	struct msghdr copy = { .msg_name = NULL };
	int saved = errno;
	bool there;

	/* to look at far memory costs a system call each time, to ask about the socket only one */
	there = (caller_memory_near(message, sizeof(copy)) || assign->fast_open ||
		 !remember_if_settled(shim, assign->fd)) &&
		caller_memory_readable(message, sizeof(copy));
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

/*
 * Has it no destination for sure? Behind a gate nobody looks at a message that
 * another thread may rewrite, so there its socket has to be settled. Keeps errno.
 */
static bool may_pass_unread(struct shim *shim, int fd)
{
	int saved = errno;
	bool stays = !gate() || remember_if_settled(shim, fd);

	errno = saved;
	return stays;
}

static ssize_t hook_sendmsg(sendmsg_fn *real, int fd, const struct msghdr *message, int flags)
{
	const struct sockaddr *addr;
	struct shim *shim = shim_get();

	if (needs_nothing(shim, fd, flags))
		return gated_sendmsg(real, fd, message, flags, is_udp(shim, fd));

	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };

	if (!read_destination(shim, &assign, message, &addr))
		return take_back_port(shim, fd,
				      may_pass_unread(shim, fd)
					      ? gated_sendmsg(real, fd, message, flags,
							      is_udp(shim, fd))
					      : real(fd, message, flags));
	if (!needs_port(shim, &assign, addr))
		return gated_sendmsg(real, fd, message, flags, is_udp(shim, fd));
	return WITH_PORT(ssize_t, shim, &assign, "sendmsg",
			 gated_sendmsg(real, fd, message, flags, is_udp(shim, fd)));
}

/*
 * How many messages at the beginning have control data and no destination? Of
 * SCTP alone they may go well, and leave the socket without a port: with
 * SCTP_SENDALL they go to all associations, even if there is none. Keeps errno.
 */
static unsigned count_unnamed(const struct mmsghdr *messages, unsigned count)
{
	struct mmsghdr one;
	int saved = errno;
	unsigned i;

	for (i = 0; i < count && caller_memory_readable(&messages[i], sizeof(one)); i++) {
		/* it need not be aligned for the kernel */
		memcpy(&one, &messages[i], sizeof(one));
		if (!one.msg_hdr.msg_controllen ||
		    (one.msg_hdr.msg_name && one.msg_hdr.msg_namelen))
			break;
	}
	errno = saved;
	return i;
}

/* Sends messages of which the first has a destination: once it is sent, the socket has its port. */
static int send_named(struct shim *shim, sendmmsg_fn *real, struct assign *assign,
		      const struct sockaddr *addr, struct mmsghdr *messages, unsigned count,
		      int flags)
{
	int fd = assign->fd;

	if (!needs_port(shim, assign, addr))
		return gated_sendmmsg(real, fd, messages, count, flags);
	return WITH_PORT(int, shim, assign, "sendmmsg",
			 gated_sendmmsg(real, fd, messages, count, flags));
}

/* Sends messages that have no destination. */
static int pass_unnamed(struct shim *shim, sendmmsg_fn *real, int fd, struct mmsghdr *messages,
			unsigned count, int flags)
{
	return may_pass_unread(shim, fd) ? gated_sendmmsg(real, fd, messages, count, flags)
					 : real(fd, messages, count, (libc_flags)flags);
}

/* Sends messages of which the first has none, and then, if it went well, those that may need a port. */
static int send_unnamed(struct shim *shim, sendmmsg_fn *real, int fd, struct mmsghdr *messages,
			unsigned count, int flags)
{
	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };
	unsigned first = needs_nothing(shim, fd, flags) ? 0 : count_unnamed(messages, count);
	const struct sockaddr *addr;
	int sent, more, saved;

	if (first == 0 || first == count)
		return (int)take_back_port(shim, fd,
					   pass_unnamed(shim, real, fd, messages, count, flags));
	sent = pass_unnamed(shim, real, fd, messages, first, flags);
	if (sent < (int)first)
		return (int)take_back_port(shim, fd, sent);
	saved = errno;
	messages += first;
	count -= first;
	if (read_destination(shim, &assign, messages, &addr))
		more = send_named(shim, real, &assign, addr, messages, count, flags);
	else
		more = (int)take_back_port(shim, fd,
					   pass_unnamed(shim, real, fd, messages, count, flags));
	/* that the others failed, the kernel does not tell either */
	errno = saved;
	return more < 0 ? sent : sent + more;
}

static int hook_sendmmsg(sendmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count,
			 int flags)
{
	const struct sockaddr *addr;
	struct shim *shim = shim_get();

	if (count == 0 || needs_nothing(shim, fd, flags))
		return gated_sendmmsg(real, fd, messages, count, flags);

	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };

	if (!read_destination(shim, &assign, messages, &addr))
		return send_unnamed(shim, real, fd, messages, count, flags);
	return send_named(shim, real, &assign, addr, messages, count, flags);
}

/* Is it certainly no IPv4 socket? Keeps errno. */
static bool is_not_ipv4(int fd)
{
	union addr local = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(local);
	int saved = errno;
	bool other = !REAL(getsockname)(fd, &local.sa, &len) && local.sa.sa_family != AF_INET;

	errno = saved;
	return other;
}

/*
 * libc's own takes a port below 1024 by calling its internal bind. Here it is
 * a bind to port 0, and the port is reported as bindresvport(3) has it. For
 * other families than libc's, a library such as libtirpc may have a version of
 * its own, which binds by bind(), our hook.
 */
static int hook_bindresvport(int fd, struct sockaddr_in *addr)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .at_once = true };
	int (*real)(int, struct sockaddr_in *) = REAL(bindresvport);
	struct shim *shim = shim_get();
	int rc;

	/* musl has none */
	if (!real) {
		errno = ENOSYS;
		return -1;
	}
	if (!shim->fenced || is_not_ipv4(fd) || (addr && addr->sin_family != AF_INET))
		return real(fd, addr);
	assign.len = addr_wildcard(&assign.addr, AF_INET);
	if (addr)
		assign.addr.in4.sin_addr = addr->sin_addr;
	rc = WITH_PORT(int, shim, &assign, "bindresvport",
		       assign_serves(&assign)
			       ? gated_bind(fd, &assign.addr.sa, assign.len, &assign.addr)
			       : real(fd, addr));
	if (!rc && addr && assign.port)
		addr->sin_port = htons(assign.port);
	return rc;
}

/* ---- under a map, the same with addresses translated ---- */

/* So many messages are copied at once: the stack may be a signal handler's. */
#define MAPPED_AT_ONCE 8

static int fail_with(int error)
{
	errno = -error;
	return -1;
}

static int bind_mapped(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct translated mapped;

	translated_bind(shim_get(), fd, addr, len, &mapped);
	return hook_bind(fd, mapped.addr, mapped.len, mapped.asked);
}

static int connect_mapped(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct translated mapped;
	int rc = translated_to(shim_get(), fd, addr, len, &mapped);

	if (rc)
		return fail_with(rc);
	return hook_connect(fd, mapped.addr, mapped.len);
}

static ssize_t sendto_mapped(int fd, const void *data, size_t size, int flags,
			     const struct sockaddr *addr, socklen_t len)
{
	struct translated mapped;
	int rc = translated_to(shim_get(), fd, addr, len, &mapped);

	if (rc)
		return fail_with(rc);
	return hook_sendto(fd, data, size, flags, mapped.addr, mapped.len);
}

static ssize_t sendmsg_mapped(sendmsg_fn *real, int fd, const struct msghdr *message, int flags)
{
	struct translated mapped;
	struct msghdr copy;
	int rc = translated_message(shim_get(), fd, message, &copy, &mapped);

	if (rc < 0)
		return fail_with(rc);
	return hook_sendmsg(real, fd, rc ? &copy : message, flags);
}

/* Some messages, of which those that need it have another destination. Return: as sendmmsg() */
static int send_mapped_some(sendmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count,
			    int flags)
{
	struct mmsghdr copies[MAPPED_AT_ONCE];
	struct translated mapped[MAPPED_AT_ONCE];
	struct shim *shim = shim_get();
	bool any = false;
	int sent, rc = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		rc = translated_message(shim, fd, &messages[i].msg_hdr, &copies[i].msg_hdr,
					&mapped[i]);
		if (rc > 0)
			any = true;
		else if (!rc && caller_memory_readable(&messages[i], sizeof(messages[i])))
			copies[i] = messages[i];
		else
			break;
	}
	if (rc < 0 && !i)
		return fail_with(rc);
	if (rc < 0)
		count = i;
	if (!any)
		return hook_sendmmsg(real, fd, messages, count, flags);
	sent = hook_sendmmsg(real, fd, copies, i, flags);
	for (i = 0; (int)i < sent; i++)
		messages[i].msg_len = copies[i].msg_len;
	return sent;
}

static int sendmmsg_mapped(sendmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count,
			   int flags)
{
	unsigned done = 0;
	int saved = errno;

	/* the kernel takes no more at once (net/socket.c, __sys_sendmmsg) */
	if (count > UIO_MAXIOV)
		count = UIO_MAXIOV;
	do {
		unsigned most = count - done < MAPPED_AT_ONCE ? count - done : MAPPED_AT_ONCE;
		int sent = send_mapped_some(real, fd, messages + done, most, flags);

		if (sent < 0 && !done)
			return sent;
		/* that the others failed, the kernel does not tell either */
		errno = saved;
		done += sent > 0 ? (unsigned)sent : 0;
		if (sent < (int)most)
			break;
	} while (done < count);
	return (int)done;
}

/* ---- the exported names ---- */

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return shim_get()->maps ? bind_mapped(fd, addr, len) : hook_bind(fd, addr, len, 0);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return shim_get()->maps ? connect_mapped(fd, addr, len) : hook_connect(fd, addr, len);
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
	return shim_get()->maps ? sendto_mapped(fd, data, size, flags, addr, len)
				: hook_sendto(fd, data, size, flags, addr, len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return shim_get()->maps ? sendmsg_mapped(REAL(sendmsg), fd, message, flags)
				: hook_sendmsg(REAL(sendmsg), fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags)
{
	return shim_get()->maps ? sendmmsg_mapped(REAL(sendmmsg), fd, messages, count, (int)flags)
				: hook_sendmmsg(REAL(sendmmsg), fd, messages, count, (int)flags);
}

EXPORT int bindresvport(int fd, struct sockaddr_in *addr)
{
	return hook_bindresvport(fd, addr);
}

EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return shim_get()->maps ? connect_mapped(fd, addr, len) : hook_connect(fd, addr, len);
}

EXPORT ssize_t __send(int fd, const void *data, size_t size, int flags)
{
	return hook_send(fd, data, size, flags);
}

#if LIBC_TIME64
EXPORT int __sendmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	return shim_get()->maps ? sendmmsg_mapped(REAL(__sendmmsg64), fd, messages, count, flags)
				: hook_sendmmsg(REAL(__sendmmsg64), fd, messages, count, flags);
}

EXPORT ssize_t __sendmsg64(int fd, const struct msghdr *message, int flags)
{
	return shim_get()->maps ? sendmsg_mapped(REAL(__sendmsg64), fd, message, flags)
				: hook_sendmsg(REAL(__sendmsg64), fd, message, flags);
}
#endif
