#include "libc.h"

#include "gated.h"

#include "caller_memory.h"
#include "gate.h"
#include "next_symbol.h"
#include "real.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * libc's connect() and its sends are cancellation points: a thread may be
 * cancelled while it waits in one. libc does that with means of its own, and to
 * cancel a thread it unwinds the stack, through a page that no unwinder knows.
 * So a call goes through the gate only if it does not wait, or if no other
 * thread could cancel this one. A thread that was cancelled before ends before
 * the call. The other calls go through libc, and the supervisor looks at them.
 *
 * A signal that comes before the supervisor has seen a call ends that call with
 * EINTR, and nothing was done (portfence(1)): it is as if the signal had come
 * before the call. So libc's function is called again where that is known.
 *
 * Behind the gate nobody looks at a call again. So where another thread could
 * have rewritten an address meanwhile, the copy that was looked at is passed.
 *
 * A process that nobody may look into (PR_SET_DUMPABLE) is out of the
 * supervisor's reach, and one with a filter of its own often is that, too. There
 * all calls go through the gate that may. So it is in every process where the
 * supervisor may look into none, and has to make the sockets that it serves: those
 * of the library it never hears of. A thread that waits in one is then
 * cancelled only once the call returns.
 */

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_SMC
#define IPPROTO_SMC 256 /* include/uapi/linux/in.h, since Linux 6.11 */
#endif

/*
 * Set once at start, by relaxed atomics, and only where there is a gate. To name
 * them as functions that we need would keep out programs with an older glibc.
 */
static const char *single_threaded; /* <sys/single_threaded.h>, since glibc 2.32; or NULL */
static void (*testcancel)(void); /* pthread_testcancel(), in libpthread before glibc 2.34; or NULL */

void gated_start(uint64_t address, bool unseen)
{
	union {
		void *found;
		void (*function)(void);
	} cancel;

	gate_open(address);
	/* or one thread's socket would be the supervisor's, while another moves the code, and its close() ours */
	if (unseen)
		gate_prepare();
	if (!gate())
		return;
	if (unseen)
		sandbox_note_unseen();
	cancel.found = next_symbol("pthread_testcancel");
	__atomic_store_n(&single_threaded, next_symbol_of_program("__libc_single_threaded"),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&testcancel, cancel.function, __ATOMIC_RELAXED);
}

static long result_of(long result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

bool gated_is_alone(void)
{
	const char *single = __atomic_load_n(&single_threaded, __ATOMIC_RELAXED);

	return single && *single;
}

/* So that nothing that answers with EINTR by itself, as a filter may, holds up the thread for more than a second. */
#define INTERRUPTED_MAX 1000000

/* Calls a function of libc's that no signal ends where there is no supervisor. */
#define UNINTERRUPTED(call)                                                                        \
	({                                                                                         \
		int uninterrupted_saved = errno, uninterrupted_times = 0, uninterrupted_result;    \
		while ((uninterrupted_result = (call)) < 0 && errno == EINTR && gate() &&          \
		       uninterrupted_times++ < INTERRUPTED_MAX)                                    \
			errno = uninterrupted_saved;                                               \
		uninterrupted_result;                                                              \
	})

/* Would the supervisor refuse the call, or the program's own filter a question? */
static bool must_stay_inside(void)
{
	return sandbox_is_closed() || sandbox_is_filtered();
}

static bool has_nonblock(int fd)
{
	long status = syscall(SYS_fcntl, fd, F_GETFL);

	return status >= 0 && status & O_NONBLOCK;
}

/*
 * How a call that may wait is made: by libc, through the gate, or through the
 * gate without waiting and then, if it would have to wait, by libc. Over TCP the
 * last one could send a part of the data.
 */
enum way { WAY_LIBC, WAY_GATE, WAY_BOTH };

static enum way find_way(int fd, int flags, enum gated_wait wait)
{
	void (*cancel)(void) = __atomic_load_n(&testcancel, __ATOMIC_RELAXED);
	int saved = errno;
	bool waits;

	if (!gate() || !cancel)
		return WAY_LIBC;
	cancel();
	errno = saved;
	if (gated_is_alone())
		return WAY_GATE;
	if (wait == GATED_WHOLE && !(flags & MSG_DONTWAIT))
		return must_stay_inside() ? WAY_GATE : WAY_BOTH;
	if (flags & MSG_FASTOPEN)
		return must_stay_inside() ? WAY_GATE : WAY_LIBC;
	if (flags & MSG_DONTWAIT || wait == GATED_NEVER || must_stay_inside())
		return WAY_GATE;
	if (wait == GATED_ASK_NOBODY)
		return WAY_LIBC;
	waits = !has_nonblock(fd);
	errno = saved;
	return waits ? WAY_LIBC : WAY_GATE;
}

/* An address of another family, as long as the kernel takes one */
union foreign {
	struct sockaddr sa;
	struct sockaddr_storage whole;
};

/* Copies an address of another family, as the copy of what was seen has room for IPv4 and IPv6 alone. */
static bool copy_foreign(union foreign *room, const struct sockaddr *addr, socklen_t len)
{
	int saved = errno;
	bool readable;

	if (len < sizeof(room->sa.sa_family))
		return false;
	readable = must_stay_inside() ? caller_memory_readable(addr, len)
				      : caller_memory_near(addr, len);
	errno = saved;
	if (!readable)
		return false;
	memcpy(room, addr, len);
	switch (room->sa.sa_family) {
	case AF_UNSPEC:
	case AF_INET:
	case AF_INET6:
		/* it has changed since it was looked at */
		return false;
	default:
		return true;
	}
}

/* Will the kernel see the address that was looked at? May replace it by the copy, which may be in @room. */
static bool is_as_seen(const union addr *seen, union foreign *room, const struct sockaddr **addr,
		       socklen_t *len)
{
	if (gated_is_alone())
		return true;
	if (!seen)
		return false;
	switch (seen->sa.sa_family) {
	case AF_UNSPEC:
	case AF_INET:
		if (*len > sizeof(*seen))
			*len = sizeof(*seen);
		break;
	case AF_INET6:
		/* there are longer ones (net/l2tp/l2tp_ip6.c) */
		if (*len > sizeof(*seen))
			return false;
		break;
	default:
		/* the kernel takes no address of this length (net/socket.c, move_addr_to_kernel) */
		if (*len > sizeof(*room))
			return must_stay_inside();
		if (!copy_foreign(room, *addr, *len))
			return false;
		*addr = &room->sa;
		return true;
	}
	*addr = &seen->sa;
	return true;
}

int libc_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return UNINTERRUPTED(REAL(bind)(fd, addr, len));
}

