#include "caller.h"

#include "../core/fd.h"
#include "../machine/procfs.h"
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* include/uapi/linux/pidfd.h, since Linux 6.9 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#define NO_LISTENER (-1) /* of the program itself, before there is a filter */

bool caller_waits(const struct caller *caller)
{
	uint64_t id = caller->id;
	int rc;

	if (caller->listener == NO_LISTENER)
		return true;
	/* the kernel waits for a lock, which a signal interrupts (kernel/seccomp.c, seccomp_notify_id_valid) */
	do
		rc = ioctl(caller->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
	while (rc && errno == EINTR);
	return !rc;
}

/* What was learned counts if it was learned of the caller. Return: @rc, or -ESRCH */
static int confirm(const struct caller *caller, int rc)
{
	return caller_waits(caller) ? rc : -ESRCH;
}

/* Where /proc is another PID namespace's, what stands there under the number is somebody else's. */
static int read_status(const struct caller *caller, struct procfs_status *ret_status)
{
	int rc = procfs_is_ours() ? procfs_status(caller->thread, ret_status) : -ENOSYS;

	return confirm(caller, rc);
}

static int open_pidfd(pid_t id, unsigned flags)
{
	int fd = (int)syscall(SYS_pidfd_open, id, flags);

	return fd < 0 ? -errno : fd;
}

pid_t caller_process(const struct caller *caller)
{
	struct procfs_status status = { .process = 0 };

	return read_status(caller, &status) ? 0 : status.process;
}

/* Before Linux 6.9 a pidfd is a process's. */
static int open_process(struct caller *caller)
{
	pid_t process = caller_process(caller);

	if (!process)
		return -ESRCH;
	caller->others = process != caller->thread;
	return open_pidfd(process, 0);
}

static int open_caller(struct caller caller, struct caller *ret_caller)
{
	caller.pidfd = open_pidfd(caller.thread, PIDFD_THREAD);
	if (caller.pidfd == -EINVAL)
		caller.pidfd = open_process(&caller);
	if (caller.pidfd < 0)
		return caller.pidfd;
	if (!caller_waits(&caller)) {
		close(caller.pidfd);
		return -ESRCH;
	}
	*ret_caller = caller;
	return 0;
}

int caller_open(int listener, uint64_t id, pid_t thread, struct caller *ret_caller)
{
	return open_caller((struct caller){ .thread = thread, .listener = listener, .id = id },
			   ret_caller);
}

int caller_reopen(const struct caller *caller, struct caller *ret_caller)
{
	return caller_open(caller->listener, caller->id, caller->thread, ret_caller);
}

int caller_open_program(pid_t program, struct caller *ret_caller)
{
	return open_caller((struct caller){ .thread = program, .listener = NO_LISTENER },
			   ret_caller);
}

int caller_unopened(int listener, uint64_t id, pid_t thread, struct caller *ret_caller)
{
	*ret_caller =
		(struct caller){ .thread = thread, .listener = listener, .id = id, .pidfd = -1 };
	return 0;
}

void caller_close(struct caller *caller)
{
	if (caller->pidfd >= 0)
		close(caller->pidfd);
}

/* ---- memory ---- */

/* Return: descriptor or -errno */
static int open_memory(const struct caller *caller, int flags)
{
	int fd = procfs_is_ours() ? procfs_open(caller->thread, "mem", flags) : -EPERM;

	return fd == -EACCES ? -EPERM : fd;
}

/* Four times as slow as process_vm_readv(2) */
static int read_file(const struct caller *caller, uint64_t address, void *ret_data, size_t size)
{
	int fd = open_memory(caller, O_RDONLY), rc = -EFAULT;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, ret_data, size, (off_t)address);
	if (n == (ssize_t)size)
		rc = 0;
	else if (n < 0 && errno == EPERM)
		rc = -EPERM;
	fd_close(fd);
	return rc;
}

int caller_read(const struct caller *caller, uint64_t address, void *ret_data, size_t size)
{
	struct iovec here = { ret_data, size }, there = { (void *)(uintptr_t)address, size };
	ssize_t n = process_vm_readv(caller->thread, &here, 1, &there, 1, 0);
	int rc = (size_t)n == size ? 0 : -EFAULT;

	if (n < 0)
		rc = -errno;
	/*
	 * The sandboxes of Podman and CRI-O refuse the call, but not the file, for which the
	 * kernel asks for the same right (fs/proc/base.c, mem_open).
	 */
	if (rc == -EPERM || rc == -ENOSYS)
		rc = read_file(caller, address, ret_data, size);
	return confirm(caller, rc);
}

int caller_write(const struct caller *caller, uint64_t address, const void *data, size_t size)
{
	int fd = open_memory(caller, O_WRONLY), rc;
	ssize_t n;

	if (fd < 0)
		return confirm(caller, fd);
	rc = confirm(caller, 0);
	if (!rc) {
		n = pwrite(fd, data, size, (off_t)address);
		rc = n == (ssize_t)size ? 0 : -EFAULT;
	}
	fd_close(fd);
	return rc;
}

