#include "libc.h"

#include "caller_memory.h"
#include "gate.h"
#include "gated.h"
#include "passing.h"
#include "real.h"
#include "sandbox.h"
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
 * A hook saves errno, asks core what has to be done, and makes the real call with errno as it
 * was: the program sees its own call's result and nothing else.
 *
 * A hook may run in a signal handler, in a child between vfork and exec, in any
 * thread and before our constructor. So there is no lock, no allocation and no
 * stdio in here, and what is remembered is immutable (shim.h).
 *
 * Calls on sockets that are none of ours are made as they are: see passing.c.
 */

/* An address that no IPv4 or IPv6 socket takes, for the functions of gated that ask for what was seen. */
static const union addr foreign_address = { .sa.sa_family = AF_UNIX };

/* Does the socket still have the port with which it was noted? Asks the kernel. */
static bool has_noted_port(struct shim *shim, int fd)
{
	const uint16_t noted = fdcache_port(shim->fdcache, fd);

	return noted && assign_port(&shim->fence, fd) == noted;
}

/*
 * The descriptor is remembered as settled. Is it still? Behind the gate nobody
 * looks again, so there the kernel is asked whether the socket has its port:
 * another system call than libc's may have given the number another socket.
 * Keeps errno.
 */
static bool is_settled(struct shim *shim, int fd)
{
	int saved = errno;
	bool settled = fdcache_is_settled(fdcache_get(shim->fdcache, fd));

	if (!settled || !gate())
		return settled;
	if (sandbox_is_filtered())
		return false;
	settled = has_noted_port(shim, fd);
	if (!settled)
		fdcache_forget(shim->fdcache, fd);
	errno = saved;
	return settled;
}

/* Has bind() given the socket a port that the program named? Asks the kernel once, if so. Keeps errno. */
static bool is_bound(struct shim *shim, int fd)
{
	int saved = errno;
	bool bound = fdcache_get(shim->fdcache, fd) == FDCACHE_BOUND && has_noted_port(shim, fd);

	errno = saved;
	return bound;
}

/* May the kernel be asked what a send that failed with this error has left? */
static bool may_ask_afterwards(const struct shim *shim, int fd, int error)
{
	enum fdcache_state state = fdcache_get(shim->fdcache, fd);

	if (fdcache_is_foreign(state) || (fdcache_is_settled(state) && !gate()))
		return false;
	if (!sandbox_is_filtered())
		return true;
	/* a supervisor takes it back before the socket's next call; what is not IP fails with other errors */
	return !gate() && (state == FDCACHE_UDP4 || state == FDCACHE_UDP6 ||
			   error == EDESTADDRREQ || error == EAFNOSUPPORT);
}

/*
 * A call that gives the socket no port if it succeeds has failed: see
 * assign_undo(). Before the kernel notices that a destination is missing, it
 * refuses a datagram that is too long and MSG_OOB (net/ipv4/udp.c, udp_sendmsg).
 * It looks at a connect()'s address last (net/ipv4/af_inet.c,
 * inet_dgram_connect). Return: @result, and errno is kept
 */
static ssize_t take_back_port(struct shim *shim, int fd, ssize_t result)
{
	const int error = errno;

	if (result >= 0 || !shim->fenced || !may_ask_afterwards(shim, fd, error))
		return result;
	if (error == EDESTADDRREQ || error == EMSGSIZE || error == EOPNOTSUPP ||
	    error == EAFNOSUPPORT || error == EINVAL) {
		/* the cache stays valid: such a port is taken back, not cached, see remember_if_settled() */
		if (assign_undo(&shim->fence, fd))
			log_port_kept(&shim->log);
		errno = error;
	}
	return result;
}

