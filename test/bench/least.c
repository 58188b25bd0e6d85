/*
 * least: the least that a fence can do. Each hook gives the socket a range by
 * one setsockopt, whatever it is, and forwards. It judges and checks nothing,
 * so it is no fence: it shows what the kernel's own way costs.
 */
#include "place.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* include/uapi/linux/in.h, since Linux 6.3 */
#endif

static int (*real_bind)(int fd, const struct sockaddr *addr, socklen_t len);
static int (*real_connect)(int fd, const struct sockaddr *addr, socklen_t len);
static int (*real_listen)(int fd, int backlog);

static void set_range(int fd)
{
	static const uint32_t range =
		(uint32_t)(PLACE_INSIDE + PLACE_RANGE_SIZE - 1) << 16 | PLACE_INSIDE;

	setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range));
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	set_range(fd);
	return real_bind(fd, addr, len);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	set_range(fd);
	return real_connect(fd, addr, len);
}

int listen(int fd, int backlog)
{
	set_range(fd);
	return real_listen(fd, backlog);
}

__attribute__((constructor)) static void resolve(void)
{
#define RESOLVE(name) __atomic_store_n((void **)&real_##name, dlsym(RTLD_NEXT, #name), 0)
	RESOLVE(bind);
	RESOLVE(connect);
	RESOLVE(listen);
}
