#include "engine_bind.h"

#include "diag.h"

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

struct flags {
	bool reuse_addr;
	bool reuse_port;
};

static bool get_flag(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return !getsockopt(fd, SOL_SOCKET, option, &value, &len) && value;
}

static void set_flag(const struct engine_bind *search, int option, int value)
{
	search->sys->setsockopt(search->fd, SOL_SOCKET, option, &value, sizeof(value));
}

static struct flags take_flags(const struct engine_bind *search)
{
	struct flags flags = { .reuse_addr = false };
	int fd = search->fd;

	if (search->fresh)
		return flags;
	flags.reuse_addr = get_flag(fd, SO_REUSEADDR);
	flags.reuse_port = get_flag(fd, SO_REUSEPORT);
	if (flags.reuse_addr)
		set_flag(search, SO_REUSEADDR, 0);
	if (flags.reuse_port)
		set_flag(search, SO_REUSEPORT, 0);
	return flags;
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
	search->tried++;
	return true;
}

static int try_bind(const struct engine_bind *search)
{
	return search->sys->bind(search->fd, &search->local.sa, search->len) ? -errno : 0;
}

int engine_bind_exclusive(struct engine_bind *search)
{
	struct flags flags = take_flags(search);
	int rc, end = -EACCES;

	do {
		if (!next_port(search)) {
			rc = end;
			break;
		}
		rc = try_bind(search);
		if (rc == -EADDRINUSE)
			end = rc;
	} while (rc == -EADDRINUSE || rc == -EACCES);
	restore_flags(search, &flags);
	return rc;
}

/* ---- connect ---- */

/* What a search for a port to share needs to know. */
struct sharing {
	struct diag diag;
	union addr peer;   /* never the wildcard */
	union addr source; /* family 0 until it is known */
	bool no_source;    /* the kernel does not say */
	bool unsure;       /* a port may be free, but could not be asked about */
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

static bool find_source(struct sharing *sharing, const union addr *local)
{
	if (sharing->source.sa.sa_family || sharing->no_source)
		return !sharing->no_source;
	if (!addr_is_any(local))
		sharing->source = *local;
	else if (diag_source(&sharing->diag, &sharing->peer, &sharing->source))
		sharing->no_source = true;
	return !sharing->no_source;
}

/* From its own address and port, a socket connects to itself. */
static bool is_self(struct sharing *sharing, const union addr *local)
{
	uint8_t source[16], peer[16];

	if (addr_port(local) != addr_port(&sharing->peer))
		return false;
	if (addr_is_loopback(&sharing->peer))
		return true;
	if (!find_source(sharing, local))
		return false;
	addr_bytes(&sharing->source, source);
	addr_bytes(&sharing->peer, peer);
	return !memcmp(source, peer, sizeof(peer));
}

static uint64_t tuple_tag(const struct cursor *cursor, const union addr *local,
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
	return siphash(&cursor->file->block.key, &tuple, sizeof(tuple));
}

/* The candidate alone if nobody holds it, else shared if the tuple is free. */
static int try_tuple(struct engine_bind *search, struct sharing *sharing)
{
	int rc = try_bind(search), is_free;

	if (rc != -EADDRINUSE)
		return rc;
	if (!find_source(sharing, &search->local)) {
		sharing->unsure = true;
		return rc;
	}
	addr_set_port(&sharing->source, addr_port(&search->local));
	is_free = diag_is_free(&sharing->diag, &sharing->source, &sharing->peer);
	sharing->unsure |= is_free < 0;
	if (is_free != 1)
		return rc;
	set_flag(search, SO_REUSEADDR, 1);
	rc = try_bind(search);
	search->shared = !rc;
	if (rc)
		set_flag(search, SO_REUSEADDR, 0);
	return rc;
}

static int try_claimed(struct engine_bind *search, struct sharing *sharing,
		       const struct cursor *cursor, uint64_t *ret_claim)
{
	uint64_t tag;
	int rc;

	if (is_self(sharing, &search->local))
		return -EADDRINUSE;
	tag = tuple_tag(cursor, &search->local, &sharing->peer);
	if (cursor_claim(cursor, tag))
		return -EADDRINUSE;
	rc = try_tuple(search, sharing);
	if (rc)
		cursor_release(cursor, tag);
	else
		*ret_claim = tag;
	return rc;
}

int engine_bind_connect(struct engine_bind *search, const struct cursor *cursor,
			const union addr *peer, uint64_t *ret_claim)
{
	struct sharing sharing = { .source.sa.sa_family = AF_UNSPEC };
	struct flags flags = take_flags(search);
	int rc, end = -EACCES;

	diag_start(&sharing.diag, search->fresh ? -1 : search->fd);
	resolve_peer(peer, &sharing.peer);
	do {
		if (!next_port(search)) {
			rc = end;
			break;
		}
		rc = try_claimed(search, &sharing, cursor, ret_claim);
		if (rc == -EADDRINUSE)
			end = sharing.unsure ? -EADDRNOTAVAIL : rc;
	} while (rc == -EADDRINUSE || rc == -EACCES);
	diag_end(&sharing.diag);
	if (!rc && !search->shared)
		flags.reuse_addr = true;
	restore_flags(search, &flags);
	return rc;
}
