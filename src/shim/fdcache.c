#include "fdcache.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

/*
 * Theory of operation
 *
 * A send to an address is a program's hot path, and one question to the kernel
 * is a good part of its cost. So it is remembered that a number means a socket
 * that has its port. A wrong memory would be an escape; why there is none:
 *
 * - A number comes to mean another socket only where one is installed under it.
 *   socket, dup, dup2, dup3, fcntl, recvmsg, recvmmsg, pidfd_getfd and
 *   getsockopt, which peels off SCTP's associations, are hooked, and the number
 *   is forgotten. accept() gives connected sockets, socketpair() UNIX ones, and no
 *   other call gives sockets. close() is hooked for what bypasses the hooks: a
 *   socket that a system call of the program's own has made is asked about like
 *   any other.
 * - A thread may have asked before, and come to remember after. So who asks
 *   leaves a mark, and whoever forgets takes it away: an answer is remembered
 *   only where the mark still is.
 * - A socket loses its port only by connect() to AF_UNSPEC, and only if the
 *   kernel had chosen it. As the socket may have other numbers, all is forgotten.
 *   Other processes may share it, too: so a port outside the range is remembered
 *   only where bind() has been seen to give it.
 * - A forked child has a table of its own, copied at another moment than its
 *   memory: the page is MADV_WIPEONFORK, so it begins with nothing.
 * - A child of vfork has a table of its own and shares the memory. It may
 *   forget, which is harmless, but not settle: the page has an owner.
 * - A thread that leaves the others' table ends all remembering, and so does a
 *   clone() that shares the memory and not the table.
 *
 * What bypasses the hooks, raw system calls and io_uring, bypasses the fence
 * anyway. Fresh sockets are not held to the same proof: they only say which
 * questions need not be asked before a bind, and the bind fails where that is wrong.
 */

#define NOBODY (-1)

#define DESCRIPTORS 4095

/* After a fork all of it is 0. What is not used takes no memory. */
struct fdcache {
	_Atomic pid_t owner;  /* the process that settles; 0: the next to come, NOBODY: none */
	_Atomic uint8_t home; /* protocols, by bit */
	_Atomic uintptr_t of[DESCRIPTORS]; /* an enum fdcache_state, or the mark of who is asking */
};

struct fdcache *fdcache_start(void)
{
	struct fdcache *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	if (!madvise(all, sizeof(*all), MADV_WIPEONFORK))
		return all;
	munmap(all, sizeof(*all));
	return NULL;
}

static bool is_held(const struct fdcache *all, int fd)
{
	return all && fd >= 0 && fd < DESCRIPTORS;
}

static void set(struct fdcache *all, int fd, enum fdcache_state what)
{
	atomic_store_explicit(&all->of[fd], what, memory_order_relaxed);
}

enum fdcache_state fdcache_get(const struct fdcache *all, int fd)
{
	uintptr_t what;

	if (!is_held(all, fd))
		return FDCACHE_UNKNOWN;
	what = atomic_load_explicit(&all->of[fd], memory_order_relaxed);
	return what <= FDCACHE_UDP6 ? (enum fdcache_state)what : FDCACHE_UNKNOWN;
}

static enum fdcache_state kind(int domain, int type, int protocol)
{
	bool v6 = domain == AF_INET6;

	if (domain != AF_INET && !v6)
		return FDCACHE_UNKNOWN;
	type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (type == SOCK_STREAM &&
	    (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP))
		return v6 ? FDCACHE_TCP6 : FDCACHE_TCP4;
	if (type == SOCK_DGRAM &&
	    (protocol == 0 || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE))
		return v6 ? FDCACHE_UDP6 : FDCACHE_UDP4;
	return FDCACHE_UNKNOWN;
}

static pid_t get_owner(const struct fdcache *all)
{
	return atomic_load_explicit(&all->owner, memory_order_relaxed);
}

static bool owns(struct fdcache *all)
{
	/* not libc's function, whose result a library between may have made up */
	pid_t self = (pid_t)syscall(SYS_getpid), owner = 0;

	return atomic_compare_exchange_strong_explicit(
		       &all->owner, &owner, self, memory_order_relaxed, memory_order_relaxed) ||
	       owner == self;
}

void fdcache_note_new(struct fdcache *all, int fd, int domain, int type, int protocol)
{
	if (!is_held(all, fd))
		return;
	/* or a child of vfork could be the first to settle, and would then own the page */
	if (get_owner(all) == 0)
		owns(all);
	set(all, fd, get_owner(all) == NOBODY ? FDCACHE_UNKNOWN : kind(domain, type, protocol));
}

void fdcache_note_bound(struct fdcache *all, int fd)
{
	if (is_held(all, fd) && get_owner(all) != NOBODY)
		set(all, fd, FDCACHE_BOUND);
}

void fdcache_ask(struct fdcache *all, int fd, const void *mark)
{
	if (is_held(all, fd))
		atomic_store(&all->of[fd], (uintptr_t)mark);
}

void fdcache_settle(struct fdcache *all, int fd, enum fdcache_state what, const void *mark)
{
	uintptr_t asked = (uintptr_t)mark;

	if (is_held(all, fd) && owns(all))
		atomic_compare_exchange_strong(&all->of[fd], &asked, what);
}

void fdcache_forget(struct fdcache *all, int fd)
{
	/* not to write where nothing is saves most processes a page */
	if (is_held(all, fd) && atomic_load(&all->of[fd]) != FDCACHE_UNKNOWN)
		set(all, fd, FDCACHE_UNKNOWN);
}

void fdcache_replace(struct fdcache *all, int fd)
{
	if (is_held(all, fd))
		atomic_store(&all->of[fd], FDCACHE_UNKNOWN);
}

void fdcache_dissolve(struct fdcache *all)
{
	int fd;

	for (fd = 0; all && fd < DESCRIPTORS; fd++)
		if (atomic_load(&all->of[fd]) != FDCACHE_UNKNOWN)
			atomic_store(&all->of[fd], FDCACHE_UNKNOWN);
}

void fdcache_disown(struct fdcache *all)
{
	if (!all)
		return;
	atomic_store(&all->owner, NOBODY);
	atomic_store(&all->home, 0);
	fdcache_dissolve(all);
}

bool fdcache_same_netns(const struct fdcache *all, enum proto proto)
{
	return all && atomic_load_explicit(&all->home, memory_order_relaxed) & 1U << proto;
}

void fdcache_set_same_netns(struct fdcache *all, enum proto proto)
{
	if (all && !fdcache_same_netns(all, proto) && get_owner(all) != NOBODY)
		atomic_fetch_or_explicit(&all->home, (uint8_t)(1U << proto), memory_order_relaxed);
}
