/*
 * platform.h: what the kernel-fact programs share: verdicts, addresses,
 * sockets and sysctls. No fact is stated here, and portfence's own code is
 * not used: these programs must judge the kernel alone.
 *
 * Include it first: it asks for _GNU_SOURCE.
 *
 * A program exits 0 if its fact holds, 1 if not (standard error says what was
 * expected and what was found), 77 if it cannot be judged here (and why).
 * A `try_` function returns 0 or -errno; the others end the program on failure.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Absent from older headers; the numbers are the kernel's ABI. */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { HOLDS = 0, FAILS = 1, SKIPPED = 77 };

/* --- verdicts ---------------------------------------------------------- */

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(FAILS);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(SKIPPED);
}

/* What is said here must hold; the message names what was expected and found. */
__attribute__((format(printf, 2, 3))) static inline void check(bool holds, const char *fmt, ...)
{
	va_list ap;

	if (holds)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(FAILS);
}

/* @got is what a try_ function returned: 0 or -errno. */
static inline void expect(const char *what, int got, int want)
{
	if (got == want)
		return;
	fprintf(stderr, "%s: expected %d (%s), ", what, -want, strerror(-want));
	fprintf(stderr, "found %d (%s)\n", -got, strerror(-got));
	exit(FAILS);
}

static inline void expect_port(const char *what, unsigned int got, unsigned int lo, unsigned int hi)
{
	check(got >= lo && got <= hi, "%s: expected a port in %u-%u, found %u", what, lo, hi, got);
}

/* Not part of the fact, but needed to get at it. */
static inline int must(int ret, const char *what)
{
	if (ret < 0)
		fail("%s: %s", what, strerror(errno));
	return ret;
}

/* --- the namespace ----------------------------------------------------- */

/*
 * Refuses to touch the machine's own network, which is told by an interface
 * that is up besides the loopback (/proc/1/ns/net cannot be read everywhere),
 * and ends the program should an event that it waits for never come. Call it
 * first.
 */
static inline void begin(void)
{
	struct ifaddrs *list, *i;

	if (geteuid() != 0)
		skip("needs root");
	must(getifaddrs(&list), "getifaddrs");
	for (i = list; i; i = i->ifa_next) {
		if ((i->ifa_flags & IFF_UP) && !(i->ifa_flags & IFF_LOOPBACK))
			skip("needs a network namespace of its own: run it under 'unshare -n'");
	}
	freeifaddrs(list);
	alarm(240);
}

/* @name is relative to /proc/sys/net. Returns 0 or -errno. */
static inline int try_sysctl_read(const char *name, char *ret_value, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret_value, size - 1);
	if (n < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	close(fd);
	ret_value[n] = '\0';
	return 0;
}

/* Ends the program with 77 where the kernel has no such setting. */
static inline long sysctl_read(const char *name)
{
	char value[64];
	int ret = try_sysctl_read(name, value, sizeof(value));

	if (ret < 0)
		skip("the kernel has no '%s': %s", name, strerror(-ret));
	return strtol(value, NULL, 10);
}

static inline void sysctl_write(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		skip("cannot open '%s': %s", path, strerror(errno));
	if (write(fd, value, strlen(value)) < 0)
		fail("cannot write '%s' to '%s': %s", value, path, strerror(errno));
	close(fd);
}

static inline void ephemeral_range(unsigned int lo, unsigned int hi)
{
	char value[32];

	snprintf(value, sizeof(value), "%u %u", lo, hi);
	sysctl_write("ipv4/ip_local_port_range", value);
}

/* Runs @work as the user nobody in a child, whose verdict becomes the program's. */
static inline void as_nobody(void (*work)(void *), void *arg)
{
	pid_t pid = must(fork(), "fork");
	int status;

	if (pid == 0) {
		must(setresgid(65534, 65534, 65534), "setresgid");
		must(setresuid(65534, 65534, 65534), "setresuid");
		work(arg);
		_exit(HOLDS);
	}
	must(waitpid(pid, &status, 0), "waitpid");
	if (!WIFEXITED(status))
		fail("the unprivileged child was killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != HOLDS)
		exit(WEXITSTATUS(status));
}

/* --- addresses --------------------------------------------------------- */

union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage ss;
};

/* @ip: dotted for AF_INET, with colons for AF_INET6. */
static inline union addr addr(const char *ip, unsigned int port)
{
	union addr a;

	memset(&a, 0, sizeof(a));
	if (strchr(ip, ':')) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, ip, &a.in6.sin6_addr) != 1)
			fail("'%s' is no IPv6 address", ip);
	} else {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, ip, &a.in.sin_addr) != 1)
			fail("'%s' is no IPv4 address", ip);
	}
	return a;
}

