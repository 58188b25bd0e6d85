#include "fdcache.h"

#include "sandbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AF_SMC
#define AF_SMC 43
#endif
#ifndef AF_RDS
#define AF_RDS 21
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

/*
 * Theory of operation
 *
 * A send to an address is a program's hot path, and one question to the kernel
 * is a good part of its cost. So it is remembered that a number means a socket
 * that has its port, or a socket that is none of ours. A wrong memory would be an
 * escape; why there is none:
 *
 * - A number comes to mean another socket only where one is installed under it.
 *   The hooks see socket, socketpair, accept, dup, dup2, dup3, fcntl, recvmsg,
 *   recvmmsg, pidfd_getfd and getsockopt, which peels off SCTP's associations, and
 *   forget the number. No other call makes sockets. close() is hooked for what
 *   bypasses the hooks: a socket that a system call of the program's own has made
 *   is asked about like any other.
 * - A thread may have asked before, and come to remember after. So a thread that
 *   asks leaves a mark, and whoever forgets the number takes the mark away: an
 *   answer is remembered only where the mark still is.
 * - A socket loses its port only by connect() to AF_UNSPEC, and only if the
 *   kernel had chosen it. As the socket may have other numbers, all is forgotten.
 *   Other processes may share it, too: so a port outside the range is remembered
 *   only where bind() has been seen to give it, or it outlived an attempt to take it back.
 * - A forked child has a table of its own, copied at another moment than its
 *   memory: the pages are MADV_WIPEONFORK, so it begins with nothing.
 * - A child of vfork has a table of its own and shares the memory. It may
 *   forget, which is harmless. It may not settle a number, nor note it as foreign:
 *   the pages have an owner, and the kernel is asked for the process's id.
 * - A thread that leaves the others' table ends all remembering, and so does a
 *   clone() that shares the memory and not the table.
 *
 * System calls that bypass the hooks (a runtime's own close() and socket()) can
 * still give a number another socket. Without a supervisor they bypass the fence
 * anyway. With one, the call that follows would pass the supervisor by, so there
 * the memory is only a hint: hooks_port asks the kernel whether a settled socket
 * still has the port that it had, as a write() without a destination may have given
 * another one to the number's new socket. It looks at the address that goes to a
 * foreign one, or leaves the call to the supervisor.
 *
 * Fresh sockets are not held to the same proof. The memory only says which
 * questions need not be asked before a bind, and the bind fails where it is wrong.
 *
 * Most processes of a tree never make a socket. So the pages come with the first one
 * that there is something to remember of. A filter of the program's own may forbid the
 * calls for it, so a process gets its pages before its filter, or never.
 */

#define NOBODY (-1)

#define DESCRIPTORS 4095

#define SOCK_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* After a fork all of it is 0. What is not used takes no memory. */
struct pages {
	_Atomic pid_t owner; /* the process that settles; 0: the next to come, NOBODY: none */
	_Atomic uint8_t same_netns; /* protocols, by bit */
	struct source_addr_cache sources;
	_Atomic uintptr_t of[DESCRIPTORS]; /* a note, see make_note(), or the mark of a thread */
};

/* It outlives a fork. */
struct fdcache {
	struct pages *_Atomic pages; /* NULL, then set once; nothing was remembered before */
	atomic_bool lost;            /* there are none, and there will be none */
};

/* Written at start, then never. It outlives a fork. */
static bool hints_trusted;

void fdcache_trust_hints(void)
{
	hints_trusted = true;
}

struct fdcache *fdcache_start(void)
{
	static struct fdcache cache;

	return &cache;
}

static struct pages *find_pages(const struct fdcache *cache)
{
	return cache ? atomic_load_explicit(&cache->pages, memory_order_acquire) : NULL;
}

/* Return: NULL if the kernel has none, or does not wipe them */
static struct pages *map_pages(void)
{
	struct pages *pages = mmap(NULL, sizeof(*pages), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	if (!madvise(pages, sizeof(*pages), MADV_WIPEONFORK))
		return pages;
	munmap(pages, sizeof(*pages));
	return NULL;
}

/* Finds the pages, or makes them where they may be made. Keeps errno. Return: NULL if there are none */
static struct pages *need_pages(struct fdcache *cache)
{
	struct pages *pages = find_pages(cache), *other = NULL;
	int saved = errno;

