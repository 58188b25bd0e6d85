/* floor: portfence's hooks with nothing in them; what no shim can be faster than. */
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FORWARD(type, name, parameters, arguments)                                                 \
	static type(*real_##name) parameters;                                                      \
	type name parameters                                                                       \
	{                                                                                          \
		return real_##name arguments;                                                      \
	}

FORWARD(int, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))
FORWARD(int, connect, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))
FORWARD(int, listen, (int fd, int backlog), (fd, backlog))
FORWARD(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
FORWARD(ssize_t, sendto,
	(int fd, const void *data, size_t size, int flags, const struct sockaddr *addr,
	 socklen_t len),
	(fd, data, size, flags, addr, len))
FORWARD(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FORWARD(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),
	(fd, messages, count, flags))

__attribute__((constructor)) static void resolve(void)
{
#define RESOLVE(name) __atomic_store_n((void **)&real_##name, dlsym(RTLD_NEXT, #name), 0)
	RESOLVE(bind);
	RESOLVE(connect);
	RESOLVE(listen);
	RESOLVE(send);
	RESOLVE(sendto);
	RESOLVE(sendmsg);
	RESOLVE(sendmmsg);
}
