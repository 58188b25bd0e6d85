#include "fd.h"

#include "signals.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008 /* include/uapi/linux/fs.h, since Linux 4.14 */
#endif

#define FOLDER "/proc/thread-self/fd/"
#define PATH_SIZE (sizeof(FOLDER) + TEXT_NUMBER_MAX)

static int raise_above_standard(int fd)
{
	int low = fd;

	if (low < 0)
		return -errno;
	if (low > STDERR_FILENO)
		return low;
	fd = (int)syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	fd = fd < 0 ? -errno : fd;
	fd_close(low);
	return fd;
}

int fd_openat(int folder, const char *path, int flags, mode_t mode)
{
	return raise_above_standard(
		(int)syscall(SYS_openat, folder, path, flags | O_CLOEXEC | O_LARGEFILE, mode));
}

int fd_open(const char *path, int flags, mode_t mode)
{
	return fd_openat(AT_FDCWD, path, flags, mode);
}

/* The path of a descriptor of this thread's: a thread may have left the table of the others (unshare(2)). */
static void write_path(int fd, char ret_path[PATH_SIZE])
{
	text_put_number(stpcpy(ret_path, FOLDER), (uint64_t)fd, 1);
}

int fd_open_regular(const char *path)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
	int place = fd_open(path, O_PATH, 0), fd;
	char again[PATH_SIZE];
	struct stat st;

	if (place < 0)
		return place;
	if (fd_stat(place, &st)) {
		fd = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		fd = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	} else {
		write_path(place, again);
		fd = fd_open(again, flags, 0);
		/* without /proc, it is a regular file unless it is replaced just now */
		if (fd == -ENOENT)
			fd = fd_open(path, flags, 0);
	}
	fd_close(place);
	return fd;
}

int fd_socket_by(int (*make)(int family, int type, int protocol), int family, int type,
		 int protocol)
{
	return raise_above_standard(make(family, type | SOCK_CLOEXEC, protocol));
}

int fd_socket(int family, int type, int protocol)
{
	return raise_above_standard(
		(int)syscall(SYS_socket, family, type | SOCK_CLOEXEC, protocol));
}

static long write_once(int fd, const void *data, size_t size)
{
	long n = syscall(SYS_write, fd, data, size);

	return n < 0 ? -errno : n;
}

/* Has a sandbox refused the call, or does the kernel not know it? */
static bool is_forbidden(int error)
{
	return error == EPERM || error == EACCES || error == ENOSYS;
}

/* Is it a file or a terminal? Nobody has to read what is written there. */
static bool needs_no_reader(int fd)
{
	struct stat st;

	return !fd_stat(fd, &st) && (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode));
}

/*
 * Opens a terminal anew, to write to it without waiting: how the program's own descriptor is open is shared
 * with whoever else has it. Return: descriptor; -errno, also for what is no character device
 */
static int open_terminal(int fd)
{
	char path[PATH_SIZE];
	struct stat st;
	dev_t terminal;
	int again;

	/* to open the other end makes a new terminal (Documentation/admin-guide/devices.txt of Linux) */
	if (fd_stat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev == makedev(5, 2))
		return -ENOTTY;
	terminal = st.st_rdev;
	write_path(fd, path);
	again = fd_open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
	/* another thread may have put another file there */
	if (again >= 0 && (fd_stat(again, &st) || st.st_rdev != terminal)) {
		fd_close(again);
		return -ENOTTY;
	}
	return again;
}

/* Set by fd_open_nothing(), then never reset */
static atomic_bool opens_nothing;

void fd_open_nothing(void)
{
	atomic_store_explicit(&opens_nothing, true, memory_order_relaxed);
}

/* To a file or a terminal. */
static long write_ready(int fd, const void *data, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	struct timespec now = { 0 };
	bool may_open = !atomic_load_explicit(&opens_nothing, memory_order_relaxed);
	int again = may_open ? open_terminal(fd) : -EPERM;
	long n;

	if (again >= 0) {
		n = write_once(again, data, size);
		fd_close(again);
		return n;
	}
	n = syscall(SYS_ppoll, &ready, 1, &now, NULL, 8);
	if (n < 0 ? !needs_no_reader(fd) : !(ready.revents & POLLOUT))
		return -EAGAIN;
	return write_once(fd, data, size);
}

