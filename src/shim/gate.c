#include "gate.h"

#include "../core/handover.h"
#include "next_symbol.h"
#include "real.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Under `portfence run --via both` a filter stops every call that could make the
 * kernel choose a port, wherever in the program it comes from, and a supervisor
 * looks at it. That takes some microseconds. A call that our hooks have fenced
 * need not be looked at again. So the filter lets calls pass that come from one
 * page, at an address that is drawn for each run. The code of that page is ours:
 * it is moved there from where the dynamic linker has put it, by the first call
 * that is to go through it, as most processes of a tree make none.
 *
 * The gate is no wall: a program may call the page by itself.
 */

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* since Linux 4.17, glibc 2.27 */
#endif

#define GATE_SIZE 4096

gate_fn *gate_published;

/* The filter stops such a call, and the supervisor serves it. */
static long call_elsewhere(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result = syscall(nr, a, b, c, d, e, f);

	result = result < 0 ? -errno : result;
	errno = saved;
	return result;
}

long gate_call(long nr, long a, long b, long c, long d, long e, long f)
{
	/* where another thread could not move the code, the gate goes after the caller has seen it */
	gate_fn *code = gate();

	return code ? code(nr, a, b, c, d, e, f) : call_elsewhere(nr, a, b, c, d, e, f);
}

#if defined(__x86_64__)
#define GATE_CODE                                                                                  \
	"mov %rdi, %rax\n"                                                                         \
	"mov %rsi, %rdi\n"                                                                         \
	"mov %rdx, %rsi\n"                                                                         \
	"mov %rcx, %rdx\n"                                                                         \
	"mov %r8, %r10\n"                                                                          \
	"mov %r9, %r8\n"                                                                           \
	"mov 8(%rsp), %r9\n"                                                                       \
	"syscall\n"                                                                                \
	"ret\n"
#elif defined(__aarch64__)
#define GATE_CODE                                                                                  \
	"mov x8, x0\n"                                                                             \
	"mov x0, x1\n"                                                                             \
	"mov x1, x2\n"                                                                             \
	"mov x2, x3\n"                                                                             \
	"mov x3, x4\n"                                                                             \
	"mov x4, x5\n"                                                                             \
	"mov x5, x6\n"                                                                             \
	"svc #0\n"                                                                                 \
	"ret\n"
#endif

#ifdef GATE_CODE

/* The code has a page of its own, so that it can be moved alone. */
__asm__(".pushsection .text\n"
	".balign 4096\n"
	".local portfence_gate\n"
	"portfence_gate:\n" GATE_CODE ".balign 4096\n"
	".popsection\n");

extern const char portfence_gate[] __attribute__((visibility("hidden")));

/* <gnu/libc-version.h>: a function of glibc that nobody interposes. With other libcs there is no gate. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

/*
 * Does this function of libc's stand next to us, with no other preloaded library
 * between? Before glibc 2.34, some are libpthread's.
 */
static bool is_libc(const void *function, const void *threads)
{
	return next_symbol_in_one_library(function,
					  (const void *)(uintptr_t)gnu_get_libc_version) ||
	       next_symbol_in_one_library(function, threads);
}

/*
 * Bare system calls: a program may have an mmap() of its own. That of
 * ThreadSanitizer, linked into an executable, does not take the page's address,
 * and asks the kernel for address 0 instead (compiler-rt's
 * sanitizer_common_interceptors.inc and tsan_interceptors_posix.cpp).
 */
static bool move_code(void *page)
{
	void *got = (void *)syscall(SYS_mmap, page, GATE_SIZE, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0L);

	if (got != page) {
		/* a kernel that does not know the flag takes the address for a hint */
		if (got != MAP_FAILED)
			syscall(SYS_munmap, got, GATE_SIZE);
		return false;
	}
	if ((void *)syscall(SYS_mremap, portfence_gate, GATE_SIZE, GATE_SIZE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, page) == page)
		return true;
	syscall(SYS_munmap, page, GATE_SIZE);
	return false;
}

/* Written by gate_open(), before it publishes anything */
static union {
	void *page;
	gate_fn *code;
} place;

static void put_gate(void)
{
	static atomic_flag tried = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&tried))
		__atomic_store_n(&gate_published, move_code(place.page) ? place.code : NULL,
				 __ATOMIC_RELAXED);
}

/*
 * Stands for the gate until the code is in its place. A call that comes while another thread moves it,
 * or where it cannot be moved, is made from elsewhere.
 */
static long first_gate(long nr, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	gate_fn *code;

	put_gate();
	code = gate();
	errno = saved;
	return code && code != first_gate ? code(nr, a, b, c, d, e, f)
					  : call_elsewhere(nr, a, b, c, d, e, f);
}

void gate_prepare(void)
{
	int saved = errno;

	if (gate() == first_gate)
		put_gate();
	errno = saved;
}

void gate_open(uint64_t address)
{
	gate_fn *none = NULL;
	const void *threads = address ? next_symbol("pthread_testcancel") : NULL;

	if (!address || !is_libc((void *)REAL(bind), threads) ||
	    !is_libc((void *)REAL(connect), threads) || !is_libc((void *)REAL(listen), threads) ||
	    !is_libc((void *)REAL(sendto), threads) || !is_libc((void *)REAL(sendmsg), threads) ||
	    !is_libc((void *)REAL(sendmmsg), threads))
		return;
	place.page = (void *)(uintptr_t)address;
	/* another thread may be faster, and be through it already */
	__atomic_compare_exchange_n(&gate_published, &none, first_gate, false, __ATOMIC_RELEASE,
				    __ATOMIC_RELAXED);
}

#else

void gate_open(uint64_t address)
{
	/* the gate is not written for this processor: the supervisor looks at every call */
	(void)address;
}

void gate_prepare(void)
{
}

#endif

bool gate_works(void)
{
	return gate() && gate_call(SYS_bind, -1, HANDOVER_PROBE, sizeof(struct sockaddr_in), 0, 0,
				   0) != -EXDEV;
}