static inline socklen_t addr_len(const union addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

static inline const char *loopback(int family)
{
	return family == AF_INET6 ? "::1" : "127.0.0.1";
}

static inline const char *wildcard(int family)
{
	return family == AF_INET6 ? "::" : "0.0.0.0";
}

/* --- sockets ----------------------------------------------------------- */

/* Ends the program with 77 where the kernel was built without the protocol. */
static inline int open_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		return fd;
	if (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT || errno == EAFNOSUPPORT ||
	    errno == ENOPROTOOPT)
		skip("the kernel has no socket of family %d, type %d, protocol %d: %s", family,
		     type, protocol, strerror(errno));
	fail("socket(%d, %d, %d): %s", family, type, protocol, strerror(errno));
}

static inline int tcp4(void)
{
	return open_socket(AF_INET, SOCK_STREAM, 0);
}

static inline int udp4(void)
{
	return open_socket(AF_INET, SOCK_DGRAM, 0);
}

static inline void set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == 0)
		return;
	if (errno == ENOPROTOOPT)
		skip("the kernel has no socket option %d at level %d", option, level);
	fail("setsockopt(%d, %d, %d): %s", level, option, value, strerror(errno));
}

static inline int get_option(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = 0;

	if (getsockopt(fd, level, option, &value, &len) < 0)
		fail("getsockopt(%d, %d): %s", level, option, strerror(errno));
	return value;
}

static inline void reuse_addr(int fd, int value)
{
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, value);
}

/* The kernel engine's one call; 0 for a bound leaves that bound to the system. */
static inline void port_range(int fd, unsigned int lo, unsigned int hi)
{
	set_option(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, (int)(hi << 16 | lo));
}

static inline bool has_port_range(void)
{
	socklen_t len = sizeof(uint32_t);
	uint32_t value;
	int fd = tcp4();
	bool has = !getsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, &len);

	close(fd);
	return has;
}

/*
 * Lets the kernel choose this socket's port from these, and others' too where
 * it has no IP_LOCAL_PORT_RANGE. For facts that are not about the option.
 */
static inline void confine(int fd, unsigned int lo, unsigned int hi)
{
	if (has_port_range())
		port_range(fd, lo, hi);
	else
		ephemeral_range(lo, hi);
}

static inline int try_bind(int fd, const char *ip, unsigned int port)
{
	union addr a = addr(ip, port);

	return bind(fd, &a.sa, addr_len(&a)) < 0 ? -errno : 0;
}

static inline int try_connect(int fd, const char *ip, unsigned int port)
{
	union addr a = addr(ip, port);

	return connect(fd, &a.sa, addr_len(&a)) < 0 ? -errno : 0;
}

/* connect(AF_UNSPEC): dissolves the association, connect(2). */
static inline int try_disconnect(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	return connect(fd, &sa, sizeof(sa)) < 0 ? -errno : 0;
}

static inline int try_listen(int fd, int backlog)
{
	return listen(fd, backlog) < 0 ? -errno : 0;
}

/* One byte; @flags as in sendto(2). */
static inline int try_sendto(int fd, const char *ip, unsigned int port, int flags)
{
	union addr a = addr(ip, port);

	return sendto(fd, "x", 1, flags | MSG_NOSIGNAL, &a.sa, addr_len(&a)) < 0 ? -errno : 0;
}

static inline union addr name_of(int fd)
{
	union addr a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	must(getsockname(fd, &a.sa, &len), "getsockname");
	return a;
}

/* In host order, as getsockname tells it; 0 is "none". */
static inline unsigned int port_of(int fd)
{
	union addr a = name_of(fd);

	return ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
}

static inline int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), "getsockopt(TCP_INFO)");
	return info.tcpi_state;
}

/* A TCP server on @ip; @port may be 0. It shares its port with its own TIME_WAITs. */
static inline int open_server(const char *ip, unsigned int port)
{
	int fd = open_socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	reuse_addr(fd, 1);
	expect("bind of the server", try_bind(fd, ip, port), 0);
	expect("listen of the server", try_listen(fd, 64), 0);
	return fd;
}

static inline int accept_one(int server)
{
	return must(accept4(server, NULL, NULL, SOCK_CLOEXEC), "accept");
}

/* A port without a listener: TCP connects to it are refused. */
static inline unsigned int closed_port(void)
{
	return 9;
}

/* Waits until something can be read from @fd, the end of the stream included. */
static inline void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	must(poll(&p, 1, -1), "poll");
}

/*
 * Ends a connection so that the TIME_WAIT stays on @first's side, and closes
 * both. Each end of the stream is waited for, so the state is there on return.
 */
static inline void close_in_order(int first, int second)
{
	char c;

	must(shutdown(first, SHUT_WR), "shutdown");
	wait_readable(second);
	check(read(second, &c, 1) == 0, "expected the end of the stream");
	close(second);
	wait_readable(first);
	check(read(first, &c, 1) == 0, "expected the end of the stream");
	close(first);
}

#endif /* PLATFORM_H */
