#include "assign.h"

#include "engine_bind.h"
#include "move.h"
#include "mptcp.h"
#include "sctp.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Theory of operation
 *
 * Before a call that may need a port, we ask the kernel what the descriptor is. We
 * do not remember it: a number can come to mean another socket in more ways than
 * we can watch.
 *
 * For UDP and SCTP, a port in getsockname() means that the socket has its port. For
 * TCP it does not: after a refused connect() getsockname() still shows the port
 * that the kernel had chosen, but the socket is no longer bound to it, and the next
 * connect() takes another. bind() tells the two apart: on a socket that really has
 * a port it fails with EINVAL, and then we have nothing to do.
 */

/* Reads an option whose value is never negative. Return: it, or -errno */
static int get_int(const struct fence *fence, int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return fence->calls->getsockopt(fd, level, option, &value, &len) ? -errno : value;
}

/* Whether a socket is of a kind that is fenced. */
enum kind { KIND_FENCED, KIND_OTHER };

/*
 * Return: KIND_FENCED and @ret_protocol; KIND_OTHER for a raw, ping, netlink or UNIX
 * socket; -errno if the kernel does not say
 */
static int classify_socket(const struct fence *fence, int fd, int *ret_protocol)
{
	int type = get_int(fence, fd, SOL_SOCKET, SO_TYPE), protocol;

	if (type < 0 || type == SOCK_RAW)
		return type < 0 ? type : KIND_OTHER;
	protocol = get_int(fence, fd, SOL_SOCKET, SO_PROTOCOL);
	if (protocol < 0)
		return protocol;
	if (policy_proto(protocol) == PROTO_COUNT)
		return KIND_OTHER;
	*ret_protocol = protocol;
	return KIND_FENCED;
}

bool assign_fences(const struct fence *fence, int fd)
{
	int protocol;

	return classify_socket(fence, fd, &protocol) == KIND_FENCED;
}

/* Return: KIND_FENCED for an IPv4 or IPv6 socket, else KIND_OTHER; -errno if not known */
static int local_address(const struct fence *fence, int fd, union addr *ret_local,
			 socklen_t *ret_len)
{
	socklen_t len = sizeof(*ret_local);
	int domain = AF_UNSPEC, error;

	ret_local->sa.sa_family = AF_UNSPEC;
	if (!fence->calls->getsockname(fd, &ret_local->sa, &len)) {
		*ret_len = len;
		domain = ret_local->sa.sa_family;
		return domain == AF_INET || domain == AF_INET6 ? KIND_FENCED : KIND_OTHER;
	}
	error = errno;
	/* some families have no such call at all (net/core/sock.c, sock_no_getname) */
	domain = get_int(fence, fd, SOL_SOCKET, SO_DOMAIN);
	return domain < 0 || domain == AF_INET || domain == AF_INET6 ? -error : KIND_OTHER;
}

uint16_t assign_port(const struct fence *fence, int fd)
{
	union addr local;
	socklen_t len;

	return local_address(fence, fd, &local, &len) == KIND_FENCED ? addr_port(&local) : 0;
}

/*
 * Fails a call on a socket of which the kernel does not say what it is, because a
 * sandbox or a security module forbids the question: the kernel might choose a port
 * outside the range. If the descriptor is no socket, the call fails for that reason
 * now: another thread may have opened a socket there by the time of the real call.
 */
static int refuse_unknown(struct assign *assign, int error)
{
	if (error == -EBADF || error == -ENOTSOCK)
		return error;
	assign->outcome = OUTCOME_SOCKET_UNKNOWN;
	return -EACCES;
}

static bool is_udp_range(const struct fence *fence, uint16_t port)
{
	return fence->rule && range_has(fence->rule->range[PROTO_UDP], port);
}

/* @ret_port: the port that it shows; 0: none */
static enum assign_state find_state(const struct fence *fence, int fd, uint16_t *ret_port)
{
	union addr local;
	socklen_t len;
	int kind = local_address(fence, fd, &local, &len), protocol = 0;

	*ret_port = kind == KIND_FENCED ? addr_port(&local) : 0;
	if (kind)
		return kind < 0 ? ASSIGN_NEEDY : ASSIGN_OTHER_FAMILY;
	if (!*ret_port)
		return ASSIGN_NEEDY;
	kind = classify_socket(fence, fd, &protocol);
	if (kind || policy_proto(protocol) != PROTO_UDP)
		return kind < 0 ? ASSIGN_NEEDY : ASSIGN_SETTLED;
	return is_udp_range(fence, *ret_port) ? ASSIGN_SETTLED_UDP : ASSIGN_FOREIGN_UDP;
}

enum assign_state assign_state(const struct fence *fence, int fd)
{
	uint16_t port;

	return find_state(fence, fd, &port);
}

/*
 * Dissolves a connection, which also takes away a port that the kernel chose. As it
 * unties a UDP socket from its device (net/ipv4/udp.c, __udp_disconnect), the device
 * is set again.
 *
 * Return: 0, or -errno
 */
static int disconnect(const struct fence *fence, int fd)
{
	const union addr none = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = IFNAMSIZ;
	char device[IFNAMSIZ];
	int rc;

	if (fence->calls->getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len))
		len = 0;
	rc = fence->calls->connect(fd, &none.sa, sizeof(none.in4)) ? -errno : 0;
	if (len)
		fence->calls->setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, len);
	return rc;
}

