/*
 * overlooked_calls: calls that the kernel takes and that are easily overlooked. A line for each:
 *
 *   "NAME LOCAL-PORT"  after the call; where it fails, after a send that follows it
 *   "NAME ERRNO"       for a call that must fail with this error
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* glibc exports it, too */
int __connect(int fd, const struct sockaddr *addr, socklen_t len);

static struct sockaddr_in peer = { .sin_family = AF_INET };
static char large[70000];

static void say_port(const char *name, int fd)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	getsockname(fd, (struct sockaddr *)&local, &len);
	printf("%s %d\n", name, ntohs(local.sin_port));
	close(fd);
}

static void say_error(const char *name, int fd, long result)
{
	printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "0");
	close(fd);
}

static int udp(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static void then_send(const char *name, int fd)
{
	sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
	say_port(name, fd);
}

/* A child of vfork has numbers of its own, and its parent's memory. */
static void vfork_child(void)
{
	int fd = udp();

	if (vfork() == 0) {
		close(fd);
		if (udp() != fd)
			_exit(1);
		sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
		sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
		_exit(0);
	}
	then_send("vfork", fd);
}

int main(void)
{
	union {
		struct sockaddr_in in4;
		char room[256];
	} name = { .room = { 0 } };
	struct iovec data = { .iov_base = large, .iov_len = 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &name,
						.msg_namelen = sizeof(name),
						.msg_iov = &data,
						.msg_iovlen = 1 } };
	/* not NULL, and no memory of ours */
	const struct sockaddr *volatile nowhere = (const struct sockaddr *)8;
	int fd = udp();

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons(9);
	name.in4 = peer;
	/* before anything else is remembered */
	vfork_child();
	sendmsg(fd, &message.msg_hdr, 0);
	say_port("sendmsg-long-name", fd);
	fd = udp();
	sendmmsg(fd, &message, 1, 0);
	say_port("sendmmsg-long-name", fd);
	fd = udp();
	send(fd, large, sizeof(large), 0);
	then_send("send-too-long", fd);
	fd = udp();
	send(fd, large, 1, MSG_OOB);
	then_send("send-oob", fd);
	fd = udp();
	sendto(fd, large, 1, 0, nowhere, 0);
	then_send("sendto-no-length", fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	__connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	say_port("__connect", fd);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	say_error("connect-nowhere", fd, connect(fd, nowhere, sizeof(peer)));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	say_error("bind-nowhere", fd, bind(fd, nowhere, sizeof(peer)));
	fd = udp();
	say_error("sendto-nowhere", fd, sendto(fd, "x", 1, 0, nowhere, sizeof(peer)));
	fd = udp();
	say_error("sendmsg-nowhere", fd, sendmsg(fd, (const struct msghdr *)nowhere, 0));
	/* a connected socket stays connected when a send is refused */
	fd = udp();
	connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	send(fd, large, sizeof(large), 0);
	say_error("still-connected", fd, send(fd, "x", 1, 0));
	return 0;
}
