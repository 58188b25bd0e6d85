#include "memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096) /* the smallest page there is */
#define MASK_SIZE 8            /* the kernel's sigset_t */
#define STACK_NEAR ((uintptr_t)8192)

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
 * What lies a little above our own frame belongs to the frames of our callers,
 * where most programs keep their addresses and messages.
 */
static bool on_stack(uintptr_t at, size_t size)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	return at >= frame && size < STACK_NEAR && at - frame < STACK_NEAR - size;
}

bool memory_readable(const void *pointer, size_t size)
{
	uintptr_t at = (uintptr_t)pointer, page;

	/* the kernel does not look at what has no length (net/socket.c, move_addr_to_kernel) */
	if (size == 0)
		return true;
	if (!at || at + size < at)
		return false;
	if (on_stack(at, size))
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
	if (len > sizeof(*ret_addr) || !memory_readable(addr, len))
		return false;
	memcpy(ret_addr, addr, len);
	return true;
}
