#include "libc.h"

#include "gated.h"
#include "real.h"
#include "shim.h"
#include "translated.h"

#include <errno.h>

/*
 * Theory of operation
 *
 * These hooks change nothing without a map. With one, they look at the address
 * that the kernel has written, and put the port there that the program knows.
 * accept() also notes what the new socket is.
 */

/* How much room the program has for an address; 0 if it is not translated. The call overwrites *len. */
static socklen_t address_room(const struct shim *shim, int fd, const struct sockaddr *addr,
			      const socklen_t *len)
{
	return shim->maps && addr && !fdcache_is_foreign(fdcache_get(shim->fdcache, fd))
		       ? translated_room(len)
		       : 0;
}

EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t size = address_room(shim, fd, addr, len);
	int result = gated_getsockname(fd, addr, len);

	if (!result && size)
		translated_local(shim, addr, size, *len);
	return result;
}

EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t size = address_room(shim, fd, addr, len);
	int result = REAL(getpeername)(fd, addr, len);

	if (!result && size)
		translated_from(shim, fd, addr, size, *len);
	return result;
}

/* accept() has made a socket. It is foreign if the listener is. */
static void note_accepted(const struct shim *shim, int listener, int fd, int flags)
{
	enum fdcache_state state = fdcache_get(shim->fdcache, listener);

	if (!fdcache_is_foreign(state))
		fdcache_forget(shim->fdcache, fd);
	else
		fdcache_note_foreign(shim->fdcache, fd,
				     flags & SOCK_NONBLOCK ? FDCACHE_FOREIGN_NONBLOCK
							   : FDCACHE_FOREIGN);
}

EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t size = address_room(shim, fd, addr, len);
	int result = REAL(accept)(fd, addr, len);

	if (result >= 0)
		note_accepted(shim, fd, result, 0);
	if (result >= 0 && size)
		translated_from(shim, result, addr, size, *len);
	return result;
}

EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct shim *shim = shim_get();
	socklen_t size = address_room(shim, fd, addr, len);
	int result = REAL(accept4)(fd, addr, len, flags);

	if (result >= 0)
		note_accepted(shim, fd, result, flags);
	if (result >= 0 && size)
		translated_from(shim, result, addr, size, *len);
	return result;
}

EXPORT ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *addr,
			socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t space = address_room(shim, fd, addr, len);
	ssize_t result = REAL(recvfrom)(fd, data, size, flags, addr, len);

	if (result >= 0 && space)
		translated_from(shim, fd, addr, space, *len);
	return result;
}

/* A program that was built with _FORTIFY_SOURCE calls this in place of recvfrom(). */
EXPORT ssize_t __recvfrom_chk(int fd, void *data, size_t size, size_t most, int flags,
			      struct sockaddr *addr, socklen_t *len)
{
	struct shim *shim = shim_get();
	socklen_t space = address_room(shim, fd, addr, len);
	ssize_t result = REAL(__recvfrom_chk)(fd, data, size, most, flags, addr, len);

	if (result >= 0 && space)
		translated_from(shim, fd, addr, space, *len);
	return result;
}