/*
 * The mark of assign_keep_port(). The socket carries it, so that its other numbers, and the processes that
 * share it, have it, too: SO_LINGER means nothing to UDP (net/ipv4/udp.c has no use for udp_lib_close()'s
 * timeout), and has room for the port.
 */
void assign_keep_port(const struct fence *fence, int fd)
{
	struct linger mark = { .l_onoff = 1 };
	uint16_t port;

	if (find_state(fence, fd, &port) != ASSIGN_FOREIGN_UDP)
		return;
	mark.l_linger = port;
	fence->calls->setsockopt(fd, SOL_SOCKET, SO_LINGER, &mark, sizeof(mark));
}

/*
 * Has a bind() given an unconnected UDP socket this port? One to an address and port 0 has, unless that put
 * the choice off, and assign_keep_port() has seen others.
 */
static bool is_kept(const struct fence *fence, int fd)
{
	struct linger mark = { 0 };
	socklen_t size = sizeof(mark), len;
	union addr local;

	if (local_address(fence, fd, &local, &len) != KIND_FENCED)
		return false;
	if (!addr_is_any(&local) && !get_int(fence, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT))
		return true;
	return !fence->calls->getsockopt(fd, SOL_SOCKET, SO_LINGER, &mark, &size) && mark.l_onoff &&
	       mark.l_linger == addr_port(&local);
}

/*
 * Takes back the port of a UDP socket, if the kernel chose it for a send without destination.
 *
 * Return: 0; 1 if the socket is connected, or a bind() gave it that port; -errno
 */
static int drop_kernel_port(const struct fence *fence, int fd)
{
	union addr peer;
	socklen_t len = sizeof(peer);

	/* a connected socket had its port before, and must stay connected */
	if (!fence->calls->getpeername(fd, &peer.sa, &len))
		return 1;
	if (errno != ENOTCONN)
		return -errno;
	return is_kept(fence, fd) ? 1 : disconnect(fence, fd);
}

/* Is a socket bound to a device? A disconnect would take that away for a moment, and without rights for good. */
static bool is_tied(const struct fence *fence, int fd)
{
	socklen_t len = IFNAMSIZ;
	char device[IFNAMSIZ];

	return !fence->calls->getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && len;
}

enum assign_state assign_settle(const struct fence *fence, int fd, uint16_t named, bool shy,
				uint16_t *ret_port)
{
	enum assign_state state = find_state(fence, fd, ret_port);
	const uint16_t before = *ret_port;

	if (state != ASSIGN_FOREIGN_UDP)
		return state;
	if (before != named && (shy || is_tied(fence, fd) || drop_kernel_port(fence, fd)))
		return state;
	if (before != named)
		*ret_port = assign_port(fence, fd);
	/* another thread's send may have drawn another one by now */
	return *ret_port == before ? ASSIGN_SETTLED_UDP : ASSIGN_NEEDY;
}

/* Would the kernel take this length of the address? */
static bool is_whole(const union addr *addr, socklen_t len)
{
	if (len < sizeof(sa_family_t))
		return false;
	switch (addr->sa.sa_family) {
	case AF_UNSPEC:
	case AF_INET:
		return len >= sizeof(struct sockaddr_in);
	case AF_INET6:
		return len >= ADDR_IN6_MIN;
	default:
		return false;
	}
}

/* SCTP needs the whole of an IPv6 address, and an IPv6 socket also takes IPv4 addresses. */
static bool is_whole_sctp(const struct assign *assign, int family)
{
	socklen_t size = sctp_addr_size(assign->addr.sa.sa_family);

	return size && assign->len >= size &&
	       (family == AF_INET6 || assign->addr.sa.sa_family == AF_INET);
}

static bool connects(const struct assign *assign)
{
	return assign->call == ASSIGN_CONNECT || assign->fast_open;
}

static bool connects_tcp(const struct assign *assign)
{
	return assign->proto == PROTO_TCP && connects(assign);
}

/* The error with which the kernel fails when its range is used up (see test/platform). */
static int exhausted_errno(const struct assign *assign)
{
	if (assign->call == ASSIGN_BIND)
		return -EADDRINUSE;
	if (assign->proto != PROTO_TCP)
		return -EAGAIN;
	return assign->call == ASSIGN_LISTEN ? -EADDRINUSE : -EADDRNOTAVAIL;
}

/* How often another socket may take the port that the kernel has just chosen for us. */
#define KEEP_TRIES 16

/*
 * `exhausted = system`: binds a UDP socket to a port of the kernel's choice as if the program had named
 * it. The socket then keeps the port: by itself the kernel marks a port that it chose as one that
 * assign_undo() takes back. Where that fails, the real call has a port chosen.
 */
