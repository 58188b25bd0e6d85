#include "libc.h"

#include "real.h"
#include "shim.h"
#include "translated.h"

#include <errno.h>

/*
 * Theory of operation
 *
 * These hooks pass on. Only under a map do they look at the address that the
 * kernel has written, and put the port there that the program knows.
 */

#define EXPORT __attribute__((visibility("default")))

/* libc reads *len before the call, and what it says afterwards is another thing. */
static socklen_t room(const struct shim *shim, const struct sockaddr *addr, const socklen_t *len)
{
	return shim->maps && addr ? translated_room(len) : 0;
}

static int hook_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t size = room(shim, addr, len);
	int result = REAL(getsockname)(fd, addr, len);

	if (!result && size)
		translated_local(shim, addr, size, *len);
	return result;
}

static int hook_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t size = room(shim, addr, len);
	int result = REAL(getpeername)(fd, addr, len);

	if (!result && size)
		translated_from(shim, fd, addr, size, *len);
	return result;
}

static int hook_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t size = room(shim, addr, len);
	int result = REAL(accept)(fd, addr, len);

	if (result >= 0 && size)
		translated_from(shim, result, addr, size, *len);
	return result;
}

static int hook_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct shim *shim = shim_get();
	socklen_t size = room(shim, addr, len);
	int result = REAL(accept4)(fd, addr, len, flags);

	if (result >= 0 && size)
		translated_from(shim, result, addr, size, *len);
	return result;
}

static ssize_t hook_recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *addr,
			     socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t space = room(shim, addr, len);
	ssize_t result = REAL(recvfrom)(fd, data, size, flags, addr, len);

	if (result >= 0 && space)
		translated_from(shim, fd, addr, space, *len);
	return result;
}

/* What recvfrom() is in a program that was built with _FORTIFY_SOURCE. */
static ssize_t hook_recvfrom_chk(int fd, void *data, size_t size, size_t most, int flags,
				 struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t space = room(shim, addr, len);
	ssize_t result = REAL(__recvfrom_chk)(fd, data, size, most, flags, addr, len);

	if (result >= 0 && space)
		translated_from(shim, fd, addr, space, *len);
	return result;
}

EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return hook_getsockname(fd, addr, len);
}

EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return hook_getpeername(fd, addr, len);
}

EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return hook_accept(fd, addr, len);
}

EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return hook_accept4(fd, addr, len, flags);
}

EXPORT ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *addr,
			socklen_t *len)
{
	return hook_recvfrom(fd, data, size, flags, addr, len);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *data, size_t size, size_t most, int flags,
			      struct sockaddr *addr, socklen_t *len)
{
	return hook_recvfrom_chk(fd, data, size, most, flags, addr, len);
}
