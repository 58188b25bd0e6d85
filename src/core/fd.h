/* fd: descriptors that live no longer than one hook; it knows nothing of what they are for. */
#ifndef PORTFENCE_CORE_FD_H
#define PORTFENCE_CORE_FD_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Each of these makes the bare system call: libc's open(), write() and close()
 * are cancellation points, and a thread cancelled in one of them would leak
 * the descriptor into the program. What is made is closed on exec, and is
 * above 2, as a program may have closed those and count on getting them back.
 */

/* fd_open() - Open a file; @flags without O_CLOEXEC. Return: descriptor or -errno */
int fd_open(const char *path, int flags, mode_t mode);

/* fd_openat() - The same, of a path that begins at @folder */
int fd_openat(int folder, const char *path, int flags, mode_t mode);

/* fd_socket() - Make a socket; @type without SOCK_CLOEXEC. Return: descriptor or -errno */
int fd_socket(int family, int type, int protocol);

/**
 * fd_write() - One write
 *
 * The program gets no SIGPIPE for it where nobody reads any more, and no SIGXFSZ
 * beyond RLIMIT_FSIZE.
 *
 * Return: number of bytes, or -errno
 */
long fd_write(int fd, const void *data, size_t size);

/* fd_write_now() - The same if it can be done without waiting, else -EAGAIN */
long fd_write_now(int fd, const void *data, size_t size);

/*
 * fd_stat(), fd_stat_path() - What a file is; of a path, a link's target, or with AT_SYMLINK_NOFOLLOW
 * in @flags the link itself
 *
 * As libc's fstat() and stat(), whose names glibc exports since 2.33 only, while a
 * program may bring an older glibc of its own. Return: 0; -1 and errno
 */
int fd_stat(int fd, struct stat *ret_status);
int fd_stat_path(const char *path, int flags, struct stat *ret_status);

/* fd_close() - Close, without a word about errors */
void fd_close(int fd);

/**
 * fd_read_file() - Read a small file whole
 * @ret_text:	its text, NUL-terminated, cut at @size - 1 bytes
 *
 * Return: number of bytes, or -errno
 */
long fd_read_file(const char *path, char *ret_text, size_t size);

#endif