static void keep_system_port(const struct fence *fence, const struct assign *assign)
{
	const int fd = assign->fd;
	int zero = 0, one = 1, put_off, tries;
	union addr local;
	socklen_t len;

	if (assign->proto != PROTO_UDP || assign->moved)
		return;
	/* or the kernel would put the choice off, too */
	put_off = get_int(fence, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) > 0;
	if (put_off)
		fence->calls->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &zero,
					 sizeof(zero));
	for (tries = 0; tries < KEEP_TRIES; tries++) {
		if (local_address(fence, fd, &local, &len) != KIND_FENCED)
			break;
		if (!addr_port(&local) && (fence->calls->bind(fd, &local.sa, len) ||
					   local_address(fence, fd, &local, &len) != KIND_FENCED))
			break;
		disconnect(fence, fd);
		if (!fence->calls->bind(fd, &local.sa, len) || errno != EADDRINUSE)
			break;
	}
	if (put_off)
		fence->calls->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
					 sizeof(one));
}

static int answer_exhausted(const struct fence *fence, struct assign *assign)
{
	bool fails = fence->rule->exhausted != EXHAUSTED_SYSTEM;

	if (!fails && assign->mptcp)
		engine_kernel_clear(fence->calls, assign->fd);
	/* after a bind() of the program's own, assign_end() does it */
	if (!fails && assign->call != ASSIGN_BIND)
		keep_system_port(fence, assign);
	if (!fails)
		assign->outcome = OUTCOME_FELL_BACK;
	else if (assign->outcome != OUTCOME_TIME_WAIT)
		assign->outcome = OUTCOME_EXHAUSTED;
	return fails ? exhausted_errno(assign) : ASSIGN_GO_ON;
}

/* ---- engines ---- */

enum order assign_order(const struct rule *rule, bool connects)
{
	if (rule->order != ORDER_AUTO)
		return rule->order;
	return connects ? ORDER_DOUBLE_HASH : ORDER_RANDOM;
}

/* The cursor where walks of this order and protocol continue. */
static _Atomic uint32_t *choose_cursor(struct state_sequence *sequence, enum order order,
				       enum proto proto, const struct order_flow *flow)
{
	if (order == ORDER_DOUBLE_HASH)
		return &sequence->table[proto][order_table_index(&sequence->key, flow)];
	return &sequence->next[proto];
}

/*
 * How many candidates to try even if hinted as used. For a port of its own, a try
 * costs one bind(), so two tries keep the hints fresh. For a shared port it costs a
 * question to sock_diag, so only one search in sixteen does it. `sequential` always
 * tries the next port, as it promises that one if it is free.
 */
static uint32_t unhinted_tries(enum order order, uint64_t draw, bool shares)
{
	if (!shares)
		return 2;
	return order == ORDER_SEQUENTIAL || draw % 16 == 0;
}

static void describe_flow(const struct assign *assign, const union addr *local,
			  struct order_flow *ret_flow)
{
	struct order_flow flow = { .remote_port = 0 };

	addr_bytes(local, flow.local);
	if (assign->call == ASSIGN_CONNECT || assign->call == ASSIGN_SEND) {
		addr_bytes(&assign->addr, flow.remote);
		flow.remote_port = addr_port(&assign->addr);
	}
	*ret_flow = flow;
}

/*
 * Do connections and sockets that need a port for themselves keep to a half of the
 * range each, see order_halves()? With a seed, the ports must not depend on what
 * happened before.
 */
static bool has_halves(const struct rule *rule, const struct assign *assign)
{
	return assign->proto == PROTO_TCP && rule->order == ORDER_AUTO && !rule->seeded &&
	       !assign->moved;
}

/*
 * Starts a walk. It moves the cursor on by one before the search, so that two
 * processes do not try the same candidates, and end_walk() by the rest.
 *
 * Return: the cursor, NULL if the order has none
 */
static _Atomic uint32_t *start_walk(const struct fence *fence, const struct assign *assign,
				    const union addr *local, struct order_walk *ret_walk)
{
	struct state_sequence *sequence = fence->state.sequence;
	const uint32_t count = fence->rule->range[assign->proto]->count;
	const bool shares = connects_tcp(assign), halves = has_halves(fence->rule, assign);
	/* where a port is moved to follows from the port that was named, see move.h */
	const enum order order =
		assign->moved ? ORDER_SEQUENTIAL : assign_order(fence->rule, shares);
	const uint64_t draw = atomic_fetch_add_explicit(&sequence->draws, 1, memory_order_relaxed);
	_Atomic uint32_t *cursor = NULL;
	struct order_flow flow;
	uint32_t from = 0;

	describe_flow(assign, local, &flow);
	if (assign->moved) {
		from = move_start(fence->rule, &fence->state, assign->proto, assign->moved);
	} else if (order_has_cursor(order) || (halves && !shares)) {
		cursor = choose_cursor(sequence, order, assign->proto, &flow);
		from = atomic_fetch_add_explicit(cursor, 1, memory_order_relaxed);
	}
	order_start(ret_walk, order, count, from, draw, &sequence->key, &flow);
	if (halves && !shares)
		order_in_rounds(ret_walk, from);
	if (halves)
		order_halves(ret_walk, !shares);
	return cursor;
}

/* @rc: of the search. A call that turned out to need no port leaves no gap in the sequence. */
static void end_walk(struct state_sequence *sequence, _Atomic uint32_t *cursor,
		     const struct order_walk *walk, int rc)
{
	const uint32_t advance = rc == -EINVAL ? 0 : order_advance(walk);

	if (rc == -EINVAL)
		atomic_fetch_sub_explicit(&sequence->draws, 1, memory_order_relaxed);
	if (cursor)
		atomic_fetch_add_explicit(cursor, advance - 1, memory_order_relaxed);
}

