/*
 * held: a page of this process's memory that nobody can read until it is filled, as memory of a file
 * system is whose server does not answer. To be made by root (userfaultfd(2)).
 */
#ifndef PROBES_HELD_H
#define PROBES_HELD_H

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HELD_SIZE 4096

/* Return: the page; its descriptor outlives this process in others that have it */
static void *held_make(int *ret_fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register page = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *at =
		mmap(NULL, HELD_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	page.range.start = (uintptr_t)at;
	page.range.len = HELD_SIZE;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &page))
		exit(77);
	*ret_fd = fd;
	return at;
}

/* Waits until somebody reads the page */
static void held_wait(int fd)
{
	struct uffd_msg message;

	if (read(fd, &message, sizeof(message)) != sizeof(message))
		exit(1);
}

/* Lets the reader go on. @page: where it was, @data: HELD_SIZE bytes that it finds */
static void held_fill(int fd, const void *page, const void *data)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)page,
				    .src = (uintptr_t)data,
				    .len = HELD_SIZE };

	ioctl(fd, UFFDIO_COPY, &copy);
}

#endif