/* @program_port: the port that the program named, if @addr has another one in its place; else 0 */
static int hook_bind(int fd, const struct sockaddr *addr, socklen_t len, uint16_t program_port)
{
	struct assign assign = {
		.call = ASSIGN_BIND, .fd = fd, .len = len, .program_port = program_port
	};
	struct shim *shim = shim_get();
	int saved = errno, result;
	bool copied;

	if (!shim->fenced)
		return REAL(bind)(fd, addr, len);
	switch (passing_way(shim, fd, passing_address(addr, len))) {
	case PASSING_LIBC:
		return libc_bind(fd, addr, len);
	case PASSING_GATE:
		return gated_bind(fd, addr, len, &foreign_address);
	case PASSING_FENCED:
		break;
	}
	copied = caller_memory_address(addr, len, &assign.addr);
	errno = saved;
	if (!copied)
		return gated_bind(fd, addr, len, NULL);
	result = WITH_PORT(int, shim, &assign, "bind", gated_bind(fd, addr, len, &assign.addr));
	if (!result && addr_port(&assign.addr))
		fdcache_note_bound(shim->fdcache, fd,
				   assign.port ? assign.port : addr_port(&assign.addr));
	return result;
}

/* connect() with an address of another family, or on a socket that is none of ours */
static int pass_connect(struct shim *shim, enum passing_way way, int fd,
			const struct sockaddr *addr, socklen_t len)
{
	int result = way == PASSING_LIBC ? libc_connect(fd, addr, len)
					 : gated_connect(fd, addr, len, &foreign_address,
							 passing_wait_quiet(shim, fd));

	return (int)take_back_port(shim, fd, result);
}

/* May a connect() with an address of IPv4 or IPv6 wait? A datagram's never does. */
static enum gated_wait connect_wait(const struct shim *shim, int fd)
{
	return passing_wait(shim, fd) == GATED_WHOLE ? GATED_NEVER : GATED_ASK;
}

static int hook_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct assign assign = { .call = ASSIGN_CONNECT, .fd = fd, .len = len };
	struct shim *shim = shim_get();
	int saved = errno, result;
	enum passing_way way;
	enum gated_wait wait;
	bool copied;

	if (!shim->fenced)
		return REAL(connect)(fd, addr, len);
	way = passing_way(shim, fd, passing_address(addr, len));
	if (way != PASSING_FENCED)
		return pass_connect(shim, way, fd, addr, len);
	copied = caller_memory_address(addr, len, &assign.addr);
	errno = saved;
	if (!copied)
		return gated_connect(fd, addr, len, NULL, GATED_ASK);
	if (assign.addr.sa.sa_family == AF_UNSPEC) {
		fdcache_dissolve(shim->fdcache);
		result = WITH_PORT(int, shim, &assign, "connect",
				   gated_connect(fd, addr, len, &assign.addr, GATED_NEVER));
		fdcache_dissolve(shim->fdcache);
		return result;
	}
	/* most addresses of other families; only their sockets take it */
	if (assign.addr.sa.sa_family == AF_UNIX)
		return pass_connect(shim, PASSING_GATE, fd, addr, len);
	wait = connect_wait(shim, fd);
	/* a socket that shows a port need not be UDP, so behind the gate the cache does not suffice */
	if ((!gate() && fdcache_get(shim->fdcache, fd) == FDCACHE_SETTLED_UDP) ||
	    is_bound(shim, fd))
		return gated_connect(fd, addr, len, &assign.addr, wait);
	return WITH_PORT(int, shim, &assign, "connect",
			 gated_connect(fd, addr, len, &assign.addr, wait));
}

EXPORT int listen(int fd, int backlog)
{
	struct assign assign = { .call = ASSIGN_LISTEN, .fd = fd, .backlog = backlog };
	struct shim *shim = shim_get();

	if (!shim->fenced)
		return REAL(listen)(fd, backlog);
	switch (passing_way(shim, fd, PASSING_UNREAD)) {
	case PASSING_LIBC:
		return libc_listen(fd, backlog);
	case PASSING_GATE:
		return gated_listen(fd, backlog);
	case PASSING_FENCED:
		break;
	}
	if (is_bound(shim, fd))
		return gated_listen(fd, backlog);
	return WITH_PORT(int, shim, &assign, "listen", gated_listen(fd, backlog));
}