/*
 * A pipe that poll() calls ready takes PIPE_BUF bytes without waiting, but another
 * writer may fill it before we write. So we try RWF_NOWAIT first: pipes and sockets
 * support it, files and terminals do not. A terminal that poll() calls ready may have room
 * for one byte (drivers/tty/n_tty.c, n_tty_poll). It stops a program in the background
 * that writes to it (SIGTTOU), unless that holds the signal back.
 */
static long write_now(int fd, const void *data, size_t size)
{
	struct iovec whole = { (void *)data, size };
	/* long arguments: syscall() would not extend the sign of an int */
	long n = syscall(SYS_pwritev2, fd, &whole, 1, -1L, -1L, RWF_NOWAIT);
	struct signals signals;

	if (n >= 0 || (errno != EOPNOTSUPP && !is_forbidden(errno)))
		return n < 0 ? -errno : n;
	signals_hold(&signals);
	n = write_ready(fd, data, size);
	signals_release(&signals);
	return n;
}

/* Would a write find a reader? False where the kernel does not say. */
static bool has_reader(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	struct timespec now = { 0 };

	return needs_no_reader(fd) ||
	       (syscall(SYS_ppoll, &ready, 1, &now, NULL, 8) >= 0 && !(ready.revents & POLLERR));
}

/* Writes with @one while the signals of a failing write are blocked. */
static long write_quietly(long (*one)(int, const void *, size_t), int fd, const void *data,
			  size_t size)
{
	struct timespec now = { 0 };
	sigset_t broken, before, pending;
	long n;

	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	sigaddset(&broken, SIGXFSZ);
	/* a sandbox may refuse these; its program is to be told why its calls fail nevertheless */
	if (sigpending(&pending))
		sigemptyset(&pending);
	if (sigprocmask(SIG_BLOCK, &broken, &before))
		return has_reader(fd) ? one(fd, data, size) : -EPIPE;
	n = one(fd, data, size);
	/* take our signal back, but not one that was pending before: that is the program's */
	if ((n == -EPIPE && !sigismember(&pending, SIGPIPE)) ||
	    (n == -EFBIG && !sigismember(&pending, SIGXFSZ)))
		syscall(SYS_rt_sigtimedwait, &broken, NULL, &now, 8);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return n;
}

long fd_write(int fd, const void *data, size_t size)
{
	return write_quietly(write_once, fd, data, size);
}

long fd_write_now(int fd, const void *data, size_t size)
{
	return write_quietly(write_now, fd, data, size);
}

/*
 * Where glibc's struct stat is the one that these calls of the kernel fill: on
 * 64-bit machines, and on 32-bit ones as long as times have 32 bits there.
 */
#if defined(__GLIBC__) && defined(__LP64__) && defined(SYS_newfstatat)
#define CALL_FSTAT SYS_fstat
#define CALL_FSTATAT SYS_newfstatat
#elif defined(__GLIBC__) && defined(SYS_fstatat64) && __TIMESIZE == 32 &&                          \
	!defined(__USE_TIME_BITS64)
#define CALL_FSTAT SYS_fstat64
#define CALL_FSTATAT SYS_fstatat64
#endif

int fd_stat(int fd, struct stat *ret_status)
{
#ifdef CALL_FSTAT
	return (int)syscall(CALL_FSTAT, fd, ret_status);
#else
	return fstat(fd, ret_status);
#endif
}

int fd_stat_path(const char *path, int flags, struct stat *ret_status)
{
#ifdef CALL_FSTATAT
	return (int)syscall(CALL_FSTATAT, AT_FDCWD, path, ret_status, flags);
#else
	return fstatat(AT_FDCWD, path, ret_status, flags);
#endif
}

int fd_chmod(int fd, mode_t mode)
{
	char path[PATH_SIZE];

	if (!syscall(SYS_fchmod, fd, mode))
		return 0;
	if (errno != EBADF)
		return -errno;
	write_path(fd, path);
	return syscall(SYS_fchmodat, AT_FDCWD, path, mode) ? -errno : 0;
}

void fd_close(int fd)
{
	syscall(SYS_close, fd);
}

long fd_read_all(int fd, void *ret_data, size_t size)
{
	size_t used = 0;

	while (used < size) {
		long n = syscall(SYS_read, fd, (char *)ret_data + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (long)used;
}

long fd_read_file(const char *path, char *ret_text, size_t size)
{
	int fd = fd_open(path, O_RDONLY, 0);
	long n;

	if (fd < 0)
		return fd;
	n = fd_read_all(fd, ret_text, size - 1);
	fd_close(fd);
	if (n >= 0)
		ret_text[n] = '\0';
	return n;
}
