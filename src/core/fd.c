#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int raise_above_standard(int fd)
{
	int low = fd;

	if (low < 0)
		return -errno;
	if (low > STDERR_FILENO)
		return low;
	fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	fd = fd < 0 ? -errno : fd;
	fd_close(low);
	return fd;
}

int fd_open(const char *path, int flags, mode_t mode)
{
	return raise_above_standard(
		(int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode));
}

int fd_socket(int family, int type, int protocol)
{
	return raise_above_standard(socket(family, type | SOCK_CLOEXEC, protocol));
}

long fd_write(int fd, const void *data, size_t size)
{
	long n = syscall(SYS_write, fd, data, size);

	return n < 0 ? -errno : n;
}

void fd_close(int fd)
{
	syscall(SYS_close, fd);
}

long fd_read_file(const char *path, char *ret_text, size_t size)
{
	int fd = fd_open(path, O_RDONLY, 0);
	size_t used = 0;

	if (fd < 0)
		return fd;
	while (used < size - 1) {
		long n = syscall(SYS_read, fd, ret_text + used, size - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = errno;

			fd_close(fd);
			return -error;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	fd_close(fd);
	ret_text[used] = '\0';
	return (long)used;
}
