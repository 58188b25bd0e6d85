#include "engine_bind.h"

#include "diag.h"
#include "fd.h"
#include "sctp.h"
#include "signals.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Theory of operation
 *
 * The kernel's bind() alone decides: a port is ours when bind() succeeds.
 *
 * Without SO_REUSEADDR, bind() fails on any port that a socket holds, even one in
 * TIME_WAIT. So a port found in this way cannot clash at connect(). But then a
 * range of N ports would serve N connections altogether. With SO_REUSEADDR on all
 * sockets of a port, bind() lets them share it, and where the 4-tuple exists it is
 * connect() that fails, with EADDRNOTAVAIL. By then it is too late: a socket that
 * was bound by hand cannot be bound again. So the tuple is looked up first.
 *
 * Look-up, bind() and connect() are three calls. A claim on the tuple keeps two
 * callers apart that would both pass the look-up: it is taken before the look-up
 * and held until the kernel has registered the connection. Under a claim, even a
 * port that was bound exclusively can be opened to sharing at once. So other
 * destinations can use it while connect() blocks.
 */

/* After so many misses in one search, one dump of all connections costs less. */
#define MISSES_MOST 32

struct flags {
	bool reuse_addr;
	bool reuse_port;
};

static int set_flag(const struct engine_bind *search, int option, int value)
{
	return search->calls->setsockopt(search->fd, SOL_SOCKET, option, &value, sizeof(value));
}

static bool get_flag(const struct engine_bind *search, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return !search->calls->getsockopt(search->fd, level, option, &value, &len) && value;
}

/* Clears a flag and notes its value. Return: 0, or -errno and the flag is as it was */
static int clear_flag(const struct engine_bind *search, int option, bool *ret_flag)
{
	socklen_t len = sizeof(int);
	int value = 0;

	if (search->calls->getsockopt(search->fd, SOL_SOCKET, option, &value, &len) ||
	    (value && set_flag(search, option, 0)))
		return -errno;
	*ret_flag = value;
	return 0;
}

/* With either flag, bind() takes ports that others hold, and on UDP their datagrams. */
static int clear_flags(const struct engine_bind *search, struct flags *ret_flags)
{
	struct flags flags = { .reuse_addr = search->fresh && search->reuse_addr };
	int rc = 0;

	if (search->fresh) {
		if (flags.reuse_addr && set_flag(search, SO_REUSEADDR, 0))
			rc = -errno;
	} else {
		rc = clear_flag(search, SO_REUSEADDR, &flags.reuse_addr);
		if (!rc)
			rc = clear_flag(search, SO_REUSEPORT, &flags.reuse_port);
		if (rc && flags.reuse_addr)
			set_flag(search, SO_REUSEADDR, 1);
	}
	if (!rc)
		*ret_flags = flags;
	return rc;
}

static void restore_flags(const struct engine_bind *search, const struct flags *flags)
{
	if (flags->reuse_addr)
		set_flag(search, SO_REUSEADDR, 1);
	if (flags->reuse_port)
		set_flag(search, SO_REUSEPORT, 1);
}

/* Return: false after the last candidate */
static bool next_port(struct engine_bind *search)
{
	uint32_t index;

	if (!order_next(search->walk, &index))
		return false;
	addr_set_port(&search->local, range_port(search->range, index));
	return true;
}

/*
 * Binds a copy of the program's array. The kernel takes the first port for all that
 * name none. Those that name what the first one names go where that one goes.
 */
static int try_bindx(const struct engine_bind *search)
{
	struct arena arena = { 0 };
	union addr *copy = arena_alloc(&arena, search->addrs_size + sizeof(*copy));
	union addr *one = copy;
	const char *end;
	uint16_t named;
	int rc = -ENOMEM;

	if (copy) {
		memcpy(copy, search->addrs, search->addrs_size);
		end = (const char *)copy + search->addrs_size;
		named = addr_port(copy);
		/* a thread may have put another family there meanwhile */
		for (; (char *)one < end && sctp_addr_size(one->sa.sa_family);
		     one = (void *)((char *)one + sctp_addr_size(one->sa.sa_family)))
			if (addr_port(one) == named)
				addr_set_port(one, 0);
		addr_set_port(copy, addr_port(&search->local));
		rc = search->calls->setsockopt(search->fd, IPPROTO_SCTP, SCTP_OPTION_BINDX_ADD,
					       copy, search->addrs_size)
			     ? -errno
			     : 0;
	}
	arena_free(&arena);
	return rc;
}

