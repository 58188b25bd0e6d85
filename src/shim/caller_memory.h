/* caller_memory: reads memory that a caller points to, without crashing on a bad pointer; it writes none. */
#ifndef PORTFENCE_SHIM_CALLER_MEMORY_H
#define PORTFENCE_SHIM_CALLER_MEMORY_H

#include "../core/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* caller_memory_start() - Note where the main thread's stack is, so that the kernel is asked less often */
void caller_memory_start(void);

/*
 * caller_memory_trust() - Take all memory for readable from now on, and make no system call
 *
 * For a process whose own filter may forbid the call. Only the null page stays unreadable.
 */
void caller_memory_trust(void);

/**
 * caller_memory_readable() - Can this memory be read?
 *
 * A program that hands over a bad pointer gets EFAULT from the kernel, and must
 * not get a SIGSEGV from us instead.
 */
bool caller_memory_readable(const void *at, size_t size);

/* caller_memory_near() - Is it known without a system call that this memory can be read? */
bool caller_memory_near(const void *at, size_t size);

/*
 * caller_memory_readable_on() - Can this memory be read, for a caller that reads one place after another?
 * @seen:	the last page that was found readable, CALLER_MEMORY_UNSEEN at first
 */
#define CALLER_MEMORY_UNSEEN ((uintptr_t)1)
bool caller_memory_readable_on(uintptr_t *seen, const void *at, size_t size);

/* caller_memory_text() - Can a string be read up to its end? @seen: see caller_memory_readable_on() */
bool caller_memory_text(uintptr_t *seen, const char *text);

/**
 * caller_memory_address() - Copy a socket address out of the program's memory
 *
 * Return: false if it cannot be read, or if the kernel takes no address of this length
 */
bool caller_memory_address(const struct sockaddr *addr, socklen_t len, union addr *ret_addr);

#endif
