/*
 * calls: one of each call that makes the kernel choose a port, wherever a probe may be: no stdio, no
 * memory taken, little stack, and the address is on the stack. A line for each on standard output:
 *
 *	"PLACE CALL LOCAL-PORT ERRNO"
 *
 * TCP goes to port 7777 of this host, where the test has somebody listen, UDP to port 7778.
 */
#ifndef PROBES_CALLS_H
#define PROBES_CALLS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_TCP 7777
#define CALLS_UDP 7778

static char *calls_put_number(char *to, int number)
{
	char digits[12], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + number % 10);
	while (number /= 10);
	while (p < digits + sizeof(digits))
		*to++ = *p++;
	return to;
}

static char *calls_put(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static int calls_port(int fd)
{
	struct sockaddr_in local = { .sin_port = 0 };
	socklen_t len = sizeof(local);

	getsockname(fd, (struct sockaddr *)&local, &len);
	return ntohs(local.sin_port);
}

/* In one piece; the bare system call, as libc's write() may be somebody's hook. */
static void calls_say(const char *place, const char *call, int port, int error)
{
	char line[80], *to = line;

	to = calls_put(calls_put(to, place), " ");
	to = calls_put(calls_put(to, call), " ");
	to = calls_put(calls_put_number(to, port), " ");
	to = calls_put(calls_put_number(to, error), "\n");
	if (syscall(SYS_write, 1, line, (size_t)(to - line)) < 0)
		_exit(97);
}

static struct sockaddr_in calls_peer(int port)
{
	struct sockaddr_in peer = { .sin_family = AF_INET };

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons((uint16_t)port);
	return peer;
}

enum calls_kind {
	CALLS_BIND_UDP,
	CALLS_BIND_TCP,
	CALLS_LISTEN,
	CALLS_CONNECT_TCP,
	CALLS_CONNECT_UDP,
	CALLS_SENDTO,
	CALLS_KINDS
};

static const char *const calls_names[] = { "bind-udp",    "bind-tcp",    "listen",
					   "connect-tcp", "connect-udp", "sendto" };

/* One call on a socket of its own. Return: 0 or errno; the socket is open */
static int calls_make(enum calls_kind kind, int *ret_fd)
{
	int tcp = kind == CALLS_BIND_TCP || kind == CALLS_LISTEN || kind == CALLS_CONNECT_TCP;
	struct sockaddr_in peer = calls_peer(tcp ? CALLS_TCP : CALLS_UDP), any = calls_peer(0);
	int fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	const struct linger reset = { 1, 0 };
	long rc;

	*ret_fd = fd;
	if (fd < 0)
		return errno;
	/* no TIME_WAIT, which would hold the port */
	if (tcp)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (kind == CALLS_BIND_UDP || kind == CALLS_BIND_TCP)
		rc = bind(fd, (struct sockaddr *)&any, sizeof(any));
	else if (kind == CALLS_LISTEN)
		rc = listen(fd, 1);
	else if (kind == CALLS_SENDTO)
		rc = sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
	else
		rc = connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	return rc < 0 ? errno : 0;
}

/* All of them. Return: how many failed */
static inline int calls(const char *place)
{
	int kind, error, fd, failed = 0, saved = errno;

	for (kind = 0; kind < CALLS_KINDS; kind++) {
		error = calls_make((enum calls_kind)kind, &fd);
		failed += error != 0;
		calls_say(place, calls_names[kind], fd < 0 ? 0 : calls_port(fd), error);
		close(fd);
	}
	errno = saved;
	return failed;
}

#endif
