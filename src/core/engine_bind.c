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
 * The kernel's bind() is the only judge: a port is ours when it says so.
 *
 * Without SO_REUSEADDR, bind() fails on any port that a socket holds, one in
 * TIME_WAIT included; so a port found in this way cannot clash at connect. But
 * then a range of N ports would serve N connections altogether. With
 * SO_REUSEADDR on all of a port's sockets, bind() lets them share it, and it is
 * connect() that fails, with EADDRNOTAVAIL, where the 4-tuple exists. By then it
 * is too late: a socket bound by hand cannot be bound again. So the tuple is
 * looked up first.
 *
 * Look-up, bind and connect are three calls. Two callers that pass the look-up
 * for one tuple at once are kept apart by a claim on the tuple, taken before
 * the look-up and held until the kernel has registered the connection. Once
 * there is a claim, even a port bound exclusively can be opened to sharing at
 * once, and is not kept from other destinations while connect() blocks.
 */

/* After so many in one search it pays to look at all ports at once. */
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

/* Notes a flag and clears it. Return: 0, or -errno and the flag is as it was */
static int take_flag(const struct engine_bind *search, int option, bool *ret_flag)
{
	socklen_t len = sizeof(int);
	int value = 0;

	if (search->calls->getsockopt(search->fd, SOL_SOCKET, option, &value, &len) ||
	    (value && set_flag(search, option, 0)))
		return -errno;
	*ret_flag = value;
	return 0;
}

