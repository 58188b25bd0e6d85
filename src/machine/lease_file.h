/* lease_file: the file that leases are locks on, and what holders write into it; it takes no lease. */
#ifndef PORTFENCE_MACHINE_LEASE_FILE_H
#define PORTFENCE_MACHINE_LEASE_FILE_H

#include "../core/portmap.h"
#include "../core/settings.h"
#include "../core/timing.h"
#include "processes.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The lock file in the state folder of a `run --fresh`: it tells such a folder from any other. */
#define LEASE_FRESH_LOCK "lock"

#define LEASE_APPLICATION 64
#define LEASE_COMMAND 296
#define LEASE_NAME_MOST 64 /* bytes */

/* One lease, as it is told of. What the holder says of itself is not to be relied on. */
struct lease {
	uint16_t first; /* both included */
	uint16_t last;
	bool known; /* the holder has told of itself: only then the rest counts */
	pid_t pid;  /* of the command, or as lease_holder_find() has it; 0 if none is known */
	uid_t uid;
	int64_t since;    /* nanoseconds, CLOCK_REALTIME */
	int64_t boottime; /* the same moment by CLOCK_BOOTTIME, which nobody sets */
	/* valid UTF-8 without control characters */
	char application[LEASE_APPLICATION];
	char command[LEASE_COMMAND];    /* its arguments, joined by blanks */
	char map[PORTMAP_TEXT];         /* of lease_set_map() */
	char name[LEASE_NAME_MOST + 1]; /* see lease_name; "" if it has none */
	bool detached;                  /* held until lease_name_release() */
	bool judged;                    /* lease_holder_find() has been here */
	char heir[PROCESSES_NAME]; /* name of process @pid, once the command has ended; else "" */
};

/* Byte n of the file is port n. The records follow, one for each port that may be a block's first. */
#define LEASE_FILE_PORTS 65536
#define LEASE_FILE_END (65536L * 1417) /* behind the records */

/* The kernel goes through all locks of a file for each question: somebody may hold thousands. */
#define LEASE_FILE_SEARCH_NS (2 * TIMING_SECOND_NS)

/**
 * lease_file_open_own() - Open a file among the user's state files that nobody else can open
 * @own_name:	the file's name: "leases", or "names" of lease_name
 * @write:	it is made where it is not there
 *
 * Return: descriptor, close-on-exec; -ENOENT if it is not there, and not to be written; another -errno
 */
int lease_file_open_own(const struct settings *settings, const char *own_name, bool write,
			struct reason *ret_why);

/**
 * lease_file_open_shared() - Open the file whose leases all users share
 *
 * Return: descriptor, close-on-exec; -errno and the problem in @ret_why
 */
int lease_file_open_shared(const char *path, bool write, struct reason *ret_why);

/**
 * lease_file_lock() - Set or end a lock
 * @type:	F_RDLCK, F_WRLCK or F_UNLCK
 *
 * Return: 0; -EAGAIN or -EACCES if another lock is in the way; another -errno. Source: fcntl(2), F_OFD_SETLK.
 */
int lease_file_lock(int fd, short type, off_t first, off_t count);

/* lease_file_find_lock() - Find a lock that is in the way of F_WRLCK. Return: 1; 0 if there is none; -errno */
int lease_file_find_lock(int fd, off_t first, off_t last, struct flock *ret_lock);

/* lease_file_lock_end() - The last port of a lock, which may go beyond all ports */
uint32_t lease_file_lock_end(const struct flock *lock);

/* Return: 0 to go on, or a -errno to stop with */
typedef int lease_file_found_fn(void *context, uint32_t first, uint32_t last);

/**
 * lease_file_walk() - Find all locks on ports but those of @fd itself, in no order
 *
 * Return: 0; 1 if there are so many that it stopped after some seconds; a -errno, also of @found
 */
int lease_file_walk(int fd, lease_file_found_fn *found, void *context);

/* lease_file_write() - Write a record: this user, the time now, and the rest from @lease. Return: 0 or -errno */
int lease_file_write(int fd, uint32_t index, const struct lease *lease);

/* lease_file_read() - Read a record, with its texts made safe to print. Return: false if there is none */
bool lease_file_read(int fd, uint32_t index, struct lease *ret_lease);

#endif
