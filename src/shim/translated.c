#include "translated.h"

#include "../core/translate.h"
#include "caller_memory.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Copies the address into @ret_mapped. Return: false if it cannot be read */
static bool copy_address(const struct sockaddr *addr, socklen_t len, struct translated *ret_mapped)
{
	ret_mapped->addr = addr;
	ret_mapped->len = len;
	return addr && caller_memory_address(addr, len, &ret_mapped->copy);
}

/* Makes the copy the address for the kernel. */
static void use_copy(struct translated *mapped)
{
	mapped->addr = &mapped->copy.sa;
	if (mapped->len > sizeof(mapped->copy))
		mapped->len = sizeof(mapped->copy);
}

void translated_bind(struct shim *shim, int fd, const struct sockaddr *addr, socklen_t len,
		     struct translated *ret_mapped)
{
	int saved = errno;

	ret_mapped->program_port = copy_address(addr, len, ret_mapped)
					   ? translate_bind(&shim->fence, fd, &ret_mapped->copy)
					   : 0;
	if (ret_mapped->program_port)
		use_copy(ret_mapped);
	errno = saved;
}

int translated_to(struct shim *shim, int fd, const struct sockaddr *addr, socklen_t len,
		  struct translated *ret_mapped)
{
	int saved = errno, rc = 0;

	if (copy_address(addr, len, ret_mapped))
		rc = translate_to(&shim->fence, fd, &ret_mapped->copy);
	if (rc > 0)
		use_copy(ret_mapped);
	if (rc < 0)
		log_address_unknown(&shim->log);
	errno = saved;
	return rc < 0 ? rc : 0;
}

static bool is_readable(const void *at, size_t size)
{
	int saved = errno;
	bool readable = caller_memory_readable(at, size);

	errno = saved;
	return readable;
}

int translated_message(struct shim *shim, int fd, const struct msghdr *message,
		       struct msghdr *ret_copy, struct translated *ret_mapped)
{
	int rc;

	if (!is_readable(message, sizeof(*message)))
		return 0;
	/* it need not be aligned for the kernel */
	memcpy(ret_copy, message, sizeof(*message));
	if (!ret_copy->msg_name)
		return 0;
	/* sendto() refuses a longer address; of a message, the kernel cuts it (net/socket.c, __copy_msghdr) */
	if (ret_copy->msg_namelen > sizeof(struct sockaddr_storage) &&
	    ret_copy->msg_namelen <= INT_MAX)
		ret_copy->msg_namelen = sizeof(struct sockaddr_storage);
	rc = translated_to(shim, fd, ret_copy->msg_name, ret_copy->msg_namelen, ret_mapped);
	if (rc || ret_mapped->addr != &ret_mapped->copy.sa)
		return rc;
	ret_copy->msg_name = &ret_mapped->copy;
	ret_copy->msg_namelen = ret_mapped->len;
	return 1;
}

socklen_t translated_room(const socklen_t *len)
{
	return is_readable(len, sizeof(*len)) ? *len : 0;
}

socklen_t translated_message_room(const struct msghdr *message)
{
	/* by number: the pointer may be bad, and C does not allow a member of that */
	uintptr_t at = (uintptr_t)message + offsetof(struct msghdr, msg_namelen);

	return translated_room((const socklen_t *)at);
}

/* Copies what was written of an address; the rest is zeros. Return: its bytes; 0 if it has no port */
static size_t copy_written(const struct sockaddr *addr, socklen_t room, socklen_t len,
			   union addr *ret_addr)
{
	size_t size = room < len ? room : len;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (size < offsetof(struct sockaddr_in, sin_addr))
		return 0;
	size = size < sizeof(*ret_addr) ? size : sizeof(*ret_addr);
	memcpy(ret_addr, addr, size);
	return size;
}

void translated_local(struct shim *shim, struct sockaddr *addr, socklen_t room, socklen_t len)
{
	union addr copy;
	size_t size = copy_written(addr, room, len, &copy);

	if (size && translate_local(&shim->fence, &copy))
		memcpy(addr, &copy, size);
}

void translated_from(struct shim *shim, int fd, struct sockaddr *addr, socklen_t room,
		     socklen_t len)
{
	union addr copy;
	size_t size = copy_written(addr, room, len, &copy);
	int saved = errno;

	/* an address that was cut does not tell whose it is */
	if (size && size >= (len < sizeof(copy) ? len : sizeof(copy)) &&
	    translate_from(&shim->fence, fd, &copy))
		memcpy(addr, &copy, size);
	errno = saved;
}
