/* fd: opens, writes and closes descriptors that live no longer than one hook. */
#ifndef PORTFENCE_CORE_FD_H
#define PORTFENCE_CORE_FD_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * All of these make bare system calls: libc's open(), write() and close() are
 * cancellation points, and a thread that is cancelled there would leak the descriptor
 * into the program. New descriptors are close-on-exec and above 2: a program may have
 * closed 0, 1 or 2 and count on getting that number next.
 */

/* fd_open() - Open a file; @flags need no O_CLOEXEC. Return: descriptor or -errno */
int fd_open(const char *path, int flags, mode_t mode);

/**
 * fd_open_regular() - Open a regular file to read, and nothing else
 *
 * The file is looked at before it is opened: to open a FIFO lets its writer go on, and to open a
 * device may have effects of its own.
 *
 * Return: descriptor; -EISDIR, -EINVAL for what is no regular file; another -errno
 */
int fd_open_regular(const char *path);

/* fd_openat() - Open a file whose path begins at the descriptor @folder. Return: descriptor or -errno */
int fd_openat(int folder, const char *path, int flags, mode_t mode);

/* fd_socket() - Make a socket that is neither IPv4 nor IPv6; @type needs no SOCK_CLOEXEC. Return: descriptor or -errno */
int fd_socket(int family, int type, int protocol);

/* fd_socket_by() - Make a socket of any family by socket_calls' function; see fd_socket() */
int fd_socket_by(int (*make)(int family, int type, int protocol), int family, int type,
		 int protocol);

/**
 * fd_write() - Write once
 *
 * If it fails, the program gets no signal: no SIGPIPE for a pipe without a reader, and no
 * SIGXFSZ beyond RLIMIT_FSIZE.
 *
 * Return: number of bytes, or -errno
 */
long fd_write(int fd, const void *data, size_t size);

/* fd_write_now() - As fd_write(), but it fails with -EAGAIN if it would have to wait */
long fd_write_now(int fd, const void *data, size_t size);

/* fd_open_nothing() - From now on, fd_write_now() opens nothing: the program's own filter may forbid that */
void fd_open_nothing(void);

/*
 * fd_stat(), fd_stat_path() - What a file is; of a path, a link's target, or with AT_SYMLINK_NOFOLLOW
 * in @flags the link itself
 *
 * As libc's fstat() and stat(), whose names glibc exports since 2.33 only, while a
 * program may bring an older glibc of its own. Return: 0; -1 and errno
 */
int fd_stat(int fd, struct stat *ret_status);
int fd_stat_path(const char *path, int flags, struct stat *ret_status);

/* fd_chmod() - Change a file's mode; through /proc where @fd is one of O_PATH. Return: 0 or -errno */
int fd_chmod(int fd, mode_t mode);

/* fd_close() - Close a descriptor and ignore errors */
void fd_close(int fd);

/* fd_read_all() - Read to the end, but no more than @size bytes. Return: number of bytes, or -errno */
long fd_read_all(int fd, void *ret_data, size_t size);

/**
 * fd_read_file() - Read a small file
 * @ret_text:	its text with a NUL at the end, cut at @size - 1 bytes
 *
 * Return: number of bytes, or -errno
 */
long fd_read_file(const char *path, char *ret_text, size_t size);

#endif
