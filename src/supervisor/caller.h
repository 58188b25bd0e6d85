/* caller: the thread that made a trapped call: its memory, its descriptors, its rights; it answers no call. */
#ifndef PORTFENCE_SUPERVISOR_CALLER_H
#define PORTFENCE_SUPERVISOR_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct caller {
	pid_t thread;
	int pidfd;   /* of the thread, or of its process where the kernel has no such */
	bool others; /* it is the process's, and that has more threads */
};

/*
 * A thread that dies makes its number another's. So what was learned counts
 * only if the notification is still valid afterwards (seccomp_unotify(2)).
 */

/* caller_open() - Return: 0, or -errno */
int caller_open(pid_t thread, struct caller *ret_caller);

void caller_close(struct caller *caller);

/**
 * caller_read() - Copy from its memory
 *
 * Return: 0; -EFAULT if not all of it can be read; -EPERM if we may not.
 * Source: process_vm_readv(2).
 */
int caller_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size);

/* caller_write() - Copy into its memory. Return: as caller_read() */
int caller_write(const struct caller *caller, uint64_t address, const void *data, size_t size);

/**
 * caller_descriptor() - Have one of its descriptors here, too
 *
 * Return: a descriptor, close-on-exec; -EBADF if it has none such, -EPERM if
 * we may not, or if the thread has a table of descriptors of its own and the
 * kernel knows no other than the process's. Source: pidfd_getfd(2).
 */
int caller_descriptor(const struct caller *caller, int fd);

/* caller_process() - The id of its process; 0 if it cannot be told */
pid_t caller_process(const struct caller *caller);

/**
 * caller_runs() - Does a thread run, or wait for a processor or for what no signal interrupts?
 *
 * Return: true, too, if it cannot be told; false if there is no such thread any more
 */
bool caller_runs(pid_t thread);

/* caller_is_signalled() - Would a call that waits end for a signal of this thread's? Sure only of a "yes" */
bool caller_is_signalled(pid_t thread);

/* caller_binds_low() - May it bind to privileged ports? (capabilities(7), CAP_NET_BIND_SERVICE) */
bool caller_binds_low(const struct caller *caller);

#endif
