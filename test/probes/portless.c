/*
 * Calls on new UDP sockets that the kernel refuses, most of them after it has given the socket a port.
 *
 *	portless libc|raw
 *
 * Makes them by libc's functions, or by system calls that no library sees. For each, tells the error and the port
 * that the socket has then.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int lengths[] = { 0, 1, 2, 8, 12, 15, 16, 20, 28, 200 };

/* Longer than any address that the kernel takes */
union named {
	sa_family_t family;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	char room[256];
};

static union named named(int family)
{
	union named a = { .family = (sa_family_t)family };

	if (family == AF_INET6) {
		a.six.sin6_port = htons(9);
		a.six.sin6_addr = in6addr_loopback;
	} else {
		a.four.sin_port = htons(9);
		a.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	return a;
}

static unsigned port_of(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	/* getsockname() is asked in vain only of what is no socket */
	return getsockname(fd, (void *)&a, &len) ? 1 : ntohs(a.sin6_port);
}

static void tell(const char *what, int family, const char *to, int len, long rc, int fd)
{
	printf("%s%d-%s-%d %s %u\n", what, family == AF_INET ? 4 : 6, to, len,
	       rc < 0 ? strerrorname_np(errno) : "0", port_of(fd));
	close(fd);
}

#define TRY(to, len, call, ...)                                                                    \
	do {                                                                                       \
		int fd = socket(family, SOCK_DGRAM, 0);                                            \
		long rc = raw ? syscall(SYS_##call, fd, __VA_ARGS__) : call(fd, __VA_ARGS__);      \
		tell(#call, family, to, len, rc, fd);                                              \
	} while (0)

static void try_address(int raw, int family, const char *to, void *addr, int len)
{
	char data[] = "x";
	struct iovec part = { data, 1 };
	struct mmsghdr several = { { addr, (socklen_t)len, &part, 1, NULL, 0, 0 }, 0 };
	struct sockaddr *name = addr;

	TRY(to, len, connect, name, (socklen_t)len);
	TRY(to, len, sendto, data, (size_t)1, 0, name, (socklen_t)len);
	TRY(to, len, sendto, data, (size_t)1, MSG_OOB, name, (socklen_t)len);
	TRY(to, len, sendmsg, &several.msg_hdr, 0);
	TRY(to, len, sendmmsg, &several, 1U, 0);
}

int main(int argc, char *argv[])
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const struct {
		const char *name;
		int family;
	} targets[] = { { "unspec", AF_UNSPEC },
			{ "unix", AF_UNIX },
			{ "four", AF_INET },
			{ "six", AF_INET6 } };
	const int raw = argc > 1 && !strcmp(argv[1], "raw");
	union named addr;
	size_t i, k, n;

	for (i = 0; i < 2; i++) {
		const int family = families[i];

		TRY("none", 0, listen, 5);
		try_address(raw, family, "none", NULL, 0);
		try_address(raw, family, "none", NULL, 16);
		try_address(raw, family, "nowhere", (void *)1, 28);
		for (k = 0; k < sizeof(targets) / sizeof(targets[0]); k++)
			for (n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
				addr = named(targets[k].family);
				try_address(raw, family, targets[k].name, &addr, lengths[n]);
			}
	}
	return 0;
}