static int search_port(const struct fence *fence, struct assign *assign, struct engine_bind *search)
{
	const bool hinted = !fence->rule->seeded;

	if (connects_tcp(assign))
		return engine_bind_connect(search, &fence->state, fence->sources, hinted,
					   &assign->addr, &assign->claim);
	search->hints = hinted ? &fence->state.file->exclusive_hints[assign->proto] : NULL;
	return assign->proto == PROTO_SCTP ? engine_bind_sctp(search)
					   : engine_bind_exclusive(search);
}

/*
 * Lets the kernel choose. With a range of the socket's own, the kernel does not keep
 * connections to one half of it (net/ipv4/inet_hashtables.c, __inet_hash_connect). So
 * it is given one port of that half, and all of them if that one is taken.
 */
static int set_kernel_range(const struct fence *fence, struct assign *assign,
			    const union addr *local)
{
	const struct range *range = fence->rule->range[assign->proto];
	struct engine_kernel *known = &fence->kernel[assign->proto];
	_Atomic uint32_t *cursor;
	struct order_walk walk;
	uint32_t index;

	assign->one_port = connects_tcp(assign) && !assign->mptcp &&
			   has_halves(fence->rule, assign) && !engine_kernel_is_crowded(known);
	if (!assign->one_port)
		return engine_kernel_set(fence->calls, range, assign->fd);
	cursor = start_walk(fence, assign, local, &walk);
	order_next(&walk, &index);
	/* from this port, it could connect to itself */
	if (range_port(range, index) == addr_port(&assign->addr))
		order_next(&walk, &index);
	end_walk(fence->state.sequence, cursor, &walk, 0);
	return engine_kernel_set_part(fence->calls, range_port(range, index),
				      range_port(range, index), assign->fd);
}

static int give_port_by_kernel(const struct fence *fence, struct assign *assign,
			       const union addr *local)
{
	struct engine_kernel *known = &fence->kernel[assign->proto];
	const struct range *range = fence->rule->range[assign->proto];
	int rc;

	rc = engine_kernel_check(known, fence->calls, range, assign->fd, assign->same_netns);
	if (rc)
		return rc;
	assign->same_netns = true;
	/* assign_end() cannot take a port back from an SCTP socket, so we check the range each time */
	if (assign->proto == PROTO_SCTP && engine_kernel_judge(range, NULL) == -ERANGE) {
		engine_kernel_distrust(known);
		return -EOPNOTSUPP;
	}
	rc = set_kernel_range(fence, assign, local);
	if (rc)
		return rc;
	assign->engine = ENGINE_KERNEL;
	assign->tried = 1;
	return 0;
}

/* Binds the socket to a port of the range. */
static int give_port_by_bind(const struct fence *fence, struct assign *assign,
			     const union addr *local, socklen_t len)
{
	struct order_walk walk;
	struct engine_bind search = {
		.calls = fence->calls,
		.fd = assign->fd,
		.local = *local,
		.len = len < sizeof(*local) ? len : sizeof(*local),
		.range = fence->rule->range[assign->proto],
		.walk = &walk,
		.fresh = assign->fresh,
		.reuse_addr = assign->reuse_addr,
		.time_wait = assign->proto != PROTO_TCP              ? ENGINE_BIND_FREE_ONLY
			     : fence->state.repeats || assign->moved ? ENGINE_BIND_AT_ONCE
								     : ENGINE_BIND_LAST,
		.pairs = assign->moved && assign->moved % 2 == 0 && assign->proto == PROTO_UDP,
		.addrs = assign->addrs,
		.addrs_size = assign->addrs_size,
	};
	_Atomic uint32_t *cursor = start_walk(fence, assign, local, &walk);
	int rc;

	search.unhinted_tries = unhinted_tries(walk.order, walk.draw, connects_tcp(assign));
	rc = search_port(fence, assign, &search);
	end_walk(fence->state.sequence, cursor, &walk, rc);
	assign->tried = search.tried;
	if (rc == -EADDRNOTAVAIL && search.diag_failed)
		assign->outcome = OUTCOME_DIAG_FAILED;
	if (rc == -EADDRINUSE && search.in_time_wait)
		assign->outcome = OUTCOME_TIME_WAIT;
	if (rc)
		return rc;
	if (assign->moved)
		move_remember(&fence->state, assign->proto, assign->moved,
			      addr_port(&search.local));
	assign->engine = ENGINE_BIND;
	assign->port = addr_port(&search.local);
	return 0;
}

bool assign_wants_kernel(const struct rule *rule, bool connects, struct reason *ret_why)
{
	bool wants = false;
	const char *why, *name = "";

	if (rule->engine != ENGINE_AUTO) {
		wants = rule->engine == ENGINE_KERNEL;
		why = wants ? "'engine = kernel' asks for it" : "'engine = bind' asks for it";
	} else if (!connects) {
		why = "the kernel engine is the faster one for tcp connects alone";
	} else if (rule->order != ORDER_AUTO) {
		why = "the kernel has an order of its own, not ";
		name = order_name(rule->order);
	} else if (rule->seeded) {
		why = "the kernel draws its own random numbers, without a seed";
	} else {
		wants = true;
		why = "it is the faster one for tcp connects";
	}
	reason_fail(0, ret_why, "%s%s%s%s", why, *name ? "'" : "", name, *name ? "'" : "");
	return wants;
}

