/* kernel: answers core's bare system calls from an input; nothing reaches the kernel. */
#ifndef PORTFENCE_TEST_FUZZ_KERNEL_H
#define PORTFENCE_TEST_FUZZ_KERNEL_H

#include "fuzz.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <sys/syscall.h>

/* Link with --wrap=syscall. The descriptors are numbers that no open file has. */
enum { KERNEL_SOCKET = 1000, KERNEL_FILE };

/* Where answers come from: each a byte for its length, in units of 4, and so many bytes. */
static struct fuzz *kernel_answers;

/* Memory behind the last answer, which must not be read. */
static struct {
	const void *from;
	size_t size;
} kernel_hidden;

/* kernel_show() - The call that got the answer has ended, so its memory may be used again */
static void kernel_show(void)
{
	__asan_unpoison_memory_region(kernel_hidden.from, kernel_hidden.size);
	kernel_hidden.size = 0;
}

/* kernel_answer() - The next answer, cut to @size. Return: its length, or -1 and errno */
static long kernel_answer(void *ret_answer, size_t size)
{
	size_t len = fuzz_byte(kernel_answers) * 4UL;

	kernel_show();
	if (!fuzz_left(kernel_answers)) {
		errno = EAGAIN;
		return -1;
	}
	len = len < size ? len : size;
	len = len < fuzz_left(kernel_answers) ? len : fuzz_left(kernel_answers);
	fuzz_bytes(kernel_answers, ret_answer, len);
	kernel_hidden.from = (char *)ret_answer + len;
	kernel_hidden.size = size - len;
	__asan_poison_memory_region(kernel_hidden.from, kernel_hidden.size);
	return (long)len;
}

static long kernel_ask(const void *question, size_t size)
{
	const struct nlmsghdr *head = question;

	CLAIM(size >= sizeof(*head) && head->nlmsg_len == size);
	return (long)size;
}

/* A file of at most one answer's length */
static long kernel_read(void *ret_text, size_t size)
{
	static bool over;
	long n;

	over = !over;
	if (!over)
		return 0;
	n = kernel_answer(ret_text, size);
	kernel_show();
	return n;
}

long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	va_list list;
	void *pointer;
	size_t size;

	va_start(list, number);
	va_arg(list, long);
	pointer = va_arg(list, void *);
	size = va_arg(list, size_t);
	va_end(list);
	switch (number) {
	case SYS_socket:
		return KERNEL_SOCKET;
	case SYS_openat:
		return KERNEL_FILE;
	case SYS_close:
	case SYS_rt_sigprocmask:
		return 0;
	case SYS_sendto:
		return kernel_ask(pointer, size);
	case SYS_recvfrom:
		return kernel_answer(pointer, size);
	case SYS_read:
		return kernel_read(pointer, size);
	default:
		abort();
	}
}

#endif