/* ---- descriptors ---- */

/*
 * Threads share one table of descriptors, but for those that have left it
 * (unshare(2)): has the number the same meaning in the thread's as in the process's?
 */
static bool is_threads(const struct caller *caller, int number, int fd)
{
	char ours[32], theirs[32];

	snprintf(ours, sizeof(ours), "fd/%d", fd);
	snprintf(theirs, sizeof(theirs), "fd/%d", number);
	return procfs_same_link(PROCFS_SELF, ours, caller->thread, theirs);
}

static int get_descriptor(const struct caller *caller, int fd)
{
	int got = (int)syscall(SYS_pidfd_getfd, caller->pidfd, fd, 0), rc = -EPERM;

	if (got < 0)
		return confirm(caller, -errno);
	if (!caller->others || is_threads(caller, fd, got))
		rc = got;
	rc = confirm(caller, rc);
	if (rc < 0)
		close(got);
	return rc;
}

int caller_descriptor(const struct caller *caller, int fd)
{
	struct caller opened;
	int rc;

	if (caller->pidfd >= 0 || caller->thread <= 0)
		return get_descriptor(caller, fd);
	rc = open_caller(*caller, &opened);
	if (!rc) {
		rc = get_descriptor(&opened, fd);
		caller_close(&opened);
	}
	return rc;
}

/* What /proc says of a descriptor, as caller_socket() says it */
static int confirm_descriptor(const struct caller *caller, int rc)
{
	if (rc == -EACCES)
		rc = -EPERM;
	/* whoever still waits has no such descriptor, but is there */
	return confirm(caller, rc == -ESRCH ? -EBADF : rc);
}

int caller_socket(const struct caller *caller, int fd, uint32_t *ret_inode)
{
	int rc = procfs_is_ours() ? procfs_socket(caller->thread, fd, ret_inode) : -EPERM;

	return confirm_descriptor(caller, rc);
}

struct visit {
	int (*each)(const struct caller *process, void *context);
	void *context;
};

static int visit(pid_t id, void *context)
{
	const struct visit *visit = context;
	const struct caller process = { .thread = id, .listener = NO_LISTENER, .pidfd = -1 };

	return visit->each(&process, visit->context);
}

int caller_each(int (*each)(const struct caller *process, void *context), void *context)
{
	struct visit all = { each, context };

	return procfs_each(visit, &all);
}

int caller_each_thread(const struct caller *caller,
		       int (*each)(const struct caller *thread, void *context), void *context)
{
	struct visit all = { each, context };
	int rc = procfs_is_ours() ? procfs_each_thread(caller->thread, visit, &all) : -ENOSYS;

	return confirm(caller, rc);
}

int caller_sockets(const struct caller *caller, int (*found)(uint32_t inode, void *context),
		   void *context)
{
	int rc = procfs_sockets(caller->thread, found, context);

	return confirm(caller, rc == -EACCES ? -EPERM : rc);
}

int caller_protocol(const struct caller *caller, int fd, char *ret_name, size_t size)
{
	int rc = procfs_is_ours() ? procfs_protocol(caller->thread, fd, ret_name, size) : -EPERM;

	return confirm_descriptor(caller, rc);
}

struct shown {
	uint32_t inode;
	uint16_t port;
};

/* What a line of /proc/net/tcp and its like tells: "0: 0100007F:1F90 00000000:0000 0A ... INODE ..." */
static bool find_inode(char *text, void *context)
{
	struct shown *shown = context;
	unsigned port = 0;
	unsigned long found = 0;

	if (sscanf(text, " %*u: %*[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %*s %lu", &port, &found) ==
		    2 &&
	    found == shown->inode)
		shown->port = (uint16_t)port;
	return !shown->port;
}

uint16_t caller_shown_port(const struct caller *caller, uint32_t inode)
{
	static const char *const tables[] = { "net/tcp",  "net/tcp6",    "net/udp",
					      "net/udp6", "net/udplite", "net/udplite6" };
	struct shown shown = { .inode = inode };
	size_t i;

	for (i = 0; !shown.port && i < sizeof(tables) / sizeof(tables[0]); i++)
		procfs_lines(caller->thread, tables[i], find_inode, &shown);
	return procfs_is_ours() && caller_waits(caller) ? shown.port : 0;
}

int caller_stderr_path(const struct caller *caller)
{
	int fd = procfs_is_ours() ? procfs_open(caller->thread, "fd/2", O_PATH) : -EPERM, rc = fd;

	if (fd >= 0)
		rc = confirm(caller, fd);
	if (rc < 0 && fd >= 0)
		fd_close(fd);
	return rc;
}

/* ---- what it is ---- */

