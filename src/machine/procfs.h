/* procfs: reads what /proc tells of one process or thread; it keeps nothing and judges nothing. */
#ifndef PORTFENCE_MACHINE_PROCFS_H
#define PORTFENCE_MACHINE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * An id is that of a process or of a thread, as /proc has both; PROCFS_SELF is the process
 * that asks. All ids are of the PID namespace that /proc is of: see procfs_is_ours().
 *
 * -ESRCH is the one word for "it has ended": the kernel says ENOENT, ESRCH or nothing at
 * all, by how far the end has come. -EACCES and -EPERM mean that we may not look.
 */
#define PROCFS_SELF 0

#define PROCFS_NAME 16 /* TASK_COMM_LEN */

/* What /proc/ID/status tells. Source: proc_pid_status(5). */
struct procfs_status {
	char name[PROCFS_NAME]; /* the process may have put any bytes there */
	pid_t process;          /* of a thread, its process */
	pid_t parent;
	unsigned threads;
	uid_t uid;      /* effective */
	uid_t file_uid; /* for access to files */
	gid_t file_gid;
	bool mixed; /* its real, effective, saved and file ids are not all the same, of user or group */
	uint64_t pending;        /* signals of the thread, bit 0 is signal 1 */
	uint64_t shared_pending; /* signals of the process */
	uint64_t blocked;        /* signals */
	uint64_t capabilities;   /* effective, in its own user namespace */
	uint64_t permitted;      /* the same, permitted */
	bool no_new_privs;       /* false, too, before Linux 4.10 */
	int seccomp;             /* SECCOMP_MODE_*; 0 where the kernel has no filters */
	bool has_memory;         /* false of a kernel thread, and of what has nearly ended */
};

/* What /proc/ID/stat tells. Source: proc_pid_stat(5). */
struct procfs_stat {
	char state;         /* 'R' runs, 'D' waits for what no signal interrupts, ... */
	uint64_t started;   /* clock ticks (sysconf(3)) after the machine's start */
	uint64_t rss_limit; /* soft limit RLIMIT_RSS */
	bool has_memory;    /* as procfs_status has it */
};

/* procfs_is_ours() - Is /proc of this PID namespace? If not, its ids are those of others */
bool procfs_is_ours(void);

/**
 * procfs_status() - Read the status of a process or thread, to its end
 *
 * Return: 0, -ESRCH if it has ended, another -errno
 */
int procfs_status(pid_t id, struct procfs_status *ret_status);

/**
 * procfs_stat() - Read whether it runs, when it was started, and a limit of its
 *
 * Return: 0, -ESRCH if it has ended, another -errno
 */
int procfs_stat(pid_t id, struct procfs_stat *ret_stat);

/* procfs_open() - Open a file, with flags of open(2). Return: descriptor, -ESRCH if it has ended, another -errno */
int procfs_open(pid_t id, const char *name, int flags);

/**
 * procfs_read() - Read a file, such as "cmdline"
 * @ret_text:	its bytes and a NUL; cut at @size - 1 bytes
 *
 * What has no memory has an empty command line and an empty environment, and so
 * may a process that has memory.
 *
 * Return: number of bytes, -ESRCH if it has ended, another -errno
 */
long procfs_read(pid_t id, const char *name, char *ret_text, size_t size);

/**
 * procfs_memory() - Read from the memory of a process
 *
 * It takes the right to trace the process.
 *
 * Return: number of bytes, which may be less than @size; -ESRCH, another -errno
 */
long procfs_memory(pid_t id, uint64_t address, void *ret_data, size_t size);

/**
 * procfs_lines() - Read a file line by line, however long it is and its lines are
 * @line:	is given each line, without its end; returns false to hear of no more
 *
 * Return: 0; -ESRCH if it has ended or the file is empty; another -errno
 */
int procfs_lines(pid_t id, const char *name, bool (*line)(char *text, void *context),
		 void *context);

/**
 * procfs_link() - Read where a link goes to, such as "exe", "ns/net" or "fd/3"
 * @ret_text:	text and a NUL; untouched on failure
 *
 * Return: 0; -ESRCH if it has ended, or has no such link; -ENAMETOOLONG; another -errno
 */
int procfs_link(pid_t id, const char *name, char *ret_text, size_t size);

/* procfs_number() - Number of what a link such as "ns/user" leads to, as fstat(2) shows it; 0 if it cannot be told */
uint64_t procfs_number(pid_t id, const char *name);

/**
 * procfs_same_link() - Do two links name the same namespace, socket or other object?
 *
 * Return: false, too, if one of them cannot be read
 */
bool procfs_same_link(pid_t id, const char *name, pid_t other_id, const char *other_name);

/**
 * procfs_socket() - Which socket is a descriptor of a process or thread?
 *
 * Return: 0; -ENOTSOCK; -ESRCH if it has ended, or has no such descriptor; another -errno
 */
int procfs_socket(pid_t id, int fd, uint32_t *ret_inode);

/**
 * procfs_protocol() - The name of the protocol of a socket, such as "TCPv6"
 *
 * Source: net/socket.c, sockfs_xattr_get. Return: 0, -ESRCH, another -errno
 */
int procfs_protocol(pid_t id, int fd, char *ret_name, size_t size);

/**
 * procfs_sockets() - Find the sockets among the descriptors of a process
 * @found:	is given each one's inode number, several times if there are several descriptors
 *		of it; returns 0, or a -errno to stop with
 *
 * Return: 0, -ESRCH if it has ended, another -errno, or what @found returned
 */
int procfs_sockets(pid_t id, int (*found)(uint32_t inode, void *context), void *context);

/* procfs_each() - Give @each the id of every process but this one. Return: 0, -errno, or what @each stopped with */
int procfs_each(int (*each)(pid_t id, void *context), void *context);

/* procfs_each_thread() - The same of every thread of a process. Return: as procfs_each(), -ESRCH if it has ended */
int procfs_each_thread(pid_t id, int (*each)(pid_t id, void *context), void *context);

#endif
