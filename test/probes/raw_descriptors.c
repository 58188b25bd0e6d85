/*
 * raw_descriptors: numbers through which libc has sent get other sockets by system calls of the program's
 * own, as a runtime beside C libraries makes them; then libc sends or connects through them again.
 *
 *   raw_descriptors [PORT [closed]]
 *                             "WAY LOCAL-PORT" for each way; destination is PORT of this host, by default 9;
 *                             with `closed`, by a process that forbids others to look into it
 *
 * WAY:	first		a socket as libc makes it
 *	reopened	closed and made again
 *	replaced	another one put over it by dup3()
 *	emptied		the same socket, which connect() to AF_UNSPEC has taken the port from
 *	foreign		the number was a UNIX socket's; libc connects
 *	foreign-send	likewise; libc sends
 *	connect		the new socket is TCP, and libc connects
 *	written		the new socket has a port from a write() without destination, and libc sends
 *	written-connect	likewise; libc connects
 *	bound-written	the number's first socket was bound to a port that the program named; libc sends
 *	bound-connect	likewise; libc connects
 *	foreign-listen	the number was a UNIX socket's, and libc listens
 *	foreign-several	likewise; libc sends by sendmmsg()
 *	foreign-written	the number was a UNIX socket's, and send() failed before libc sends
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in peer = { .sin_family = AF_INET };
static char byte = 'x';
static struct iovec part = { &byte, 1 };
static struct msghdr message = { &peer, sizeof(peer), &part, 1, NULL, 0, 0 };

static void show(const char *way, int fd)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len))
		exit(2);
	printf("%s %d\n", way, ntohs(local.sin_port));
}

static void send_to_peer(int fd)
{
	sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
}

/* A UDP socket that libc has sent through. */
static int new_known(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), i;

	for (i = 0; i < 3; i++)
		send_to_peer(fd);
	return fd;
}

static int reopen(int fd, int type)
{
	syscall(SYS_close, fd);
	if (syscall(SYS_socket, AF_INET, type, 0) != fd)
		exit(2);
	return fd;
}

/* A UDP socket that libc has bound to a port that the program names. */
static int new_bound(int port)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)))
		exit(2);
	return fd;
}

static int written(int fd)
{
	if (write(fd, "x", 1) >= 0)
		exit(2);
	return fd;
}

static void show_written(void)
{
	const struct sockaddr *to = (struct sockaddr *)&peer;
	struct mmsghdr several = { .msg_hdr = message };
	int fd = written(reopen(new_known(), SOCK_DGRAM));

	send_to_peer(fd);
	show("written", fd);

	fd = written(reopen(new_known(), SOCK_DGRAM));
	connect(fd, to, sizeof(peer));
	show("written-connect", fd);

	fd = written(reopen(new_bound(7001), SOCK_DGRAM));
	send_to_peer(fd);
	show("bound-written", fd);

	fd = written(reopen(new_bound(7002), SOCK_DGRAM));
	connect(fd, to, sizeof(peer));
	show("bound-connect", fd);

	fd = reopen(socket(AF_UNIX, SOCK_DGRAM, 0), SOCK_DGRAM);
	send(fd, "x", 1, 0);
	send_to_peer(fd);
	show("foreign-written", fd);

	fd = reopen(socket(AF_UNIX, SOCK_STREAM, 0), SOCK_STREAM);
	listen(fd, 1);
	show("foreign-listen", fd);

	fd = reopen(socket(AF_UNIX, SOCK_DGRAM, 0), SOCK_DGRAM);
	sendmmsg(fd, &several, 1, 0);
	show("foreign-several", fd);
}

int main(int argc, char *argv[])
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd, other;

	if (argc > 2 && prctl(PR_SET_DUMPABLE, 0))
		return 2;
	fd = new_known();
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 9));
	send_to_peer(fd);
	show("first", fd);

	send_to_peer(reopen(fd, SOCK_DGRAM));
	show("reopened", fd);

	fd = new_known();
	other = (int)syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
	syscall(SYS_dup3, other, fd, 0);
	sendmsg(fd, &message, 0);
	show("replaced", fd);

	fd = new_known();
	syscall(SYS_connect, fd, &none, sizeof(none));
	send_to_peer(fd);
	show("emptied", fd);

	fd = reopen(socket(AF_UNIX, SOCK_STREAM, 0), SOCK_STREAM);
	connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	show("foreign", fd);

	fd = reopen(socket(AF_UNIX, SOCK_DGRAM, 0), SOCK_DGRAM);
	sendmsg(fd, &message, 0);
	show("foreign-send", fd);

	fd = reopen(new_known(), SOCK_STREAM);
	connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	show("connect", fd);

	show_written();
	return 0;
}