int caller_started(const struct caller *caller, uint64_t *ret_ticks)
{
	struct procfs_status status;
	struct procfs_stat stat = { .started = 0 };
	int rc = read_status(caller, &status);

	if (!rc)
		rc = confirm(caller, procfs_stat(status.process, &stat));
	if (!rc)
		*ret_ticks = stat.started;
	return rc;
}

int caller_user(const struct caller *caller, uid_t *ret_uid, gid_t *ret_gid)
{
	struct procfs_status status;
	int rc = read_status(caller, &status);

	if (rc)
		return rc;
	*ret_uid = status.file_uid;
	*ret_gid = status.file_gid;
	return 0;
}

int caller_mark(const struct caller *caller, uint64_t *ret_mark)
{
	*ret_mark = mark_of(caller->thread);
	return confirm(caller, 0);
}

static atomic_bool has_labels;

/* Without a security module that has labels, none is added later: nobody has one. */
static void look_for_labels(void)
{
	char label[256];
	const long n = procfs_read(PROCFS_SELF, "attr/current", label, sizeof(label));

	/* security/security.c, security_getprocattr; and a kernel without CONFIG_SECURITY has no such file */
	has_labels = n != -EINVAL && n != -ESRCH;
}

static void read_label(pid_t id, char *ret_label, size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, look_for_labels);
	if (!has_labels || procfs_read(id, "attr/current", ret_label, size) < 0)
		*ret_label = '\0';
}

static void read_place(pid_t id, const char *home, struct caller_place *ret_place)
{
	char userns[CALLER_LINK];

	memset(ret_place, 0, sizeof(*ret_place));
	ret_place->at_home = home && !procfs_link(id, "ns/user", userns, sizeof(userns)) &&
			     !strcmp(userns, home);
	if (!ret_place->at_home &&
	    procfs_link(id, "ns/net", ret_place->netns, sizeof(ret_place->netns)))
		*ret_place->netns = '\0';
	procfs_read(id, "cgroup", ret_place->cgroup, sizeof(ret_place->cgroup));
	read_label(id, ret_place->label, sizeof(ret_place->label));
}

int caller_place(const struct caller *caller, const char *home, struct caller_place *ret_place)
{
	read_place(caller->thread, home, ret_place);
	return confirm(caller, procfs_is_ours() ? 0 : -ENOSYS);
}

int caller_label(const struct caller *caller, char *ret_label, size_t size)
{
	read_label(caller->thread, ret_label, size);
	return confirm(caller, procfs_is_ours() ? 0 : -ENOSYS);
}

void caller_own_place(struct caller_place *ret_place)
{
	read_place(PROCFS_SELF, NULL, ret_place);
}

static char own_userns[CALLER_LINK];

/* It stays what it is: a process with several threads can enter no other one (setns(2)). */
static void look_for_userns(void)
{
	if (procfs_link(PROCFS_SELF, "ns/user", own_userns, sizeof(own_userns)))
		*own_userns = '\0';
}

const char *caller_own_userns_link(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, look_for_userns);
	return *own_userns ? own_userns : NULL;
}

uint64_t caller_own_userns(void)
{
	return procfs_number(PROCFS_SELF, "ns/user");
}

int caller_capabilities(const struct caller *caller, uint64_t *ret_set, uint64_t *ret_userns)
{
	struct procfs_status status;
	const uint64_t userns = procfs_number(caller->thread, "ns/user");
	const int rc = read_status(caller, &status);

	if (rc || !userns)
		return rc ? rc : -EPERM;
	*ret_set = status.capabilities;
	*ret_userns = userns;
	return 0;
}

int caller_rights(const struct caller *caller, struct caller_rights *ret_rights)
{
	struct procfs_status status;
	int rc = read_status(caller, &status);

	if (rc)
		return rc;
	*ret_rights = (struct caller_rights){ .uid = status.file_uid,
					      .gid = status.file_gid,
					      .mixed = status.mixed,
					      .no_new_privs = status.no_new_privs,
					      .permitted = status.permitted };
	/* one that cannot be told may be ours */
	if (status.permitted) {
		const uint64_t userns = procfs_number(caller->thread, "ns/user");

		if (userns && userns != caller_own_userns())
			ret_rights->permitted = 0;
		rc = confirm(caller, 0);
	}
	return rc;
}

bool caller_is_signalled(const struct caller *caller)
{
	struct procfs_status status;

	if (read_status(caller, &status))
		return false;
	/* of several threads, another may take what is meant for all */
	return ((status.threads == 1 ? status.shared_pending : 0) | status.pending) &
	       ~status.blocked;
}

bool caller_runs(pid_t thread)
{
	struct procfs_stat stat;

	if (kill(thread, 0) && errno == ESRCH)
		return false;
	return !procfs_is_ours() || procfs_stat(thread, &stat) || strchr("RD", stat.state);
}
