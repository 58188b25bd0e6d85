/* look: all that a program can ask about a descriptor without changing it. */
#include "transparent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

/* All are asked of every descriptor, of the wrong protocol, too. */
static const struct {
	const char *name;
	int level, option;
} options[] = {
	{ "type", SOL_SOCKET, SO_TYPE },
	{ "protocol", SOL_SOCKET, SO_PROTOCOL },
	{ "domain", SOL_SOCKET, SO_DOMAIN },
	{ "accepts", SOL_SOCKET, SO_ACCEPTCONN },
	{ "reuseaddr", SOL_SOCKET, SO_REUSEADDR },
	{ "reuseport", SOL_SOCKET, SO_REUSEPORT },
	{ "ifindex", SOL_SOCKET, SO_BINDTOIFINDEX },
	{ "keepalive", SOL_SOCKET, SO_KEEPALIVE },
	{ "broadcast", SOL_SOCKET, SO_BROADCAST },
	{ "dontroute", SOL_SOCKET, SO_DONTROUTE },
	{ "oobinline", SOL_SOCKET, SO_OOBINLINE },
	{ "passcred", SOL_SOCKET, SO_PASSCRED },
	{ "timestamp", SOL_SOCKET, SO_TIMESTAMP },
	{ "priority", SOL_SOCKET, SO_PRIORITY },
	{ "mark", SOL_SOCKET, SO_MARK },
	{ "lock", SOL_SOCKET, 72 /* SO_BUF_LOCK */ },
	{ "rcvlowat", SOL_SOCKET, SO_RCVLOWAT },
	{ "no-port", IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
	{ "range", IPPROTO_IP, IP_LOCAL_PORT_RANGE },
	{ "freebind", IPPROTO_IP, IP_FREEBIND },
	{ "transparent", IPPROTO_IP, IP_TRANSPARENT },
	{ "pktinfo", IPPROTO_IP, IP_PKTINFO },
	{ "recverr", IPPROTO_IP, IP_RECVERR },
	{ "ttl", IPPROTO_IP, IP_TTL },
	{ "tos", IPPROTO_IP, IP_TOS },
	{ "pmtu", IPPROTO_IP, IP_MTU_DISCOVER },
	{ "multicast-loop", IPPROTO_IP, IP_MULTICAST_LOOP },
	{ "v6only", IPPROTO_IPV6, IPV6_V6ONLY },
	{ "pktinfo6", IPPROTO_IPV6, IPV6_RECVPKTINFO },
	{ "recverr6", IPPROTO_IPV6, IPV6_RECVERR },
	{ "hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS },
	{ "class", IPPROTO_IPV6, IPV6_TCLASS },
	{ "freebind6", IPPROTO_IPV6, 78 /* IPV6_FREEBIND */ },
	{ "transparent6", IPPROTO_IPV6, 75 /* IPV6_TRANSPARENT */ },
	{ "nodelay", IPPROTO_TCP, TCP_NODELAY },
	{ "cork", IPPROTO_TCP, TCP_CORK },
	{ "fastopen", IPPROTO_TCP, TCP_FASTOPEN },
	{ "fastopen-connect", IPPROTO_TCP, TCP_FASTOPEN_CONNECT },
	{ "fastopen-no-cookie", IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE },
	{ "defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ "syncnt", IPPROTO_TCP, TCP_SYNCNT },
	{ "user-timeout", IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ "keepidle", IPPROTO_TCP, TCP_KEEPIDLE },
};

static void note(struct snapshot *look, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void note(struct snapshot *look, const char *name, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	look->item[look->count].name = name;
	vsnprintf(look->item[look->count].value, sizeof(look->item[0].value), format, list);
	look->count++;
	va_end(list);
}

static void note_times(int fd, struct snapshot *look)
{
	static const struct {
		const char *name;
		int option;
	} times[] = { { "rcvtimeo", SO_RCVTIMEO }, { "sndtimeo", SO_SNDTIMEO } };
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);
	size_t i;

	for (i = 0; i < COUNT(times); i++) {
		struct timeval time = { 0 };
		socklen_t size = sizeof(time);

		if (!getsockopt(fd, SOL_SOCKET, times[i].option, &time, &size))
			note(look, times[i].name, "%ld",
			     (long)time.tv_sec * 1000 + time.tv_usec / 1000);
		else
			note(look, times[i].name, "0");
	}
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	note(look, "linger", "%d", linger.l_onoff ? linger.l_linger + 1 : 0);
}

static void note_options(int fd, struct snapshot *look)
{
	char device[32] = "";
	socklen_t len = sizeof(device);
	size_t i;

	for (i = 0; i < COUNT(options); i++) {
		int value = 0;

		len = sizeof(value);
		if (getsockopt(fd, options[i].level, options[i].option, &value, &len))
			value = 0;
		note(look, options[i].name, "%x", (unsigned)value);
	}
	len = sizeof(device);
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) || !len)
		device[0] = '0';
	note(look, "device", "%s", device);
	note_times(fd, look);
}

static void note_name(int fd, struct snapshot *look, const char *name,
		      int (*ask)(int, struct sockaddr *, socklen_t *))
{
	union address address = { .room = { 0 } };
	socklen_t len = sizeof(address);
	char text[INET6_ADDRSTRLEN] = "?";

	if (ask(fd, &address.sa, &len)) {
		note(look, name, "%s", strerrorname_np(errno));
		return;
	}
	if (address.sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &address.in4.sin_addr, text, sizeof(text));
	else if (address.sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &address.in6.sin6_addr, text, sizeof(text));
	else {
		/* a port id of netlink, a path: theirs */
		note(look, name, "family%d,%d", address.sa.sa_family, (int)len);
		return;
	}
	note(look, name, "%s,%s", text, transparent_port(ntohs(address.in4.sin_port)));
}

void look_at(int fd, struct snapshot *ret_look)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLPRI };
	/* the first member of struct tcp_info */
	uint8_t state = 0;
	socklen_t len = sizeof(state);
	struct stat st = { 0 };
	int waiting = 0, saved = errno;

	ret_look->count = 0;
	note(ret_look, "cloexec", "%ld", syscall(SYS_fcntl, fd, 1 /* F_GETFD */, 0));
	note(ret_look, "flags", "%lo", syscall(SYS_fcntl, fd, 3 /* F_GETFL */, 0));
	note(ret_look, "mode", "%o", fstat(fd, &st) ? 0 : st.st_mode & S_IFMT);
	note_name(fd, ret_look, "local", getsockname);
	note_name(fd, ret_look, "remote", getpeername);
	note_options(fd, ret_look);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len);
	note(ret_look, "state", "%u", state);
	if (ioctl(fd, FIONREAD, &waiting))
		waiting = 0;
	note(ret_look, "waiting", "%d", waiting);
	poll(&ready, 1, 0);
	note(ret_look, "ready", "%x", (unsigned)ready.revents);
	errno = saved;
}

void look_say(const struct snapshot *before, const struct snapshot *after)
{
	size_t i;

	for (i = 0; i < after->count; i++) {
		const char *name = after->item[i].name, *value = after->item[i].value;

		if (before && strcmp(before->item[i].value, value) != 0)
			transparent_say("%s=%s>%s", name, before->item[i].value, value);
		else if (strcmp(value, "0") != 0)
			transparent_say("%s=%s", name, value);
	}
}
