/* caller: the thread that waits in a trapped call: its memory, its descriptors, its rights; it answers no call. */
#ifndef PORTFENCE_SUPERVISOR_CALLER_H
#define PORTFENCE_SUPERVISOR_CALLER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A notification names its thread by a number. The kernel gives the number to
 * another process as soon as the thread has died, and the thread may die at any
 * time. So whatever is learned by the number counts only if the notification is
 * still valid after it was learned (seccomp_unotify(2)). Every function here
 * asks that after its last look, and fails with -ESRCH if it is not; none gives
 * the number away. What has to change something reaches it by an open file, never
 * by the number.
 */
struct caller {
	pid_t thread; /* for this file, and to tell callers apart */
	int listener; /* of the filter */
	uint64_t id;  /* of the notification */
	int pidfd; /* of the thread, or of its process where the kernel has no such; -1: not opened */
	bool others; /* it is the process's, and that has more threads */
};

#define CALLER_LINK 64 /* bytes of a namespace's link, as "net:[4026531833]" */

/* What a caller may do. */
struct caller_rights {
	uid_t uid; /* it accesses files as */
	gid_t gid;
	bool mixed; /* it has other user or group ids, too */
	bool no_new_privs;
	uint64_t permitted; /* its capabilities, as far as they hold in this process's user namespace */
};

/* What a caller takes with it into a call, besides its user. */
struct caller_place {
	bool at_home;            /* see caller_place() */
	char netns[CALLER_LINK]; /* link of its network namespace */
	char cgroup[PATH_MAX];
	char label[256]; /* of a security module; empty if there is none */
};

/**
 * caller_open() - Begin to look at the thread of a notification
 * @listener:	of the filter
 * @id:		of the notification
 * @thread:	its thread
 * @ret_caller:	to be closed by caller_close()
 *
 * Return: 0, -ESRCH if it waits no more, another -errno
 */
int caller_open(int listener, uint64_t id, pid_t thread, struct caller *ret_caller);

/* caller_unopened() - The same, of whom no descriptor is likely to be wanted: that is slower then, and all else as fast */
int caller_unopened(int listener, uint64_t id, pid_t thread, struct caller *ret_caller);

/* caller_reopen() - Begin to look at the same thread for longer than @caller lasts. Return: as caller_open() */
int caller_reopen(const struct caller *caller, struct caller *ret_caller);

/* caller_open_program() - Begin to look at this process's own parent, which waits for no answer. Return: 0, -errno */
int caller_open_program(pid_t program, struct caller *ret_caller);

void caller_close(struct caller *caller);

/* caller_waits() - Does it still wait for the answer to this notification? */
bool caller_waits(const struct caller *caller);

/**
 * caller_read() - Copy from its memory
 *
 * It may wait as long as the caller likes, as memory may be of a file system that
 * the caller itself serves.
 *
 * Return: 0; -EFAULT if not all of it can be read; -EPERM if we may not; -ESRCH.
 * Source: process_vm_readv(2), proc_pid_mem(5).
 */
int caller_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size);

/**
 * caller_write() - Copy into its memory
 *
 * The memory is held by an open file before the notification is asked about, so
 * it cannot be another's. Return: 0, -EFAULT, -EPERM, -ESRCH.
 */
int caller_write(const struct caller *caller, uint64_t address, const void *data, size_t size);

/**
 * caller_descriptor() - Have one of its descriptors here, too
 *
 * Return: a descriptor, close-on-exec; -EBADF if it has none such; -EPERM if
 * we may not, or if the thread has a table of descriptors of its own and the
 * kernel knows no other than the process's; -ESRCH. Source: pidfd_getfd(2).
 */
int caller_descriptor(const struct caller *caller, int fd);

/**
 * caller_socket() - Which socket is one of its descriptors?
 * @ret_inode:	number of the socket's inode
 *
 * It asks for less than caller_descriptor() does: PTRACE_MODE_READ (ptrace(2)).
 *
 * Return: 0; -EBADF if it has none such; -ENOTSOCK; -EPERM if we may not; -ESRCH
 */
int caller_socket(const struct caller *caller, int fd, uint32_t *ret_inode);