/* Does no send through this socket need a port from us? Asks the kernel if needed, and remembers it if so. */
static bool remember_if_settled(struct shim *shim, int fd)
{
	const uint16_t noted = fdcache_port(shim->fdcache, fd);
	enum fdcache_state state = fdcache_get(shim->fdcache, fd);
	const bool kept = state == FDCACHE_KEPT;
	enum assign_state found;
	uint16_t port;
	bool shy;
	int mark;

	if (fdcache_is_settled(state) || state == FDCACHE_UDP4 || state == FDCACHE_UDP6)
		return fdcache_is_settled(state);
	shy = with_port_is_shy(shim, fd);
	/* that a socket is a fresh TCP one is a hint, too, and no bind would put it right */
	fdcache_ask(shim->fdcache, fd, &mark);
	found = assign_settle(&shim->fence, fd, kept ? 0 : noted, kept || shy, &port);
	/* not the port that was left to the socket then */
	if (found == ASSIGN_FOREIGN_UDP && kept && port != noted)
		found = assign_settle(&shim->fence, fd, 0, shy, &port);
	switch (found) {
	case ASSIGN_OTHER_FAMILY:
		state = fdcache_is_foreign(state) ? state : FDCACHE_FOREIGN;
		break;
	case ASSIGN_SETTLED:
		state = FDCACHE_SETTLED;
		break;
	case ASSIGN_SETTLED_UDP:
		state = FDCACHE_SETTLED_UDP;
		break;
	case ASSIGN_FOREIGN_UDP:
		/* the kernel chose the port for somebody else; whoever shares the socket can dissolve it */
		state = FDCACHE_KEPT;
		break;
	default:
		return false;
	}
	fdcache_settle(shim->fdcache, fd, state, port, &mark);
	return true;
}

/* Does a send to an address need a port first? Keeps errno. */
static bool needs_port(struct shim *shim, struct assign *assign, const struct sockaddr *addr)
{
	int saved = errno;
	bool needs = (assign->fast_open || !remember_if_settled(shim, assign->fd)) &&
		     caller_memory_address(addr, assign->len, &assign->addr);

	errno = saved;
	return needs;
}

EXPORT ssize_t send(int fd, const void *data, size_t size, int flags)
{
	ssize_t result = REAL(send)(fd, data, size, flags);

	return result < 0 ? take_back_port(shim_get(), fd, result) : result;
}

/* Is there nothing to be done for a send? Keeps errno. */
static bool needs_nothing(struct shim *shim, int fd, int flags)
{
	return !shim->fenced || (!(flags & MSG_FASTOPEN) && is_settled(shim, fd));
}

static ssize_t hook_sendto(int fd, const void *data, size_t size, int flags,
			   const struct sockaddr *addr, socklen_t len)
{
	struct assign assign = {
		.call = ASSIGN_SEND,
		.fd = fd,
		.len = len,
		.fast_open = flags & MSG_FASTOPEN,
	};
	struct shim *shim = shim_get();
	enum gated_wait wait;
	bool needs;

	/* without an address, a supervisor's filter lets it pass by itself */
	if (!addr)
		return take_back_port(shim, fd, REAL(sendto)(fd, data, size, flags, addr, len));
	if (needs_nothing(shim, fd, flags))
		return gated_sendto(fd, data, size, flags, addr, len, NULL, passing_wait(shim, fd));
	switch (passing_way(shim, fd, passing_address(addr, len))) {
	case PASSING_LIBC:
		return take_back_port(shim, fd, REAL(sendto)(fd, data, size, flags, addr, len));
	case PASSING_GATE:
		return take_back_port(shim, fd,
				      gated_sendto(fd, data, size, flags, addr, len, NULL,
						   passing_wait_quiet(shim, fd)));
	case PASSING_FENCED:
		break;
	}
	needs = needs_port(shim, &assign, addr);
	/* while what is known of a new socket still stands: it is used once */
	wait = passing_wait(shim, fd);
	if (!needs)
		return gated_sendto(fd, data, size, flags, addr, len, NULL, wait);
	return WITH_PORT(ssize_t, shim, &assign, "sendto",
			 gated_sendto(fd, data, size, flags, addr, len, &assign.addr, wait));
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
	/* sendto() and connect() refuse a longer address; of a message, the kernel cuts it (net/socket.c,
	 * __copy_msghdr) */
	if (assign->len > sizeof(struct sockaddr_storage) && assign->len <= INT_MAX)
		assign->len = sizeof(struct sockaddr_storage);
	return true;
}