static bool prefers_kernel(const struct fence *fence, const struct assign *assign)
{
	/* bindresvport() has to return with a port, but the kernel would put the choice off */
	if (assign->at_once && get_int(fence, assign->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) > 0)
		return false;
	if (!assign_wants_kernel(fence->rule, connects_tcp(assign), NULL))
		return false;
	return fence->rule->engine == ENGINE_KERNEL ||
	       !atomic_load_explicit(&fence->kernel[PROTO_TCP].refused, memory_order_relaxed);
}

/*
 * Was a TCP socket that shows a port bound to it by the program? With
 * IP_BIND_ADDRESS_NO_PORT, a bind() to port 0 succeeds on a socket that has no port
 * and changes nothing; on a socket that has one it fails with EINVAL.
 */
static bool was_bound_by_hand(const struct fence *fence, int fd, const union addr *local,
			      socklen_t len)
{
	int before = get_int(fence, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) > 0, one = 1;
	union addr open = *local;
	bool named;

	addr_set_port(&open, 0);
	if (fence->calls->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)))
		return false;
	named = fence->calls->bind(fd, &open.sa, len) && errno == EINVAL;
	fence->calls->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &before, sizeof(before));
	return named;
}

/*
 * Is a TCP socket connecting, connected or listening? Then it has its port, and we
 * must not try a bind(): that would change the options by which its port is shared.
 */
static bool is_in_use(const struct fence *fence, int fd)
{
	/* the state is the first byte of struct tcp_info, and the kernel cuts the rest */
	uint8_t state = TCP_CLOSE;
	socklen_t len = sizeof(state);

	return !fence->calls->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) &&
	       state != TCP_CLOSE;
}

static int give_port(const struct fence *fence, struct assign *assign, const union addr *local,
		     socklen_t len)
{
	int rc;

	if (!fence->rule) {
		assign->outcome = OUTCOME_CLOSED;
		return -EACCES;
	}
	if (assign->mptcp && mptcp_keep(fence, assign->fd) && fence->rule->mptcp != MPTCP_ALLOW) {
		/* the kernel takes no range for a subflow that is in use, and no second bind() */
		if (assign->call == ASSIGN_BIND && is_in_use(fence, assign->fd))
			return -EINVAL;
		assign->outcome = OUTCOME_MPTCP;
		return -EACCES;
	}
	if (!assign->moved && prefers_kernel(fence, assign)) {
		if (!give_port_by_kernel(fence, assign, local))
			return ASSIGN_GO_ON;
		if (fence->rule->engine == ENGINE_KERNEL) {
			if (assign->port_before && was_bound_by_hand(fence, assign->fd, local, len))
				return ASSIGN_GO_ON;
			assign->outcome = OUTCOME_KERNEL_UNFIT;
			return exhausted_errno(assign);
		}
	}
	rc = give_port_by_bind(fence, assign, local, len);
	if (rc == -EADDRINUSE)
		return answer_exhausted(fence, assign);
	/* the program's own bind() would not fail so for its address or its socket */
	if (rc == -EACCES || rc == -EPERM || rc == -ENOSYS || rc == -ENOMEM || rc == -ENOBUFS)
		assign->outcome = OUTCOME_FORBIDDEN;
	return rc;
}

/* ---- calls ---- */

/* As classify_socket(), but a call of libsctp on a socket of another protocol is KIND_OTHER. */
static int classify_for_call(const struct fence *fence, struct assign *assign)
{
	int protocol, kind = classify_socket(fence, assign->fd, &protocol);

	if (kind)
		return kind;
	assign->proto = policy_proto(protocol);
	assign->mptcp = protocol == IPPROTO_MPTCP;
	return assign->sctp && assign->proto != PROTO_SCTP ? KIND_OTHER : KIND_FENCED;
}

/* Where a program binds to a port of its own choice. Return: true if that is decided, and @ret_rc */
static bool judge_named_port(const struct rule *rule, struct assign *assign, int *ret_rc)
{
	const uint16_t port = addr_port(&assign->addr);

	/* a port that the map put in the place of another, or that it keeps, may always be bound */
	*ret_rc = ASSIGN_GO_ON;
	if (portmap_has(rule->map, port) ||
	    (rule->bind != BIND_DENY && range_has(rule->range[assign->proto], port)))
		return true;
	if (rule->bind == BIND_MOVE) {
		assign->moved = move_wanted(rule, assign->proto, port) ? port : 0;
		return !assign->moved;
	}
	assign->outcome = OUTCOME_REFUSED;
	*ret_rc = -EACCES;
	return true;
}

/*
 * Sockets that share a port by SO_REUSEPORT get the same one again.
 *
 * Return: ASSIGN_MADE; ASSIGN_GO_ON if that is not so
 */
