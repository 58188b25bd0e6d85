/*
 * rewrite: calls whose address another thread rewrites all the time: to none, to another port,
 * family or length.
 *
 *   rewrite FROM CALL PORT TIMES LOW HIGH    "CALL N outside": how many of the sockets had a port that
 *                                            is not within LOW to HIGH; destination is PORT of this
 *                                            host. Exit status 3 if no call took a port.
 *
 * FROM:	libc, or raw: by syscall(2)
 * CALL:	bind, connect, connect-now (it does not wait), connect-udp, sendto, sendmsg, sendmmsg,
 *		fastopen (sendto), fastopen-msg
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FORMS 6

static struct sockaddr_in form[FORMS];
static volatile struct sockaddr_in shared;
static struct iovec data = { (char *)"x", 1 };
static volatile struct mmsghdr message;
static _Atomic bool ended;
static bool raw;
static const char *call;
static int low, high;

static bool is(const char *name)
{
	return !strcmp(call, name);
}

static void *rewrite(void *unused)
{
	struct sockaddr_in *address = (struct sockaddr_in *)&shared;
	unsigned i, turn = 0;

	(void)unused;
	while (!ended) {
		for (i = 0; i < FORMS; i++) {
			*(volatile struct sockaddr_in *)address = form[i];
			message.msg_hdr.msg_name = i % 3 == 2 ? NULL : address;
			message.msg_hdr.msg_namelen = i % 4 == 1 ? 4 : sizeof(*address);
			/* each form stays for some other time */
			for (turn = turn * 5 + 1; turn % 1021 > i * 40; turn++)
				__asm__ volatile("");
		}
	}
	return NULL;
}

static long send_message(int fd, int flags)
{
	return raw ? syscall(SYS_sendmsg, fd, &message.msg_hdr, flags)
		   : sendmsg(fd, (struct msghdr *)&message.msg_hdr, flags);
}

static long send_to(int fd, int flags)
{
	struct sockaddr *address = (struct sockaddr *)&shared;

	return raw ? syscall(SYS_sendto, fd, "x", 1, flags, address, sizeof(shared))
		   : sendto(fd, "x", 1, flags, address, sizeof(shared));
}

static void make(int fd)
{
	struct sockaddr *address = (struct sockaddr *)&shared;

	if (is("bind"))
		raw ? (void)syscall(SYS_bind, fd, address, sizeof(shared))
		    : (void)bind(fd, address, sizeof(shared));
	else if (!strncmp(call, "connect", 7))
		raw ? (void)syscall(SYS_connect, fd, address, sizeof(shared))
		    : (void)connect(fd, address, sizeof(shared));
	else if (is("sendto"))
		send_to(fd, 0);
	else if (is("sendmsg"))
		send_message(fd, 0);
	else if (is("sendmmsg"))
		raw ? (void)syscall(SYS_sendmmsg, fd, &message, 1, 0)
		    : (void)sendmmsg(fd, (struct mmsghdr *)&message, 1, 0);
	else if (is("fastopen"))
		send_to(fd, MSG_FASTOPEN | MSG_NOSIGNAL);
	else
		send_message(fd, MSG_FASTOPEN | MSG_NOSIGNAL);
}

static int port_of(int fd)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len)) {
		perror("getsockname");
		exit(2);
	}
	return ntohs(local.sin_port);
}

static void prepare(int port)
{
	const struct sockaddr_in peer = { .sin_family = AF_INET,
					  .sin_addr = { htonl(INADDR_LOOPBACK) },
					  .sin_port = htons((in_port_t)port) };
	int i;

	for (i = 0; i < FORMS; i++)
		form[i] = peer;
	form[1].sin_port = 0;
	form[2].sin_family = AF_UNIX;
	form[3].sin_family = AF_UNSPEC;
	form[4].sin_family = AF_INET6;
	form[5].sin_port = htons((in_port_t)low);
	message.msg_hdr.msg_name = (void *)&shared;
	message.msg_hdr.msg_namelen = sizeof(shared);
	message.msg_hdr.msg_iov = &data;
	message.msg_hdr.msg_iovlen = 1;
}

static int new_socket(void)
{
	if (is("connect-now"))
		return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (is("bind") || is("connect") || is("fastopen") || is("fastopen-msg"))
		return socket(AF_INET, SOCK_STREAM, 0);
	return socket(AF_INET, SOCK_DGRAM, 0);
}

int main(int argc, char *argv[])
{
	struct linger reset = { .l_onoff = 1 };
	long times, outside = 0, taken = 0;
	pthread_t thread;
	int fd, port;

	if (argc != 7)
		return 2;
	raw = !strcmp(argv[1], "raw");
	call = argv[2];
	low = atoi(argv[5]);
	high = atoi(argv[6]);
	prepare(atoi(argv[3]));
	if (pthread_create(&thread, NULL, rewrite, NULL))
		return 2;
	for (times = atol(argv[4]); times > 0; times--) {
		fd = new_socket();
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		make(fd);
		port = port_of(fd);
		taken += port != 0;
		outside += port && (port < low || port > high);
		close(fd);
	}
	ended = true;
	pthread_join(thread, NULL);
	printf("%s %ld outside\n", call, outside);
	return taken ? 0 : 3;
}