/*
 * May a message without a destination pass the supervisor by? Another thread may
 * add a destination after we have looked. So it may if there is no other thread,
 * or if no send through the socket needs a port. Keeps errno.
 */
static bool may_pass_unread(struct shim *shim, int fd)
{
	int saved = errno;
	bool may = !gate() || gated_is_alone() || remember_if_settled(shim, fd);

	errno = saved;
	return may;
}

static ssize_t fenced_sendmsg(struct shim *shim, sendmsg_fn *real, int fd,
			      const struct msghdr *message, int flags)
{
	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };
	const struct sockaddr *addr;
	enum gated_wait wait;
	bool needs;

	if (!read_destination(shim, &assign, message, &addr))
		return take_back_port(shim, fd,
				      may_pass_unread(shim, fd)
					      ? gated_sendmsg(real, fd, message, flags, NULL, 0,
							      passing_wait(shim, fd))
					      : real(fd, message, flags));
	needs = needs_port(shim, &assign, addr);
	wait = passing_wait(shim, fd);
	if (!needs)
		return gated_sendmsg(real, fd, message, flags, NULL, 0, wait);
	return WITH_PORT(ssize_t, shim, &assign, "sendmsg",
			 gated_sendmsg(real, fd, message, flags, &assign.addr, assign.len, wait));
}

static ssize_t hook_sendmsg(sendmsg_fn *real, int fd, const struct msghdr *message, int flags)
{
	struct shim *shim = shim_get();
	enum passing_target target;

	if (!shim->fenced || (!gate() && needs_nothing(shim, fd, flags)))
		return real(fd, message, flags);
	target = passing_message(message);
	/* whatever the number means, a message without a destination chooses no port */
	if ((target == PASSING_NOBODY && fdcache_is_settled(fdcache_get(shim->fdcache, fd)) &&
	     !(flags & MSG_FASTOPEN)) ||
	    needs_nothing(shim, fd, flags))
		return gated_sendmsg(real, fd, message, flags, NULL, 0, passing_wait(shim, fd));
	switch (passing_way(shim, fd, target)) {
	case PASSING_LIBC:
		return take_back_port(shim, fd, real(fd, message, flags));
	case PASSING_GATE:
		return take_back_port(shim, fd,
				      gated_sendmsg(real, fd, message, flags, NULL, 0,
						    passing_wait_quiet(shim, fd)));
	case PASSING_FENCED:
		break;
	}
	return fenced_sendmsg(shim, real, fd, message, flags);
}

/*
 * How many messages at the beginning have control data and no destination? With
 * SCTP alone, sending them may succeed and leave the socket without a port: with
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

/* Sends messages of which the first has a destination: once that one is sent, the socket has its port. */
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

/* Sends messages of which the first has no destination, and if that succeeds those that may need a port. */
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
	/* the kernel, too, does not tell that later messages failed */
	errno = saved;
	return more < 0 ? sent : sent + more;
}