static int try_bind(const struct engine_bind *search)
{
	if (search->addrs)
		return try_bindx(search);
	return search->calls->bind(search->fd, &search->local.sa, search->len) ? -errno : 0;
}

/* Callbacks of a walk. They share state only through @context. */
struct walk_calls {
	/* Return: 0, -EADDRINUSE or -EACCES for the next candidate, or what ends the search */
	int (*try)(struct engine_bind *search, void *context);
	/* May be NULL. Return: hints that are true now, or NULL if they cannot be had */
	const struct state_hints *(*find_used)(struct engine_bind *search, void *context);
	void *context;
};

static bool is_hinted(const struct engine_bind *search, uint16_t port)
{
	return search->hints && search->tried >= search->unhinted_tries &&
	       state_hint(search->hints, port);
}

/*
 * Tries the candidates in order, and passes over those that are hinted as used.
 * When only those are left, or after many misses, it finds out which ports are
 * really used and begins again with that. Where it cannot find out, it begins
 * again and tries all. So a hint alone never makes a range full.
 */
static int walk_candidates(struct engine_bind *search, const struct walk_calls *calls)
{
	const struct order_walk start = *search->walk;
	const struct state_hints *known_used = NULL;
	bool hinting = true, passed = false;
	uint32_t missed = 0;
	int rc, end = -EACCES;

	for (;;) {
		bool over = !next_port(search);
		uint16_t port = addr_port(&search->local);

		if (hinting && (over ? passed : missed == MISSES_MOST)) {
			known_used =
				calls->find_used ? calls->find_used(search, calls->context) : NULL;
			missed++;
			if (known_used || over) {
				hinting = false;
				*search->walk = start;
				continue;
			}
		}
		if (over)
			return end;
		if (known_used && state_hint(known_used, port)) {
			end = -EADDRINUSE;
			continue;
		}
		if (hinting && is_hinted(search, port)) {
			passed = true;
			continue;
		}
		search->tried++;
		missed++;
		rc = calls->try(search, calls->context);
		if (rc == -EADDRINUSE)
			end = rc;
		else if (rc != -EACCES)
			break;
	}
	/* where one hint was wrong, its neighbours may be: nothing clears hints when ports come free */
	if (!rc && search->hints && state_hint(search->hints, addr_port(&search->local)))
		state_clear_hints(search->hints, addr_port(&search->local));
	return rc;
}

/*
 * Binds to a port on which only connections in TIME_WAIT are left. A socket of our
 * own, the guard, takes the port first, as the program's would. Then the port may
 * hold nothing but the guard and what is in TIME_WAIT: if we shared it with a
 * socket that is about to listen, one of the two listen() calls would fail. Other
 * fenced searches see the guard, and later our socket. A kernel that does not show
 * the guard does not show other bound sockets either, and the port is not taken.
 *
 * Return: 0; -EADDRINUSE, also where the kernel does not say
 */