int libc_listen(int fd, int backlog)
{
	return UNINTERRUPTED(REAL(listen)(fd, backlog));
}

/* Has a connect() that a signal ended begun nothing? Of a UNIX stream, nobody can tell. Keeps errno. */
static bool has_begun_nothing(int fd)
{
	int saved = errno, type = 0;
	socklen_t len = sizeof(type);
	uint8_t state = 0; /* struct tcp_info begins with it */
	bool nothing;

	REAL(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	len = sizeof(state);
	/* a datagram's connect() never waits */
	nothing =
		type == SOCK_DGRAM ||
		(!REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &state, &len) && state == TCP_CLOSE);
	errno = saved;
	return nothing;
}

int libc_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int saved = errno, times = 0, result;

	while ((result = REAL(connect)(fd, addr, len)) < 0 && errno == EINTR && gate() &&
	       !sandbox_is_filtered() && has_begun_nothing(fd) && times++ < INTERRUPTED_MAX)
		errno = saved;
	return result;
}

int gated_bind(int fd, const struct sockaddr *addr, socklen_t len, const union addr *seen)
{
	union foreign room;

	if (!gate() || !is_as_seen(seen, &room, &addr, &len))
		return libc_bind(fd, addr, len);
	return (int)result_of(gate_call(SYS_bind, fd, (long)addr, len, 0, 0, 0));
}

int gated_listen(int fd, int backlog)
{
	if (!gate())
		return libc_listen(fd, backlog);
	return (int)result_of(gate_call(SYS_listen, fd, backlog, 0, 0, 0, 0));
}

int gated_connect(int fd, const struct sockaddr *addr, socklen_t len, const union addr *seen,
		  enum gated_wait wait)
{
	union foreign room;

	if (find_way(fd, 0, wait) == WAY_LIBC || !is_as_seen(seen, &room, &addr, &len))
		return libc_connect(fd, addr, len);
	return (int)result_of(gate_call(SYS_connect, fd, (long)addr, len, 0, 0, 0));
}

/*
 * Where the supervisor has to make the sockets that it serves, may the library have its own? Under a filter
 * of the program's own it asks the kernel nothing, and the supervisor serves all calls.
 */
static bool has_own_sockets(void)
{
	return gate() && sandbox_is_unseen() && !sandbox_is_filtered();
}

int gated_socket(int domain, int type, int protocol)
{
	/* of MPTCP, the library has seen to it by itself; SMC is for the supervisor's filter to refuse */
	if (!(protocol == IPPROTO_MPTCP ? gate() && !sandbox_is_filtered() : has_own_sockets()) ||
	    protocol == IPPROTO_SMC || (domain != AF_INET && domain != AF_INET6))
		return UNINTERRUPTED(REAL(socket)(domain, type, protocol));
	return (int)result_of(gate_call(SYS_socket, domain, type, protocol, 0, 0, 0));
}

