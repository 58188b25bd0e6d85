#include "memory.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096) /* the smallest page there is */
#define MASK_SIZE 8            /* the kernel's sigset_t */
#define STACK_NEAR ((uintptr_t)8192)
#define SEGMENTS 4
#define STACK_LONGEST ((uintptr_t)1 << 20)

/*
 * rt_sigprocmask() reads the new mask before it looks at what to do with it:
 * EFAULT if it cannot, and else, as there is no such `how`, EINVAL and nothing
 * changed (kernel/signal.c; test/platform). It reads 8 bytes, which are readable
 * to the last byte of their page.
 */
static bool probe(uintptr_t at)
{
	return syscall(SYS_rt_sigprocmask, -1, at, NULL, MASK_SIZE) == 0 || errno != EFAULT;
}

/*
 * Memory that is there for as long as the program runs: its own variables, what
 * malloc() has of the program break, and the main thread's stack up to what the
 * kernel put on top of it. (A program could take away the right to read a page
 * of its own there and then hand it over; none is known.) Written by memory_start(), then never.
 */
static struct {
	struct {
		_Atomic uintptr_t from, to;
	} segment[SEGMENTS];
	_Atomic uintptr_t heap;
	_Atomic uintptr_t stack_end;
} lasting;

static void note(_Atomic uintptr_t *at, uintptr_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static uintptr_t noted(_Atomic uintptr_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

void memory_start(void)
{
	const ElfW(Phdr) *head = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM), i, used = 0;
	uintptr_t base = 0;

	/* without this entry the executable is where it was linked to be */
	for (i = 0; head && i < count; i++)
		if (head[i].p_type == PT_PHDR)
			base = (uintptr_t)head - head[i].p_vaddr;
	for (i = 0; head && i < count && used < SEGMENTS; i++) {
		if (head[i].p_type != PT_LOAD || !(head[i].p_flags & PF_R))
			continue;
		note(&lasting.segment[used].from, base + head[i].p_vaddr);
		note(&lasting.segment[used++].to, base + head[i].p_vaddr + head[i].p_memsz);
	}
	note(&lasting.stack_end, getauxval(AT_EXECFN));
	note(&lasting.heap, (uintptr_t)sbrk(0));
}

static bool within(uintptr_t at, size_t size, uintptr_t from, uintptr_t to)
{
	return at >= from && at < to && size <= to - at;
}

/*
 * What lies a little above our own frame belongs to the frames of our callers.
 * The main thread's stack has no hole further up either, but a coroutine's frame
 * may be anywhere.
 */
bool memory_near(const void *pointer, size_t size)
{
	uintptr_t at = (uintptr_t)pointer, frame = (uintptr_t)__builtin_frame_address(0);
	uintptr_t stack_end = noted(&lasting.stack_end), heap = noted(&lasting.heap);
	size_t i;

	if (within(at, size, frame, frame + STACK_NEAR))
		return true;
	if (frame < stack_end && stack_end - frame < STACK_LONGEST &&
	    within(at, size, frame, stack_end))
		return true;
	for (i = 0; i < SEGMENTS; i++)
		if (within(at, size, noted(&lasting.segment[i].from),
			   noted(&lasting.segment[i].to)))
			return true;
	return heap && within(at, size, heap, (uintptr_t)sbrk(0));
}

bool memory_readable(const void *pointer, size_t size)
{
	uintptr_t at = (uintptr_t)pointer, page;

	/* the kernel does not look at what has no length (net/socket.c, move_addr_to_kernel) */
	if (size == 0)
		return true;
	if (!at || at + size < at)
		return false;
	if (memory_near(pointer, size))
		return true;
	/* a probe in each page, where the 8 bytes do not reach into the next one */
	for (page = at & ~(PAGE - 1); page < at + size; page += PAGE)
		/* no mask at all is no fault: the first page is probed behind its first byte */
		if (!probe(page ? page : 1))
			return false;
	return true;
}

bool memory_address(const struct sockaddr *addr, socklen_t len, union addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (len > sizeof(struct sockaddr_storage) || !memory_readable(addr, len))
		return false;
	memcpy(ret_addr, addr, len < sizeof(*ret_addr) ? len : sizeof(*ret_addr));
	return true;
}