static int join_moved(const struct fence *fence, struct assign *assign, const union addr *open,
		      socklen_t len)
{
	uint16_t port = move_remembered(&fence->state, assign->proto, assign->moved);
	union addr local = *open;

	if (!port || assign->fresh || assign->addrs ||
	    !range_has(fence->rule->range[assign->proto], port) ||
	    get_int(fence, assign->fd, SOL_SOCKET, SO_REUSEPORT) <= 0)
		return ASSIGN_GO_ON;
	addr_set_port(&local, port);
	if (fence->calls->bind(assign->fd, &local.sa, len))
		return ASSIGN_GO_ON;
	assign->engine = ENGINE_BIND;
	assign->tried = 1;
	assign->port = port;
	return ASSIGN_MADE;
}

static int begin_bind(const struct fence *fence, struct assign *assign)
{
	const struct rule *rule = fence->rule;
	uint16_t port = addr_port(&assign->addr);
	union addr open = assign->addr;
	/* the program's address may be longer than one of its family, and the kernel reads as much as it is told */
	const socklen_t len = assign->len < sizeof(open) ? assign->len : sizeof(open);
	int rc;

	if (!is_whole(&assign->addr, assign->len))
		return ASSIGN_GO_ON;
	if (port && (!rule || (rule->bind == BIND_ALLOW && !assign->program_port)))
		return ASSIGN_GO_ON;
	rc = assign->fresh ? KIND_FENCED : classify_for_call(fence, assign);
	if (rc)
		return rc < 0 ? refuse_unknown(assign, rc) : ASSIGN_GO_ON;
	/* the kernel gives a second address the port of the first one */
	if (assign->addrs && (!sctp_is_packed(assign->addrs, assign->addrs_size) ||
			      assign_has_port(fence, assign->fd)))
		return ASSIGN_GO_ON;
	if (port && judge_named_port(rule, assign, &rc))
		return rc;
	/* then the kernel keeps the address and chooses at connect() or listen(); but for SCTP now */
	if (!port && !assign->at_once && !assign->fresh && assign->proto != PROTO_SCTP &&
	    get_int(fence, assign->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT) > 0)
		return ASSIGN_GO_ON;
	addr_set_port(&open, 0);
	rc = assign->moved ? join_moved(fence, assign, &open, len) : ASSIGN_GO_ON;
	if (rc == ASSIGN_MADE)
		return rc;
	rc = give_port(fence, assign, &open, len);
	return assign->engine == ENGINE_BIND ? ASSIGN_MADE : rc;
}

/*
 * Would the kernel get as far as choosing a port? A call that it refuses earlier must
 * not leave the socket bound.
 * TCP: it checks the address first (net/ipv4/tcp_ipv4.c, tcp_v4_connect).
 * UDP: it chooses first, even if the call then fails (net/ipv4/af_inet.c,
 * inet_send_prepare and inet_dgram_connect).
 * SCTP: it checks the address first, and listen() with a backlog of 0 does nothing
 * (net/sctp/socket.c, __sctp_connect and sctp_inet_listen).
 */
static bool kernel_would_choose(const struct assign *assign, int family, bool shows_port)
{
	switch (assign->proto) {
	case PROTO_TCP:
		if (assign->call == ASSIGN_LISTEN)
			return true;
		return connects(assign) && is_whole(&assign->addr, assign->len) &&
		       assign->addr.sa.sa_family == family;
	case PROTO_UDP:
		return assign->call != ASSIGN_LISTEN && !shows_port;
	default:
		if (assign->call == ASSIGN_LISTEN)
			return assign->backlog && !shows_port;
		return !shows_port && is_whole_sctp(assign, family);
	}
}

/* Finds protocol and address. Return: KIND_FENCED, KIND_OTHER, -errno if the kernel does not say */
static int describe_socket(const struct fence *fence, struct assign *assign, union addr *ret_local,
			   socklen_t *ret_len)
{
	int kind;

	if (assign->fresh) {
		*ret_len = addr_wildcard(ret_local, assign->family);
		/* it may have got a port from a send without a destination; else a bind() of ours shows that */
		return assign->proto == PROTO_UDP && fence->rule &&
				       fence->rule->engine == ENGINE_KERNEL &&
				       assign_port(fence, assign->fd)
			       ? -EINVAL
			       : KIND_FENCED;
	}
	kind = local_address(fence, assign->fd, ret_local, ret_len);
	return kind ? kind : classify_for_call(fence, assign);
}

/*
 * Before a call that gives a UDP socket a port, a port outside the range that the kernel chose is
 * taken back, see assign_settle(). Return: as local_address()
 */
static int lose_foreign_port(const struct fence *fence, const struct assign *assign,
			     union addr *local, socklen_t *len)
{
	const uint16_t port = addr_port(local);

	if (!port || assign->proto != PROTO_UDP || assign->call == ASSIGN_LISTEN || assign->shy ||
	    is_udp_range(fence, port) || drop_kernel_port(fence, assign->fd))
		return KIND_FENCED;
	return local_address(fence, assign->fd, local, len);
}