static int hook_sendmmsg(sendmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count,
			 int flags)
{
	struct assign assign = { .call = ASSIGN_SEND, .fd = fd, .fast_open = flags & MSG_FASTOPEN };
	struct shim *shim = shim_get();
	const struct sockaddr *addr;

	if (count == 0 || needs_nothing(shim, fd, flags))
		return gated_sendmmsg(real, fd, messages, count, flags);
	/* to read all of them here would take long, and the first does not tell about the others */
	switch (passing_way(shim, fd, PASSING_UNREAD)) {
	case PASSING_LIBC:
		return (int)take_back_port(shim, fd, real(fd, messages, count, (libc_flags)flags));
	case PASSING_GATE:
		return gated_sendmmsg(real, fd, messages, count, flags);
	case PASSING_FENCED:
		break;
	}
	if (!read_destination(shim, &assign, messages, &addr))
		return send_unnamed(shim, real, fd, messages, count, flags);
	return send_named(shim, real, &assign, addr, messages, count, flags);
}

/* Does the kernel say that it is no IPv4 socket? Keeps errno. */
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
 * libc's own function takes a port below 1024 by calling its internal bind. Here
 * the call is a bind to port 0, and the port is reported as bindresvport(3) says.
 * A library such as libtirpc may have a version of its own for other families. It
 * binds by bind(), our hook.
 */
EXPORT int bindresvport(int fd, struct sockaddr_in *addr)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = fd, .at_once = true };
	int (*real)(int, struct sockaddr_in *) = REAL(bindresvport);
	struct shim *shim = shim_get();
	int rc;

	/* musl has none */
	if (!real)
		return real_missing();
	if (!shim->fenced || fdcache_is_foreign(fdcache_get(shim->fdcache, fd)) ||
	    passing_asks_nobody() || is_not_ipv4(fd) || (addr && addr->sin_family != AF_INET))
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

/* ---- the same under a map, with addresses translated ---- */

/* How many messages are copied at once: the stack may be a signal handler's. */
#define MAPPED_AT_ONCE 8

static int fail_with(int error)
{
	errno = -error;
	return -1;
}

/* Are the addresses of this call translated here? The supervisor translates those of its calls. */
static bool is_translated(int fd)
{
	const struct shim *shim = shim_get();

	return shim->maps && !fdcache_is_foreign(fdcache_get(shim->fdcache, fd)) &&
	       !passing_asks_nobody();
}

static int bind_mapped(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct translated mapped;

	translated_bind(shim_get(), fd, addr, len, &mapped);
	return hook_bind(fd, mapped.addr, mapped.len, mapped.program_port);
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

/* Sends some messages, with their destinations translated. Return: as sendmmsg() */
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
		/* the kernel, too, does not tell that later messages failed */
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
	return is_translated(fd) ? bind_mapped(fd, addr, len) : hook_bind(fd, addr, len, 0);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return is_translated(fd) ? connect_mapped(fd, addr, len) : hook_connect(fd, addr, len);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		      socklen_t len)
{
	return is_translated(fd) ? sendto_mapped(fd, data, size, flags, addr, len)
				 : hook_sendto(fd, data, size, flags, addr, len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return is_translated(fd) ? sendmsg_mapped(REAL(sendmsg), fd, message, flags)
				 : hook_sendmsg(REAL(sendmsg), fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, libc_flags flags)
{
	return is_translated(fd) ? sendmmsg_mapped(REAL(sendmmsg), fd, messages, count, (int)flags)
				 : hook_sendmmsg(REAL(sendmmsg), fd, messages, count, (int)flags);
}

EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
	__attribute__((alias("connect")));

EXPORT ssize_t __send(int fd, const void *data, size_t size, int flags)
	__attribute__((alias("send")));

#if LIBC_TIME64
EXPORT int __sendmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	return is_translated(fd) ? sendmmsg_mapped(REAL(__sendmmsg64), fd, messages, count, flags)
				 : hook_sendmmsg(REAL(__sendmmsg64), fd, messages, count, flags);
}

EXPORT ssize_t __sendmsg64(int fd, const struct msghdr *message, int flags)
{
	return is_translated(fd) ? sendmsg_mapped(REAL(__sendmsg64), fd, message, flags)
				 : hook_sendmsg(REAL(__sendmsg64), fd, message, flags);
}
#endif