	if (pages || !cache || sandbox_is_filtered() || atomic_load(&cache->lost))
		return pages;
	pages = map_pages();
	errno = saved;
	if (!pages) {
		atomic_store(&cache->lost, true);
		return NULL;
	}
	/* published when a fork already wipes them */
	if (atomic_compare_exchange_strong(&cache->pages, &other, pages))
		return pages;
	munmap(pages, sizeof(*pages));
	return other;
}

void fdcache_prepare(struct fdcache *cache)
{
	need_pages(cache);
}

struct source_addr_cache *fdcache_sources(struct fdcache *cache)
{
	struct pages *pages = find_pages(cache);

	return pages ? &pages->sources : NULL;
}

/* Return: what is remembered of a number; NULL if nothing can be */
static _Atomic uintptr_t *find_slot(struct pages *pages, int fd)
{
	return pages && fd >= 0 && fd < DESCRIPTORS ? &pages->of[fd] : NULL;
}

static _Atomic uintptr_t *slot_of(const struct fdcache *cache, int fd)
{
	return find_slot(find_pages(cache), fd);
}

/* A state and a port, neither of which is more than a byte or two. Nothing noted is 0. */
static uintptr_t make_note(enum fdcache_state state, uint16_t port)
{
	return (uintptr_t)port << 16 | (uintptr_t)state << 1;
}

/* An int's address is even, as a note is. */
static uintptr_t make_mark(const void *mark)
{
	return (uintptr_t)mark | 1;
}

static void set_state(_Atomic uintptr_t *slot, enum fdcache_state state)
{
	atomic_store_explicit(slot, make_note(state, 0), memory_order_relaxed);
}

/* Return: 0 for a number that a thread is asking about */
static uintptr_t get_note(const struct fdcache *cache, int fd)
{
	const _Atomic uintptr_t *slot = slot_of(cache, fd);
	uintptr_t note = slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;

	return note & 1 ? 0 : note;
}

enum fdcache_state fdcache_get(const struct fdcache *cache, int fd)
{
	return (enum fdcache_state)(get_note(cache, fd) >> 1 & 0x7f);
}

uint16_t fdcache_port(const struct fdcache *cache, int fd)
{
	return (uint16_t)(get_note(cache, fd) >> 16);
}

static enum fdcache_state kind_of_inet(bool v6, int type, int protocol)
{
	/* not MPTCP: its options count, see mptcp.h */
	if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP))
		return v6 ? FDCACHE_TCP6 : FDCACHE_TCP4;
	if (type == SOCK_DGRAM &&
	    (protocol == 0 || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE))
		return v6 ? FDCACHE_UDP6 : FDCACHE_UDP4;
	return FDCACHE_UNKNOWN;
}

static enum fdcache_state kind_of_foreign(int type)
{
	if (type & SOCK_NONBLOCK)
		return FDCACHE_FOREIGN_NONBLOCK;
	return type == SOCK_STREAM ? FDCACHE_FOREIGN : FDCACHE_FOREIGN_WHOLE;
}

static enum fdcache_state kind_of_new(int domain, int type, int protocol)
{
	switch (domain) {
	case AF_INET:
	case AF_INET6:
		return kind_of_inet(domain == AF_INET6, type & ~SOCK_FLAGS, protocol);
	case AF_SMC:
	case AF_RDS:
		/* the kernel makes TCP sockets beneath these */
		return FDCACHE_UNKNOWN;
	default:
		return kind_of_foreign(type & ~SOCK_CLOEXEC);
	}
}

static pid_t get_owner(const struct pages *pages)
{
	return atomic_load_explicit(&pages->owner, memory_order_relaxed);
}

static bool owns(struct pages *pages)
{
	/* not libc's function, whose result a library between may have made up */
	pid_t self = (pid_t)syscall(SYS_getpid), owner = 0;

	return atomic_compare_exchange_strong_explicit(
		       &pages->owner, &owner, self, memory_order_relaxed, memory_order_relaxed) ||
	       owner == self;
}

void fdcache_note_new(struct fdcache *cache, int fd, int domain, int type, int protocol)
{
	enum fdcache_state state = kind_of_new(domain, type, protocol);
	struct pages *pages = need_pages(cache);
	_Atomic uintptr_t *slot = find_slot(pages, fd);

	if (!slot)
		return;
	if (fdcache_is_foreign(state)) {
		fdcache_note_foreign(cache, fd, state);
		return;
	}
	/* or a child of vfork could be the first to settle, and would then own the page */
	if (get_owner(pages) == 0 && !sandbox_is_filtered())
		owns(pages);
	set_state(slot, get_owner(pages) == NOBODY ? FDCACHE_UNKNOWN : state);
}

void fdcache_note_foreign(struct fdcache *cache, int fd, enum fdcache_state state)
{
	struct pages *pages = find_pages(cache);
	_Atomic uintptr_t *slot = find_slot(pages, fd);

	if (!slot)
		return;
	if (get_owner(pages) == NOBODY || sandbox_is_filtered() || !(hints_trusted || owns(pages)))
		state = FDCACHE_UNKNOWN;
	atomic_store(slot, make_note(state, 0));
}

