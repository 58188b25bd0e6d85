/*
 * foreign_calls: every call on sockets that are neither IPv4 nor IPv6. Run it under strace: a write to no
 * descriptor names each call before it is made, and another one, "end", follows it.
 *
 *   foreign_calls [thread]    thread: in a second thread
 *
 * All messages and addresses are in static memory, but for the calls whose name ends in "-near".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "foreign.sock" };
static struct sockaddr_un stream = { .sun_family = AF_UNIX, .sun_path = "stream.sock" };
static struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
static char byte = 'x', large[1 << 20];
static struct iovec part = { &byte, 1 }, too_large = { large, sizeof(large) };
static struct msghdr unnamed = { .msg_iov = &part, .msg_iovlen = 1 };
static struct msghdr named = { &name, sizeof(name), &part, 1, NULL, 0, 0 };
static struct msghdr refused = { &name, sizeof(name), &too_large, 1, NULL, 0, 0 };
static struct mmsghdr several[2];

static void mark(const char *text)
{
	syscall(SYS_write, -1, text, strlen(text));
}

#define CALL(text, call)                                                                           \
	do {                                                                                       \
		mark(text);                                                                        \
		(void)!(call);                                                                     \
		mark("end");                                                                       \
	} while (0)

#define NAME (struct sockaddr *)&name, sizeof(name)

static void call_on_datagrams(void)
{
	int server = socket(AF_UNIX, SOCK_DGRAM, 0), client = socket(AF_UNIX, SOCK_DGRAM, 0), fd;
	struct msghdr near = named, near_unnamed = unnamed;

	CALL("bind", bind(server, NAME));
	CALL("sendto", sendto(client, "x", 1, 0, NAME));
	CALL("sendmsg", sendmsg(client, &named, 0));
	CALL("sendmsg-near", sendmsg(client, &near, 0));
	CALL("sendmsg", sendmsg(client, &refused, 0));
	several[0].msg_hdr = several[1].msg_hdr = named;
	CALL("sendmmsg", sendmmsg(client, several, 2, MSG_DONTWAIT));
	CALL("connect", connect(client, NAME));
	CALL("sendmsg", sendmsg(client, &unnamed, MSG_DONTWAIT));
	CALL("sendmsg-near", sendmsg(client, &near_unnamed, MSG_DONTWAIT));
	fd = dup(client);
	CALL("sendmsg", sendmsg(fd, &unnamed, MSG_DONTWAIT));
	dup2(client, 60);
	CALL("sendmsg", sendmsg(60, &unnamed, MSG_DONTWAIT));
	fd = fcntl(client, F_DUPFD, 70);
	CALL("sendmsg", sendmsg(fd, &unnamed, MSG_DONTWAIT));
}

static void call_on_streams(void)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	struct msghdr near = unnamed;
	int accepted, pair[2];

	bind(listener, (struct sockaddr *)&stream, sizeof(stream));
	CALL("listen", listen(listener, 1));
	CALL("connect", connect(client, (struct sockaddr *)&stream, sizeof(stream)));
	accepted = accept(listener, NULL, NULL);
	CALL("sendmsg", sendmsg(accepted, &unnamed, 0));
	CALL("sendmsg", sendmsg(client, &unnamed, 0));
	CALL("sendmsg-near", sendmsg(client, &near, 0));
	CALL("sendto", sendto(client, "x", 1, 0, NULL, 0));
	fcntl(client, F_SETFL, O_NONBLOCK);
	CALL("sendmsg-near", sendmsg(client, &near, 0));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		exit(2);
	CALL("sendmsg", sendmsg(pair[0], &unnamed, 0));
	CALL("sendmsg-near", sendmsg(pair[0], &near, 0));
	several[0].msg_hdr = several[1].msg_hdr = unnamed;
	CALL("sendmmsg", sendmmsg(pair[0], several, 2, 0));
}

static void *call_all(void *unused)
{
	int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	call_on_datagrams();
	call_on_streams();
	CALL("bind", bind(netlink, (struct sockaddr *)&kernel, sizeof(kernel)));
	CALL("connect", connect(netlink, (struct sockaddr *)&kernel, sizeof(kernel)));
	CALL("sendmsg", sendmsg(netlink, &unnamed, 0));
	return unused;
}

int main(int argc, char *argv[])
{
	pthread_t thread;

	unlink(name.sun_path);
	unlink(stream.sun_path);
	if (argc < 2)
		call_all(NULL);
	else if (pthread_create(&thread, NULL, call_all, argv[1]) || pthread_join(thread, NULL))
		return 2;
	return 0;
}
