/* processes: which process holds which socket, from /proc; it knows nothing of fences. */
#ifndef PORTFENCE_MACHINE_PROCESSES_H
#define PORTFENCE_MACHINE_PROCESSES_H

#include "sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES_NAME 16 /* TASK_COMM_LEN */

/* A process. Only the first two members are there of one that holds none of the sockets. */
struct process {
	pid_t pid;
	bool holds; /* one of the sockets, or more */
	pid_t parent;
	uid_t uid;                 /* effective */
	char name[PROCESSES_NAME]; /* printable ASCII: it is whatever the process made it */
};

/* One process holds one socket. */
struct processes_hold {
	uint32_t inode;
	uint32_t process; /* index */
};

struct processes {
	struct process *entry; /* by ascending id */
	size_t count;
	struct processes_hold *hold; /* by ascending inode, then process; none is twice there */
	size_t holds;
	size_t unseen; /* processes whose descriptors may not be looked at */
};

/**
 * processes_read() - Look at all processes, and at which of @sockets they hold
 * @ret_processes: give it back with processes_free(), after a failure, too
 *
 * Without root, only the descriptors of this user's own processes can be seen. A process that
 * ends meanwhile is left out.
 *
 * Return: 0, or -errno if /proc cannot be read
 */
int processes_read(const struct sockets *sockets, struct processes *ret_processes);

/* processes_free() - Give the memory back */
void processes_free(struct processes *processes);

/**
 * processes_holders() - Who holds a socket?
 * @ret_first:	the first of them, the others follow
 *
 * Return: how many; 0 where nobody does that can be seen
 */
size_t processes_holders(const struct processes *processes, uint32_t inode,
			 const struct processes_hold **ret_first);

/* processes_find() - The process of an id, or NULL */
const struct process *processes_find(const struct processes *processes, pid_t pid);

/**
 * processes_describe() - Find out name, parent and user of one process
 *
 * Return: 0, -ESRCH if it has ended. Source: proc_pid_status(5).
 */
int processes_describe(pid_t pid, struct process *ret_process);

/* Room for the longest text of processes_format_user() */
#define PROCESSES_USER 64

/* processes_format_user() - "user erp", or "user 1000" where the number has no name */
void processes_format_user(uid_t uid, char ret_text[PROCESSES_USER]);

#endif