void fdcache_note_nonblock(struct fdcache *cache, int fd, bool nonblock)
{
	if (fdcache_is_foreign(fdcache_get(cache, fd)))
		set_state(slot_of(cache, fd),
			  nonblock ? FDCACHE_FOREIGN_NONBLOCK : FDCACHE_FOREIGN);
}

void fdcache_note_reuse(struct fdcache *cache, int fd, bool on)
{
	switch (fdcache_get(cache, fd)) {
	case FDCACHE_TCP4:
	case FDCACHE_TCP4_REUSE:
		set_state(slot_of(cache, fd), on ? FDCACHE_TCP4_REUSE : FDCACHE_TCP4);
		break;
	case FDCACHE_TCP6:
	case FDCACHE_TCP6_REUSE:
		set_state(slot_of(cache, fd), on ? FDCACHE_TCP6_REUSE : FDCACHE_TCP6);
		break;
	case FDCACHE_UDP4:
	case FDCACHE_UDP6:
		set_state(slot_of(cache, fd), FDCACHE_UNKNOWN);
		break;
	default:
		break;
	}
}

void fdcache_note_bound(struct fdcache *cache, int fd, uint16_t port)
{
	struct pages *pages = find_pages(cache);
	_Atomic uintptr_t *slot = find_slot(pages, fd);

	if (slot && get_owner(pages) != NOBODY)
		atomic_store_explicit(slot, make_note(FDCACHE_BOUND, port), memory_order_relaxed);
}

void fdcache_note_received(struct fdcache *cache, int fd)
{
	_Atomic uintptr_t *slot = find_slot(need_pages(cache), fd);

	if (slot)
		set_state(slot, FDCACHE_RECEIVED);
}

void fdcache_ask(struct fdcache *cache, int fd, const void *mark)
{
	_Atomic uintptr_t *slot = find_slot(need_pages(cache), fd);

	if (slot)
		atomic_store(slot, make_mark(mark));
}

void fdcache_settle(struct fdcache *cache, int fd, enum fdcache_state state, uint16_t port,
		    const void *mark)
{
	struct pages *pages = find_pages(cache);
	_Atomic uintptr_t *slot = find_slot(pages, fd);
	uintptr_t asked = make_mark(mark);

	if (slot && owns(pages))
		atomic_compare_exchange_strong(slot, &asked, make_note(state, port));
}

void fdcache_forget(struct fdcache *cache, int fd)
{
	_Atomic uintptr_t *slot = slot_of(cache, fd);

	/* not to write where nothing is saves most processes a page */
	if (slot && atomic_load(slot) != FDCACHE_UNKNOWN)
		set_state(slot, FDCACHE_UNKNOWN);
}

void fdcache_replace(struct fdcache *cache, int fd)
{
	_Atomic uintptr_t *slot = slot_of(cache, fd);

	if (slot)
		atomic_store(slot, FDCACHE_UNKNOWN);
}

static void forget_all(struct fdcache *cache, bool foreign)
{
	struct pages *pages = find_pages(cache);
	int fd;

	for (fd = 0; pages && fd < DESCRIPTORS; fd++) {
		uintptr_t note = atomic_load(&pages->of[fd]);

		if (note && (foreign || !fdcache_is_foreign(fdcache_get(cache, fd))))
			atomic_store(&pages->of[fd], FDCACHE_UNKNOWN);
	}
}

void fdcache_dissolve(struct fdcache *cache)
{
	forget_all(cache, false);
}

void fdcache_disown(struct fdcache *cache)
{
	/* a forked child may remember again, so its pages are made even for nothing */
	struct pages *pages = need_pages(cache);

	if (!pages)
		return;
	atomic_store(&pages->owner, NOBODY);
	atomic_store(&pages->same_netns, 0);
	forget_all(cache, true);
}

bool fdcache_same_netns(const struct fdcache *cache, enum proto proto)
{
	struct pages *pages = find_pages(cache);

	return pages &&
	       atomic_load_explicit(&pages->same_netns, memory_order_relaxed) & 1U << proto;
}

void fdcache_set_same_netns(struct fdcache *cache, enum proto proto)
{
	struct pages *pages = find_pages(cache);

	if (pages && !fdcache_same_netns(cache, proto) && get_owner(pages) != NOBODY)
		atomic_fetch_or_explicit(&pages->same_netns, (uint8_t)(1U << proto),
					 memory_order_relaxed);
}