static int begin_call(const struct fence *fence, struct assign *assign)
{
	union addr local = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = 0;
	bool shows_port;
	int rc;

	if (assign->call == ASSIGN_BIND)
		return begin_bind(fence, assign);
	/* AF_UNSPEC dissolves a connection */
	if (assign->call == ASSIGN_CONNECT && (assign->len < sizeof(assign->addr.sa.sa_family) ||
					       assign->addr.sa.sa_family == AF_UNSPEC))
		return ASSIGN_GO_ON;
	rc = describe_socket(fence, assign, &local, &len)
		     ?: lose_foreign_port(fence, assign, &local, &len);
	if (rc)
		return rc < 0 ? refuse_unknown(assign, rc) : ASSIGN_GO_ON;
	assign->port_before = addr_port(&local);
	shows_port = assign->port_before != 0;
	/* if a fresh socket does not fit the call, the descriptor may be another socket by now */
	if (!kernel_would_choose(assign, local.sa.sa_family, shows_port))
		return assign->fresh ? -EINVAL : ASSIGN_GO_ON;
	/* without a rule, only the program itself can have given the socket a port */
	if (!fence->rule && shows_port)
		return ASSIGN_GO_ON;
	if (shows_port && is_in_use(fence, assign->fd))
		return ASSIGN_GO_ON;
	/*
	 * The port is stale, and the address may be, too. But before a listen() the kernel
	 * has already reset whatever the program did not choose itself.
	 */
	if (shows_port && assign->call != ASSIGN_LISTEN)
		len = addr_wildcard(&local, local.sa.sa_family);
	rc = give_port(fence, assign, &local, len);
	/* if all candidates were known as used, no bind() was tried that could show EINVAL */
	if ((outcome_is_exhausted(assign->outcome) || assign->outcome == OUTCOME_FELL_BACK ||
	     assign->outcome == OUTCOME_DIAG_FAILED) &&
	    shows_port && was_bound_by_hand(fence, assign->fd, &local, len)) {
		assign->outcome = OUTCOME_FINE;
		return ASSIGN_GO_ON;
	}
	if (rc != -EINVAL || assign->fresh)
		return rc;
	/* it has a port: the real call has nothing to choose */
	if (shows_port || assign_has_port(fence, assign->fd))
		return ASSIGN_GO_ON;
	/*
	 * It has an address that cannot be bound a second time, because its device was
	 * removed or IPV6_V6ONLY was set since (net/ipv6/af_inet6.c, __inet6_bind). But
	 * the kernel would still choose a port for it.
	 */
	assign->outcome = OUTCOME_EXHAUSTED;
	return exhausted_errno(assign);
}

int assign_begin(const struct fence *fence, struct assign *assign)
{
	int rc = begin_call(fence, assign);

	if (rc >= 0 || !assign->fresh || outcome_is_exhausted(assign->outcome))
		return rc;
	/* not fresh after all: closed, another socket by now, or bound through another descriptor */
	assign->fresh = false;
	assign->same_netns = false;
	assign->outcome = OUTCOME_FINE;
	return begin_call(fence, assign);
}

bool assign_serves(const struct assign *assign)
{
	return assign->engine != ENGINE_AUTO || assign->outcome == OUTCOME_FELL_BACK ||
	       (assign->program_port && assign->port);
}

/* Did the kernel find no port among those that it was given? @ret_local: what to bind to */
static bool found_no_port(const struct fence *fence, const struct assign *assign, int error,
			  union addr *ret_local, socklen_t *ret_len)
{
	if (error != -exhausted_errno(assign) ||
	    local_address(fence, assign->fd, ret_local, ret_len) ||
	    addr_port(ret_local) != assign->port_before)
		return false;
	/* then it is stale, and the address may be, too */
	if (assign->port_before)
		*ret_len = addr_wildcard(ret_local, ret_local->sa.sa_family);
	return true;
}

/*
 * From the destination's own port, a socket would connect to itself. So the kernel is
 * offered what lies above that port, and then what lies below it.
 *
 * Return: false if nothing does
 */
static bool offer_below_peer(const struct fence *fence, struct assign *assign)
{
	const uint16_t peer = addr_port(&assign->addr),
		       first = range_first(fence->rule->range[assign->proto]);

	assign->above_peer = false;
	assign->tried++;
	return first < peer &&
	       !engine_kernel_set_part(fence->calls, first, (uint16_t)(peer - 1), assign->fd);
}

static bool offer_above_peer(const struct fence *fence, struct assign *assign)
{
	const uint16_t peer = addr_port(&assign->addr),
		       last = range_last(fence->rule->range[assign->proto]);

	if (peer >= last)
		return offer_below_peer(fence, assign);
	assign->above_peer = true;
	assign->tried++;
	return !engine_kernel_set_part(fence->calls, (uint16_t)(peer + 1), last, assign->fd);
}

/*
 * Offers more ports, once the kernel found none: the whole range; then ports that are
 * bound by hand, which the kernel shares with none that it chooses; then the system's
 * range, if the rule allows that. Return: false if there are no more
 */
