#include "caller_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096) /* the smallest page there is */
#define MASK_SIZE 8            /* the kernel's sigset_t */
#define STACK_LONGEST ((uintptr_t)1 << 20)

/*
 * rt_sigprocmask() reads the new mask before it looks at what to do with it. It
 * returns EFAULT if it cannot read it. Else it returns EINVAL, as there is no such
 * `how`, and changes nothing (kernel/signal.c; test/platform). It reads 8 bytes.
 */
static bool probe_byte(uintptr_t at)
{
	return syscall(SYS_rt_sigprocmask, -1, at, NULL, MASK_SIZE) == 0 || errno != EFAULT;
}

/*
 * The main thread's stack ends with what the kernel put on top of it. Written by
 * caller_memory_start(), then never.
 */
static _Atomic uintptr_t stack_end;

void caller_memory_start(void)
{
	atomic_store_explicit(&stack_end, getauxval(AT_EXECFN), memory_order_relaxed);
}

/* Written by caller_memory_trust(), then never; a relaxed atomic. */
static atomic_bool trusted;

void caller_memory_trust(void)
{
	atomic_store_explicit(&trusted, true, memory_order_relaxed);
}

/*
 * Pages that could be read when they were asked for, by the bits of their number. Programs keep
 * their addresses in few places, so nearly every call finds its own here. A page that the program has
 * unmapped since would be a SIGSEGV instead of EFAULT: a program that hands over what it has given
 * back is wrong either way, and to see each munmap() would cost every program more.
 */
#define PAGES_SEEN 64
static _Atomic uintptr_t pages_seen[PAGES_SEEN];

static _Atomic uintptr_t *seen_slot(uintptr_t page)
{
	const uintptr_t number = page / PAGE;

	/* the heap, a library's data and a thread's arena differ in higher bits */
	return &pages_seen[(number ^ number >> 6 ^ number >> 14) % PAGES_SEEN];
}

static bool was_seen(uintptr_t page)
{
	return page && atomic_load_explicit(seen_slot(page), memory_order_relaxed) == page;
}

static bool within(uintptr_t at, size_t size, uintptr_t from, uintptr_t to)
{
	return at >= from && at < to && size <= to - at;
}

/*
 * The page in which our own frame begins is readable. So is the main thread's
 * stack further up, which holds the frames of our callers. Any other memory is
 * asked for once, its variables and the heap included: some programs put guard
 * pages into memory from malloc().
 */
bool caller_memory_near(const void *pointer, size_t size)
{
	uintptr_t at = (uintptr_t)pointer, frame = (uintptr_t)__builtin_frame_address(0);
	uintptr_t end = atomic_load_explicit(&stack_end, memory_order_relaxed), page;

	if (atomic_load_explicit(&trusted, memory_order_relaxed))
		return at >= PAGE && at + size >= at;
	if (within(at, size, frame, (frame & ~(PAGE - 1)) + PAGE))
		return true;
	if (frame < end && end - frame < STACK_LONGEST && within(at, size, frame, end))
		return true;
	if (at + size < at)
		return false;
	for (page = at & ~(PAGE - 1); page < at + size && was_seen(page);)
		page += PAGE;
	return page >= at + size;
}

bool caller_memory_readable(const void *pointer, size_t size)
{
	uintptr_t at = (uintptr_t)pointer, page;

	/* the kernel does not look at what has no length (net/socket.c, move_addr_to_kernel) */
	if (size == 0)
		return true;
	if (!at || at + size < at)
		return false;
	if (caller_memory_near(pointer, size))
		return true;
	/* a probe in each page, where the 8 bytes do not reach into the next one */
	for (page = at & ~(PAGE - 1); page < at + size; page += PAGE) {
		/* no mask at all is no fault: the first page is probed behind its first byte */
		if (!was_seen(page) && !probe_byte(page ? page : 1))
			return false;
		atomic_store_explicit(seen_slot(page), page, memory_order_relaxed);
	}
	return true;
}

bool caller_memory_readable_on(uintptr_t *seen, const void *pointer, size_t size)
{
	uintptr_t page = (uintptr_t)pointer & ~(PAGE - 1);

	if (page == *seen && within((uintptr_t)pointer, size, page, page + PAGE))
		return true;
	if (!caller_memory_readable(pointer, size))
		return false;
	*seen = page;
	return true;
}

bool caller_memory_text(uintptr_t *seen, const char *text)
{
	for (;;) {
		size_t rest = PAGE - ((uintptr_t)text & (PAGE - 1));

		if (!caller_memory_readable_on(seen, text, 1))
			return false;
		if (strnlen(text, rest) < rest)
			return true;
		text += rest;
	}
}

bool caller_memory_address(const struct sockaddr *addr, socklen_t len, union addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (len > sizeof(struct sockaddr_storage) || !caller_memory_readable(addr, len))
		return false;
	memcpy(ret_addr, addr, len < sizeof(*ret_addr) ? len : sizeof(*ret_addr));
	return true;
}