/* With either of them, bind() would take ports that others hold, on UDP their datagrams, too. */
static int take_flags(const struct engine_bind *search, struct flags *ret_flags)
{
	struct flags flags = { .reuse_addr = false };
	int rc = 0;

	if (!search->fresh)
		rc = take_flag(search, SO_REUSEADDR, &flags.reuse_addr);
	if (!search->fresh && !rc) {
		rc = take_flag(search, SO_REUSEPORT, &flags.reuse_port);
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

/* The program's array is not ours to write to, and only its first port is missing: the others follow it. */
static int try_bindx(const struct engine_bind *search)
{
	struct arena arena = { 0 };
	union addr *copy = arena_alloc(&arena, search->addrs_size + sizeof(*copy));
	int rc = -ENOMEM;

	if (copy) {
		memcpy(copy, search->addrs, search->addrs_size);
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

/* What a walk calls. Neither is told what the other finds but through @context. */
struct calls {
	/* Return: 0, -EADDRINUSE or -EACCES for the next candidate, or what ends the search */
	int (*try)(struct engine_bind *search, void *context);
	/* Return: hints that are true, or NULL if they cannot be had; may be NULL itself */
	const struct state_hints *(*look)(struct engine_bind *search, void *context);
	void *context;
};

static bool is_hinted(const struct engine_bind *search, uint16_t port)
{
	return search->hints && search->tried >= search->blind && state_hint(search->hints, port);
}

/*
 * Tries the candidates in their order, but for those that the hints speak
 * against. When it comes to these, or has missed often, it looks at once which
 * ports are in use, and begins again with that; where nobody can look, it begins
 * again and tries all. So hints never decide that a range is full.
 */
static int walk(struct engine_bind *search, const struct calls *calls)
{
	const struct order_walk start = *search->walk;
	const struct state_hints *truth = NULL;
	bool hinting = true, passed = false;
	uint32_t missed = 0;
	int rc, end = -EACCES;

	for (;;) {
		bool over = !next_port(search);
		uint16_t port = addr_port(&search->local);

		if (hinting && (over ? passed : missed == MISSES_MOST)) {
			truth = calls->look ? calls->look(search, calls->context) : NULL;
			missed++;
			if (truth || over) {
				hinting = false;
				*search->walk = start;
				continue;
			}
		}
		if (over)
			return end;
		if (truth && state_hint(truth, port)) {
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
	/* where one hint was wrong, others are: nobody says when ports come free */
	if (!rc && search->hints && state_hint(search->hints, addr_port(&search->local)))
		state_clear_hints(search->hints, addr_port(&search->local));
	return rc;
}

/*
 * A socket of our own, the guard, takes the port as the program's would. Then
 * nobody but it may stand there besides what is in TIME_WAIT: to share the port
 * with who is about to listen there would be the end of one of the two, at
 * listen(). Another fenced search sees the guard, and then our socket. Where the
 * kernel does not show the guard, it would not show others that are only bound.
 *
 * Return: 0; -EADDRINUSE, also where nobody can say
 */
static int try_left(const struct engine_bind *search)
{
	struct engine_bind guard = *search;
	struct signals signals;
	socklen_t len = sizeof(int);
	int family = AF_INET, rc = -EADDRINUSE;
	struct diag diag;

	search->calls->getsockopt(search->fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	signals_hold(&signals);
	diag_start(&diag, search->calls, search->fd);
	guard.fd = fd_socket(family, SOCK_STREAM, 0);
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

static int try_exclusive(struct engine_bind *search, void *context)
{
	const struct flags *flags = context;
	int rc = try_bind(search);

	if (rc == -EADDRINUSE && search->again && flags->reuse_addr)
		rc = try_left(search);
	if (rc == -EADDRINUSE && search->hints)
		state_set_hint(search->hints, addr_port(&search->local));
	return rc;
}

int engine_bind_exclusive(struct engine_bind *search)
{
	struct flags flags;
	const struct calls calls = { .try = try_exclusive, .context = &flags };
	int rc = take_flags(search, &flags);

	if (rc)
		return rc;
	rc = walk(search, &calls);
	restore_flags(search, &flags);
	return rc;
}

/* ---- SCTP ---- */

/* Binds beside the guard: where both sockets have SO_REUSEADDR, the kernel does not hold them apart. */
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
 * A bind() to the wildcard address is refused a port that is held at any
 * address, and any other only one that is held at its own (net/sctp/socket.c,
 * sctp_get_port_local). But a socket has its port for good, even where the
 * second of its addresses is refused it. So another socket, the guard, takes the
 * port at the wildcard first, and lets it go when ours has it. So it is, too,
 * where SCTP_REUSE_PORT shares ports, which cannot be set again after a bind.
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
	guard.fd = fd_socket(family, SOCK_STREAM, IPPROTO_SCTP);
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

/* What a search for a port to share needs to know. */
struct sharing {
	const struct state *state;
	struct source_addr_cache *sources;
	uint64_t claim;
	bool hinted;
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

/* Comes before every question, and makes the first one: where the socket is tied to. */
static bool find_source(const struct engine_bind *search, struct sharing *sharing)
{
	const union addr *local = &search->local;

	if (sharing->source.sa.sa_family || sharing->no_source)
		return !sharing->no_source;
	signals_hold(&sharing->signals);
	/* of a fresh one, too: a cgroup's program may tie it at its birth (`ip vrf exec`) */
	diag_start(&sharing->diag, search->calls, search->fd);
	sharing->diag.at_once = sharing->state->repeats;
	if (!addr_is_any(local))
		sharing->source = *local;
	else if (source_addr_find(sharing->sources, &sharing->state->file->block.key,
				  &sharing->diag, &sharing->peer, &sharing->source))
		sharing->no_source = true;
	return !sharing->no_source;
}

/* From its own address and port, a socket connects to itself. */
static bool is_self(const struct engine_bind *search, struct sharing *sharing)
{
	if (addr_port(&search->local) != addr_port(&sharing->peer))
		return false;
	if (addr_is_loopback(&sharing->peer))
		return true;
	return find_source(search, sharing) && addr_same(&sharing->source, &sharing->peer);
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
	return siphash(&state->file->block.key, &flow, sizeof(flow)) | 1ULL << 63;
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
	return siphash(&state->file->block.key, &tuple, sizeof(tuple));
}

/* The candidate alone if nobody holds it, else shared if the tuple is free. */
static int try_tuple(struct engine_bind *search, struct sharing *sharing)
{
	int rc = try_bind(search), is_free;

	if (rc != -EADDRINUSE)
		return rc;
	if (!find_source(search, sharing)) {
		search->unsure = true;
		return rc;
	}
	addr_set_port(&sharing->source, addr_port(&search->local));
	is_free = diag_is_free(&sharing->diag, &sharing->source, &sharing->peer);
	search->unsure |= is_free < 0;
	if (is_free != 1)
		return rc;
	if (set_flag(search, SO_REUSEADDR, 1)) {
		search->unsure = true;
		return rc;
	}
	rc = try_bind(search);
	search->shared = !rc;
	if (rc)
		set_flag(search, SO_REUSEADDR, 0);
	return rc;
}

static void note_used(struct engine_bind *search, struct sharing *sharing, uint16_t port)
{
	if (!sharing->hinted)
		return;
	if (!search->hints)
		search->hints = state_take_peer(sharing->state, sharing->peer_tag);
	state_set_hint(search->hints, port);
}

static int try_claimed(struct engine_bind *search, void *context)
{
	struct sharing *sharing = context;
	uint64_t tag;
	int rc;

	if (is_self(search, sharing))
		return -EADDRINUSE;
	tag = tuple_tag(sharing->state, &search->local, &sharing->peer);
	if (state_claim(sharing->state, tag))
		return -EADDRINUSE;
	rc = try_tuple(search, sharing);
	if (!rc) {
		sharing->claim = tag;
		return 0;
	}
	state_release(sharing->state, tag);
	if (rc == -EADDRINUSE && !search->unsure)
		note_used(search, sharing, addr_port(&search->local));
	return rc;
}

struct snapshot {
	struct engine_bind *search;
	struct sharing *sharing;
	struct state_hints *truth;
};

static void note_port(void *context, uint16_t port)
{
	struct snapshot *look = context;

	state_set_hint(look->truth, port);
	note_used(look->search, look->sharing, port);
}

/* All ports from which the peer is connected to, at one look. */
static const struct state_hints *look_at_used(struct engine_bind *search, void *context)
{
	struct sharing *sharing = context;
	struct snapshot look = { .search = search, .sharing = sharing };

	if (!find_source(search, sharing))
		return NULL;
	/* its own, as others may write to what is shared, and theirs must not make a range full */
	look.truth = arena_alloc(&sharing->arena, sizeof(*look.truth));
	if (!look.truth ||
	    diag_used(&sharing->diag, &sharing->source, &sharing->peer, note_port, &look))
		return NULL;
	return look.truth;
}

int engine_bind_connect(struct engine_bind *search, const struct state *state,
			struct source_addr_cache *sources, bool hinted, const union addr *peer,
			uint64_t *ret_claim)
{
	struct sharing sharing = {
		.state = state,
		.sources = sources,
		.hinted = hinted,
		.diag.tcp = -1,
	};
	struct calls calls = { .try = try_claimed, .look = look_at_used };
	struct flags flags;
	int rc = take_flags(search, &flags);

	if (rc)
		return rc;
	resolve_peer(peer, &sharing.peer);
	if (hinted) {
		sharing.peer_tag = peer_tag(state, &search->local, &sharing.peer);
		search->hints = state_peer(state, sharing.peer_tag);
	}
	calls.context = &sharing;
	rc = walk(search, &calls);
	diag_end(&sharing.diag);
	arena_free(&sharing.arena);
	if (rc == -EADDRINUSE && search->unsure)
		rc = -EADDRNOTAVAIL;
	if (!rc) {
		*ret_claim = sharing.claim;
		flags.reuse_addr |= !search->shared;
	}
	restore_flags(search, &flags);
	signals_release(&sharing.signals);
	return rc;
}