/**
 * caller_each() - Visit every process but this one, whether it is of the tree or not
 * @each:	returns 0, or a -errno to stop with
 *
 * None of them waits for an answer, so by the time that it is looked at it may be another one. Return:
 * 0, -errno, or what @each returned
 */
int caller_each(int (*each)(const struct caller *process, void *context), void *context);

/* caller_each_thread() - The same of every thread of a caller's process */
int caller_each_thread(const struct caller *caller,
		       int (*each)(const struct caller *thread, void *context), void *context);

/**
 * caller_sockets() - Find the sockets among its descriptors
 * @found:	is given each one's inode number; returns 0, or a -errno to stop with
 *
 * Return: 0; -EPERM if we may not; -ESRCH; another -errno, or what @found returned
 */
int caller_sockets(const struct caller *caller, int (*found)(uint32_t inode, void *context),
		   void *context);

/* caller_protocol() - The name of a socket's protocol. Return: as caller_socket() */
int caller_protocol(const struct caller *caller, int fd, char *ret_name, size_t size);

/**
 * caller_shown_port() - The port that the kernel's tables show for this socket. TCP and UDP alone
 *
 * A TCP socket that is bound and nothing else is not in them. Return: 0, too, if it cannot be told
 */
uint16_t caller_shown_port(const struct caller *caller, uint32_t inode);

/**
 * caller_stderr_path() - Find the file that its standard error is, without opening it
 *
 * It may be any file that the caller can name (open(2), O_PATH). To open that by our rights would do
 * for the caller what it may not do.
 *
 * Return: a descriptor for fstat(2) alone, close-on-exec; -errno
 */
int caller_stderr_path(const struct caller *caller);

/* caller_process() - The id of its process; 0 if it cannot be told. For a log's line, and to tell processes apart */
pid_t caller_process(const struct caller *caller);

/**
 * caller_started() - When its process was started
 * @ret_ticks:	clock ticks after the machine's start
 *
 * Return: 0, -errno
 */
int caller_started(const struct caller *caller, uint64_t *ret_ticks);

/**
 * caller_user() - The user and the group that it accesses files as, which a new socket gets
 *
 * Return: 0, -errno
 */
int caller_user(const struct caller *caller, uid_t *ret_uid, gid_t *ret_gid);

/* caller_mark() - The mark that it carries (mark.h); 0 for none. Return: 0, -ESRCH */
int caller_mark(const struct caller *caller, uint64_t *ret_mark);

/**
 * caller_place() - Where it is
 * @home:	link of a user namespace, as caller_own_userns_link() has it. A caller that is in it is at home, and
 *		is not asked for its network namespace. NULL: nobody is
 *
 * Return: 0, -errno
 */
int caller_place(const struct caller *caller, const char *home, struct caller_place *ret_place);

/* caller_label() - The same, of its label alone */
int caller_label(const struct caller *caller, char *ret_label, size_t size);

/* caller_own_place() - Where this process is */
void caller_own_place(struct caller_place *ret_place);

/**
 * caller_capabilities() - Its effective capabilities
 * @ret_set:	bit 0 is capability 0 (capabilities(7))
 * @ret_userns:	number of the user namespace that it has them in, as fstat(2) shows it
 *
 * Return: 0, -errno
 */
int caller_capabilities(const struct caller *caller, uint64_t *ret_set, uint64_t *ret_userns);

/* caller_rights() - What it may do. Return: 0, -errno */
int caller_rights(const struct caller *caller, struct caller_rights *ret_rights);

/* caller_own_userns_link() - Link of this process's user namespace; NULL if it cannot be told */
const char *caller_own_userns_link(void);

/* caller_own_userns() - Number of this process's user namespace; 0 if it cannot be told */
uint64_t caller_own_userns(void);

/* caller_is_signalled() - Would a call that waits end for a signal of this thread's? Sure only of a "yes" */
bool caller_is_signalled(const struct caller *caller);

/**
 * caller_runs() - Does a thread run, or wait for a processor or for what no signal interrupts?
 *
 * For a thread that was answered, and makes its call now: no notification is left to ask about. So
 * it may be of another thread of that number, and decides no more than when a claim of ours ends.
 *
 * Return: true, too, if it cannot be told; false if there is no such thread any more
 */
bool caller_runs(pid_t thread);

#endif