int gated_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	if (!has_own_sockets())
		return UNINTERRUPTED(REAL(getsockname)(fd, addr, len));
	return (int)result_of(gate_call(SYS_getsockname, fd, (long)addr, (long)len, 0, 0, 0));
}

int gated_epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
	if (!has_own_sockets())
		return UNINTERRUPTED(REAL(epoll_ctl)(set, operation, fd, event));
	return (int)result_of(gate_call(SYS_epoll_ctl, set, operation, fd, (long)event, 0, 0));
}

ssize_t gated_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
		     socklen_t len, const union addr *seen, enum gated_wait wait)
{
	/* without an address, the filter lets it pass by itself */
	enum way way = addr ? find_way(fd, flags, wait) : WAY_LIBC;
	union foreign room;
	long rc = -EAGAIN;

	if (way != WAY_LIBC && flags & MSG_FASTOPEN && !is_as_seen(seen, &room, &addr, &len))
		way = WAY_LIBC;
	if (way != WAY_LIBC)
		rc = gate_call(SYS_sendto, fd, (long)data, (long)size,
			       way == WAY_BOTH ? flags | MSG_DONTWAIT : flags, (long)addr, len);
	if (way == WAY_GATE || rc != -EAGAIN)
		return result_of(rc);
	return REAL(sendto)(fd, data, size, flags, addr, len);
}

/* Makes a copy of a message that has been read before, whose destination is what was seen. */
static bool name_as_seen(const struct msghdr *message, const union addr *seen, socklen_t len,
			 union foreign *room, struct msghdr *ret_named)
{
	const struct sockaddr *addr;

	/* it need not be aligned for the kernel */
	memcpy(ret_named, message, sizeof(*ret_named));
	addr = ret_named->msg_name;
	ret_named->msg_namelen = len;
	if (!is_as_seen(seen, room, &addr, &ret_named->msg_namelen))
		return false;
	/* the kernel only reads it */
	ret_named->msg_name = (void *)(uintptr_t)addr;
	return true;
}

ssize_t gated_sendmsg(sendmsg_fn *real, int fd, const struct msghdr *message, int flags,
		      const union addr *seen, socklen_t len, enum gated_wait wait)
{
	enum way way = find_way(fd, flags, wait);
	union foreign room;
	struct msghdr named;
	long rc = -EAGAIN;

	if (flags & MSG_FASTOPEN && !gated_is_alone() && way != WAY_LIBC) {
		if (seen && name_as_seen(message, seen, len, &room, &named))
			message = &named;
		else
			way = WAY_LIBC;
	}
	if (way != WAY_LIBC)
		rc = gate_call(SYS_sendmsg, fd, (long)message,
			       way == WAY_BOTH ? flags | MSG_DONTWAIT : flags, 0, 0, 0);
	if (way == WAY_GATE || rc != -EAGAIN)
		return result_of(rc);
	return real(fd, message, flags);
}

int gated_sendmmsg(sendmmsg_fn *real, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	/* if not all were sent without waiting, nobody could tell why; and one that connects needs a copy of its address */
	if (find_way(fd, flags, GATED_ASK) == WAY_LIBC ||
	    (flags & MSG_FASTOPEN && !gated_is_alone()))
		return real(fd, messages, count, (libc_flags)flags);
	return (int)result_of(gate_call(SYS_sendmmsg, fd, (long)messages, count, flags, 0, 0));
}

/* ---- the same for core ---- */

/* No socket of the library's own is the supervisor's to make, nor another library's to replace (mptcpize). */
static int call_socket(int domain, int type, int protocol)
{
	if (!has_own_sockets())
		return (int)syscall(SYS_socket, domain, type, protocol);
	return (int)result_of(gate_call(SYS_socket, domain, type, protocol, 0, 0, 0));
}

/* Core keeps its addresses in this union, on its own stack, where no other thread rewrites them. */
static const union addr *as_seen(const struct sockaddr *addr)
{
	return (const union addr *)(const void *)addr;
}

static int call_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return gated_bind(fd, addr, len, as_seen(addr));
}

static int call_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return gated_connect(fd, addr, len, as_seen(addr), GATED_ASK);
}

static int call_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return REAL(setsockopt)(fd, level, option, value, len);
}

static int call_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return REAL(getsockopt)(fd, level, option, value, len);
}

static int call_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return gated_getsockname(fd, addr, len);
}

static int call_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return REAL(getpeername)(fd, addr, len);
}

const struct socket_calls gated_calls = {
	.socket = call_socket,
	.bind = call_bind,
	.connect = call_connect,
	.setsockopt = call_setsockopt,
	.getsockopt = call_getsockopt,
	.getsockname = call_getsockname,
	.getpeername = call_getpeername,
};