static int try_beside_time_wait(const struct engine_bind *search)
{
	struct engine_bind guard = *search;
	struct signals signals;
	socklen_t len = sizeof(int);
	int family = AF_INET, rc = -EADDRINUSE;
	struct diag diag;

	search->calls->getsockopt(search->fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	signals_hold(&signals);
	diag_start(&diag, search->calls, search->fd, search->fresh);
	guard.fd = fd_socket_by(search->calls->socket, family, SOCK_STREAM, 0);
	if (guard.fd >= 0 && !set_flag(&guard, SO_REUSEADDR, 1) && !try_bind(&guard) &&
	    diag_only_time_wait(&diag, &search->local) == 1 && !set_flag(search, SO_REUSEADDR, 1)) {
		if (!try_bind(search))
			rc = 0;
		set_flag(search, SO_REUSEADDR, 0);
	}
	diag_end(&diag);
	if (guard.fd >= 0)
		fd_close(guard.fd);
	signals_release(&signals);
	return rc;
}

static void note_waiting(void *context, uint16_t port)
{
	state_set_hint(context, port);
}

/* Finds the ports with connections in TIME_WAIT, in one dump. Return: them, or NULL if they cannot be had */
static const struct state_hints *find_waiting(const struct engine_bind *search, struct arena *arena)
{
	struct state_hints *waiting = arena_alloc(arena, sizeof(*waiting));
	struct signals signals;
	struct diag diag;
	int rc;

	if (!waiting)
		return NULL;
	signals_hold(&signals);
	diag_start(&diag, search->calls, search->fd, search->fresh);
	rc = diag_time_wait(&diag, note_waiting, waiting);
	diag_end(&diag);
	signals_release(&signals);
	return rc ? NULL : waiting;
}

/*
 * No port is left. @search->walk is at its start again.
 *
 * @takes: one that only TIME_WAIT holds will do
 * Return: 0, -EADDRINUSE
 */
static int walk_waiting(struct engine_bind *search, bool takes)
{
	struct arena arena = { .used = 0 };
	const struct state_hints *waiting = find_waiting(search, &arena);
	int rc = -EADDRINUSE;

	while (rc && waiting && next_port(search)) {
		if (!state_hint(waiting, addr_port(&search->local)))
			continue;
		search->in_time_wait = true;
		if (!takes)
			break;
		search->tried++;
		rc = try_beside_time_wait(search);
	}
	arena_free(&arena);
	return rc;
}

/* Is this the first of two ports that are both free? Without a descriptor to spare, nobody can tell. */
static bool begins_pair(const struct engine_bind *search)
{
	const uint16_t port = addr_port(&search->local);
	struct engine_bind second = *search;
	struct signals signals;
	bool free = false;

	if (port % 2 || !range_has(search->range, (uint16_t)(port + 1)))
		return false;
	addr_set_port(&second.local, (uint16_t)(port + 1));
	signals_hold(&signals);
	second.fd = fd_socket_by(search->calls->socket, search->local.sa.sa_family, SOCK_DGRAM, 0);
	if (second.fd >= 0) {
		free = !try_bind(&second);
		fd_close(second.fd);
	}
	signals_release(&signals);
	return free;
}

static int try_exclusive(struct engine_bind *search, void *context)
{
	const struct flags *flags = context;
	int rc;

	if (search->pairs && !begins_pair(search))
		return -EADDRINUSE;
	rc = try_bind(search);

	if (rc == -EADDRINUSE && search->time_wait == ENGINE_BIND_AT_ONCE && flags->reuse_addr)
		rc = try_beside_time_wait(search);
	if (rc == -EADDRINUSE && search->hints)
		state_set_hint(search->hints, addr_port(&search->local));
	return rc;
}

int engine_bind_exclusive(struct engine_bind *search)
{
	const struct order_walk start = *search->walk;
	struct flags flags;
	const struct walk_calls calls = { .try = try_exclusive, .context = &flags };
	int rc = clear_flags(search, &flags);

	if (rc)
		return rc;
	rc = walk_candidates(search, &calls);
	if (rc == -EADDRINUSE && search->pairs) {
		search->pairs = false;
		*search->walk = start;
		rc = walk_candidates(search, &calls);
	}
	if (rc == -EADDRINUSE && search->time_wait != ENGINE_BIND_FREE_ONLY) {
		*search->walk = start;
		rc = walk_waiting(search, flags.reuse_addr);
	}
	restore_flags(search, &flags);
	return rc;
}

/* ---- SCTP ---- */

/* Binds to the guard's port: the kernel lets two sockets share it if both have SO_REUSEADDR. */
static int try_guarded(const struct engine_bind *search, const struct engine_bind *guard)
{
	bool shares = get_flag(search, SOL_SOCKET, SO_REUSEADDR);
	int rc;

	set_flag(guard, SO_REUSEADDR, 1);
	if (!shares)
		set_flag(search, SO_REUSEADDR, 1);
	rc = try_bind(search);
	if (!shares)
		set_flag(search, SO_REUSEADDR, 0);
	return rc;
}

/*
 * The kernel refuses a bind() to the wildcard address if the port is held at any
 * address, but a bind() to one address only if it is held at that address
 * (net/sctp/socket.c, sctp_get_port_local). And a socket keeps its port for good,
 * even if a later bind of a second address to it fails. So another socket, the
 * guard, takes the port at the wildcard address first, and lets it go once ours
 * has it. With SCTP_REUSE_PORT the guard is needed at the wildcard address, too:
 * the option shares ports, and it cannot be changed after a bind().
 */
int engine_bind_sctp(struct engine_bind *search)
{
	struct engine_bind guard = *search;
	struct signals signals;
	socklen_t len = sizeof(int);
	int family = AF_INET, rc;

	if (!search->addrs && addr_is_any(&search->local) &&
	    !get_flag(search, IPPROTO_SCTP, SCTP_OPTION_REUSE_PORT))
		return engine_bind_exclusive(search);
	search->calls->getsockopt(search->fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	signals_hold(&signals);
	guard.fd = fd_socket_by(search->calls->socket, family, SOCK_STREAM, IPPROTO_SCTP);
	if (guard.fd < 0) {
		signals_release(&signals);
		return engine_bind_exclusive(search);
	}
	guard.len = addr_wildcard(&guard.local, family);
	guard.fresh = true;
	guard.addrs = NULL;
	rc = engine_bind_exclusive(&guard);
	search->tried = guard.tried;
	if (!rc) {
		addr_set_port(&search->local, addr_port(&guard.local));
		rc = try_guarded(search, &guard);
	}
	fd_close(guard.fd);
	signals_release(&signals);
	return rc;
}

/* ---- connect ---- */

/* What a search for a port to one peer needs to know. */
struct connect_search {
	const struct state *state;
	struct source_addr_cache *sources;
	uint64_t claim;
	bool hinted;
	bool alone; /* only a port that nobody holds will do */
	uint64_t peer_tag;
	struct arena arena;
	struct diag diag;
	struct signals signals; /* held while there are descriptors of ours */
	union addr peer;        /* never the wildcard */
	union addr source;      /* family 0 until it is known */
	bool no_source;         /* the kernel does not say */
};

/* connect() takes the wildcard for this host (net/ipv4/route.c, net/ipv6/tcp_ipv6.c). */
static void resolve_peer(const union addr *peer, union addr *ret_peer)
{
	*ret_peer = *peer;
	if (!addr_is_any(peer))
		return;
	if (peer->sa.sa_family == AF_INET)
		ret_peer->in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (addr_is_v4(peer))
		ret_peer->in6.sin6_addr.s6_addr32[3] = htonl(INADDR_LOOPBACK);
	else
		ret_peer->in6.sin6_addr = in6addr_loopback;
}

/* Finds the source address, once. It starts @conn->diag, so it comes before every question to it. */
static bool find_source(const struct engine_bind *search, struct connect_search *conn)
{
	const union addr *local = &search->local;

	if (conn->source.sa.sa_family || conn->no_source)
		return !conn->no_source;
	signals_hold(&conn->signals);
	/* even a new socket may be tied to a device: a cgroup program can do that (`ip vrf exec`) */
	diag_start(&conn->diag, search->calls, search->fd, search->fresh);
	conn->diag.reuse_at_once = conn->state->repeats;
	if (!addr_is_any(local))
		conn->source = *local;
	else if (source_addr_find(conn->sources, &conn->state->file->sequence.key, &conn->diag,
				  &conn->peer, &conn->source))
		conn->no_source = true;
	return !conn->no_source;
}

/* A socket whose source is its destination connects to itself. */
static bool is_self(const struct engine_bind *search, struct connect_search *conn)
{
	if (addr_port(&search->local) != addr_port(&conn->peer))
		return false;
	if (addr_is_loopback(&conn->peer))
		return true;
	return find_source(search, conn) && addr_same(&conn->source, &conn->peer);
}

/* Never 0 */
static uint64_t peer_tag(const struct state *state, const union addr *local, const union addr *peer)
{
	struct {
		uint8_t local[16];
		uint8_t peer[16];
		uint32_t port;
	} flow;

	addr_bytes(local, flow.local);
	addr_bytes(peer, flow.peer);
	flow.port = addr_port(peer);
	return siphash(&state->file->sequence.key, &flow, sizeof(flow)) | 1ULL << 63;
}

static uint64_t tuple_tag(const struct state *state, const union addr *local,
			  const union addr *peer)
{
	struct {
		uint8_t address[16];
		uint16_t peer_port;
		uint16_t port;
	} tuple;

	addr_bytes(peer, tuple.address);
	tuple.peer_port = addr_port(peer);
	tuple.port = addr_port(local);
	return siphash(&state->file->sequence.key, &tuple, sizeof(tuple));
}

/* Takes the candidate alone if nobody holds it, or shares it if the tuple is free. */
static int try_tuple(struct engine_bind *search, struct connect_search *conn)
{
	int rc = try_bind(search), is_free;

	if (rc != -EADDRINUSE || conn->alone)
		return rc;
	if (!find_source(search, conn)) {
		search->diag_failed = true;
		return rc;
	}
	addr_set_port(&conn->source, addr_port(&search->local));
	is_free = diag_is_free(&conn->diag, &conn->source, &conn->peer);
	search->diag_failed |= is_free < 0;
	if (is_free != 1)
		return rc;
	if (set_flag(search, SO_REUSEADDR, 1)) {
		search->diag_failed = true;
		return rc;
	}
	rc = try_bind(search);
	search->shared = !rc;
	if (rc)
		set_flag(search, SO_REUSEADDR, 0);
	return rc;
}

static void note_used(struct engine_bind *search, struct connect_search *conn, uint16_t port)
{
	if (!conn->hinted)
		return;
	if (!search->hints)
		search->hints = state_take_peer(conn->state, conn->peer_tag);
	state_set_hint(search->hints, port);
}

static int try_claimed(struct engine_bind *search, void *context)
{
	struct connect_search *conn = context;
	uint64_t tag;
	int rc;

	if (is_self(search, conn))
		return -EADDRINUSE;
	tag = tuple_tag(conn->state, &search->local, &conn->peer);
	if (state_claim(conn->state, tag))
		return -EADDRINUSE;
	rc = try_tuple(search, conn);
	if (!rc) {
		conn->claim = tag;
		return 0;
	}
	state_release(conn->state, tag);
	if (rc == -EADDRINUSE && !search->diag_failed && !conn->alone)
		note_used(search, conn, addr_port(&search->local));
	return rc;
}

struct used_ports {
	struct engine_bind *search;
	struct connect_search *conn;
	struct state_hints *known_used;
};

static void note_port(void *context, uint16_t port)
{
	struct used_ports *used = context;

	state_set_hint(used->known_used, port);
	note_used(used->search, used->conn, port);
}

/* Finds all ports from which the peer is connected to, in one dump. */
static const struct state_hints *find_used_ports(struct engine_bind *search, void *context)
{
	struct connect_search *conn = context;
	struct used_ports dump = { .search = search, .conn = conn };

	if (!find_source(search, conn))
		return NULL;
	/* private memory: other processes can write to shared hints, and must not make a range full */
	dump.known_used = arena_alloc(&conn->arena, sizeof(*dump.known_used));
	if (!dump.known_used ||
	    diag_used(&conn->diag, &conn->source, &conn->peer, note_port, &dump))
		return NULL;
	return dump.known_used;
}

int engine_bind_connect(struct engine_bind *search, const struct state *state,
			struct source_addr_cache *sources, bool hinted, const union addr *peer,
			uint64_t *ret_claim)
{
	const struct order_walk start = *search->walk;
	struct connect_search conn = {
		.state = state,
		.sources = sources,
		.hinted = hinted,
		.diag.tcp = -1,
	};
	struct walk_calls calls = { .try = try_claimed, .find_used = find_used_ports };
	struct flags flags;
	int rc = clear_flags(search, &flags);

	if (rc)
		return rc;
	resolve_peer(peer, &conn.peer);
	if (hinted) {
		conn.peer_tag = peer_tag(state, &search->local, &conn.peer);
		search->hints = state_peer(state, conn.peer_tag);
	}
	calls.context = &conn;
	/* if the destination is not known, nobody can tell which ports it could share */
	conn.alone = !addr_port(&conn.peer);
	rc = walk_candidates(search, &calls);
	if (rc == -EADDRINUSE && conn.alone) {
		conn.alone = false;
		*search->walk = start;
		rc = walk_candidates(search, &calls);
	}
	diag_end(&conn.diag);
	if (rc == -EADDRINUSE && !search->diag_failed) {
		*search->walk = start;
		walk_waiting(search, false);
	}
	arena_free(&conn.arena);
	if (rc == -EADDRINUSE && search->diag_failed)
		rc = -EADDRNOTAVAIL;
	if (!rc) {
		*ret_claim = conn.claim;
		flags.reuse_addr |= !search->shared;
	}
	restore_flags(search, &flags);
	signals_release(&conn.signals);
	return rc;
}