static bool widen_choice(const struct fence *fence, struct assign *assign, const union addr *local,
			 socklen_t len)
{
	if (assign->one_port) {
		assign->one_port = false;
		engine_kernel_crowd(&fence->kernel[assign->proto]);
		assign->tried++;
		return !engine_kernel_set(fence->calls, fence->rule->range[assign->proto],
					  assign->fd);
	}
	if (assign->above_peer && offer_below_peer(fence, assign))
		return true;
	if (assign->outcome == OUTCOME_FELL_BACK)
		return false;
	if (fence->rule->engine == ENGINE_AUTO && connects_tcp(assign) &&
	    !give_port_by_bind(fence, assign, local, len))
		return true;
	if (fence->rule->exhausted != EXHAUSTED_SYSTEM)
		return false;
	engine_kernel_clear(fence->calls, assign->fd);
	if (assign->call != ASSIGN_BIND)
		keep_system_port(fence, assign);
	assign->outcome = OUTCOME_FELL_BACK;
	assign->engine = ENGINE_AUTO;
	return true;
}

/* Has the kernel connected a socket to itself? It could have chosen the destination's port. */
static bool is_self_connected(const struct assign *assign, const union addr *local, int error)
{
	return (!error || error == EINPROGRESS) && connects_tcp(assign) &&
	       addr_port(local) == addr_port(&assign->addr) &&
	       addr_port(local) != assign->port_before &&
	       (addr_is_any(&assign->addr) || addr_same(local, &assign->addr));
}

/* If the port cannot be seen: would the kernel keep to the range? */
static bool keeps_to_range(const struct fence *fence, const struct assign *assign)
{
	return !engine_kernel_judge(fence->rule->range[assign->proto], NULL);
}

int assign_end(const struct fence *fence, struct assign *assign, int *error)
{
	union addr local;
	socklen_t len = 0;
	uint16_t port = 0;
	bool fell_back = assign->outcome == OUTCOME_FELL_BACK;
	int kind;

	if (assign->claim)
		state_release(&fence->state, assign->claim);
	if (assign->program_port && !*error)
		assign->port = addr_port(&assign->addr);
	if (assign->engine != ENGINE_KERNEL && !fell_back)
		return ASSIGN_DONE;
	if (found_no_port(fence, assign, *error, &local, &len) &&
	    widen_choice(fence, assign, &local, len))
		return ASSIGN_AGAIN;
	if (fell_back && assign->call == ASSIGN_BIND && !*error)
		keep_system_port(fence, assign);
	kind = local_address(fence, assign->fd, &local, &len);
	if (kind == KIND_OTHER || (kind < 0 && (fell_back || keeps_to_range(fence, assign))))
		return ASSIGN_DONE;
	if (kind == KIND_FENCED) {
		/* a failed bind() leaves the old port, and before a bind() we did not look at it */
		port = assign->call == ASSIGN_BIND && *error ? 0 : addr_port(&local);
		if (is_self_connected(assign, &local, *error)) {
			disconnect(fence, assign->fd);
			*error = -exhausted_errno(assign);
			return offer_above_peer(fence, assign) ? ASSIGN_AGAIN : ASSIGN_DONE;
		}
		if (port == 0 || port == assign->port_before || *error == EISCONN) {
			/* the kernel chose nothing: the call failed early, or the program had bound the socket */
			assign->engine = ENGINE_AUTO;
			return ASSIGN_DONE;
		}
		if (fell_back || range_has(fence->rule->range[assign->proto], port)) {
			assign->port = port;
			return ASSIGN_DONE;
		}
		/* not fresh after all: it had this port before */
		if (assign->fresh && keeps_to_range(fence, assign)) {
			assign->engine = ENGINE_AUTO;
			return ASSIGN_DONE;
		}
	}
	/* ip_local_port_range has changed since we checked: the socket must not keep that port */
	engine_kernel_distrust(&fence->kernel[assign->proto]);
	disconnect(fence, assign->fd);
	assign->outcome = OUTCOME_ESCAPED;
	*error = -exhausted_errno(assign);
	return ASSIGN_DONE;
}

/* Return: STATE_REFUSALS for what is not counted */
static enum state_refusal find_refusal(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_FINE:
	case OUTCOME_CLOSED: /* without a configuration, there is no state file either */
		return STATE_REFUSALS;
	case OUTCOME_FELL_BACK:
		return STATE_SYSTEM_PORT;
	case OUTCOME_REFUSED:
		return STATE_BIND;
	default:
		return outcome_is_exhausted(outcome) ? STATE_NO_PORT : STATE_OTHER;
	}
}

void assign_count(const struct fence *fence, const struct assign *assign)
{
	const enum state_refusal refusal = find_refusal(assign->outcome);

	if (fence->state.file && refusal != STATE_REFUSALS)
		atomic_fetch_add_explicit(&fence->state.file->refused[assign->proto][refusal], 1,
					  memory_order_relaxed);
}

int assign_undo(const struct fence *fence, int fd)
{
	union addr local;
	socklen_t len;
	int kind, protocol = IPPROTO_UDP, rc;

	/* if the kernel does not say what it is, we assume a UDP socket with a port to be taken back */
	if (classify_socket(fence, fd, &protocol) == KIND_OTHER ||
	    policy_proto(protocol) != PROTO_UDP)
		return 0;
	kind = local_address(fence, fd, &local, &len);
	/* a port of the range may stay; one that the program bound would survive a disconnect anyway */
	if (kind == KIND_OTHER ||
	    (kind == KIND_FENCED && (!addr_port(&local) || is_udp_range(fence, addr_port(&local)))))
		return 0;
	rc = drop_kernel_port(fence, fd);
	return rc > 0 ? 0 : rc;
}
