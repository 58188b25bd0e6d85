/*
 * Fact: every send on an unbound UDP socket first assigns a port, even if it
 * then fails: write, send, writev, sendfile with no destination
 * (EDESTADDRREQ), a send to nowhere (ENETUNREACH), to port 0 or with a broken
 * address (EINVAL). So does a connect that fails. The port stays, and the next
 * send goes out from it. A TCP socket gets no port in this way.
 *
 * Source: inet_send_prepare() and inet_dgram_connect(), net/ipv4/af_inet.c,
 * which call inet_autobind() before the protocol looks at the call.
 *
 * So write(2) and its relatives on an unbound UDP socket are implicit assignments,
 * too. Hooks only on sends with a destination would let a port escape: a failed write
 * before the first sendto takes one.
 */
#include "platform.h"

#include <sys/sendfile.h>
#include <sys/uio.h>

static int try_write(int fd)
{
	return write(fd, "x", 1) < 0 ? -errno : 0;
}

static int try_send(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int try_send_nothing(int fd)
{
	return send(fd, "", 0, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int try_writev(int fd)
{
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };

	return writev(fd, &iov, 1) < 0 ? -errno : 0;
}

static int try_sendmsg(int fd)
{
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int try_sendfile(int fd)
{
	int file = must(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");
	int ret = sendfile(fd, file, NULL, 16) < 0 ? -errno : 0;

	close(file);
	return ret;
}

static int try_send_nowhere(int fd)
{
	return try_sendto(fd, "198.51.100.1", 9, 0);
}

static int try_send_to_port_zero(int fd)
{
	return try_sendto(fd, "127.0.0.1", 0, 0);
}

static int try_send_short_address(int fd)
{
	union addr a = addr("127.0.0.1", 30000);

	return sendto(fd, "x", 1, 0, &a.sa, 2) < 0 ? -errno : 0;
}

static int try_connect_nowhere(int fd)
{
	return try_connect(fd, "198.51.100.1", 9);
}

static void assigns(const char *what, int (*attempt)(int), int want)
{
	int fd = udp4(), peer = udp4();
	union addr from;
	socklen_t len = sizeof(from);
	unsigned int port;
	char c;

	expect_port("fresh socket", port_of(fd), 0, 0);
	expect(what, attempt(fd), want);
	port = port_of(fd);
	expect_port(what, port, 40000, 40099);

	expect("bind", try_bind(peer, "127.0.0.1", 30000), 0);
	expect("sendto", try_sendto(fd, "127.0.0.1", 30000, 0), 0);
	must((int)recvfrom(peer, &c, 1, 0, &from.sa, &len), "recvfrom");
	expect_port("the datagram's source", ntohs(from.in.sin_port), port, port);
	close(peer);
	close(fd);
}

int main(void)
{
	int fd;

	begin();
	ephemeral_range(40000, 40099);
	assigns("write", try_write, -EDESTADDRREQ);
	assigns("send", try_send, -EDESTADDRREQ);
	assigns("send of nothing", try_send_nothing, -EDESTADDRREQ);
	assigns("writev", try_writev, -EDESTADDRREQ);
	assigns("sendmsg", try_sendmsg, -EDESTADDRREQ);
	assigns("sendfile", try_sendfile, -EDESTADDRREQ);
	assigns("sendto, no route", try_send_nowhere, -ENETUNREACH);
	assigns("sendto, port 0", try_send_to_port_zero, -EINVAL);
	assigns("sendto, short address", try_send_short_address, -EINVAL);
	assigns("connect, no route", try_connect_nowhere, -ENETUNREACH);

	fd = tcp4();
	expect("TCP send", try_send(fd), -EPIPE);
	expect_port("TCP send", port_of(fd), 0, 0);
	expect("TCP sendto", try_sendto(fd, "127.0.0.1", 30000, 0), -EPIPE);
	expect_port("TCP sendto", port_of(fd), 0, 0);
	expect("TCP connect, no route", try_connect_nowhere(fd), -ENETUNREACH);
	expect_port("TCP connect, no route", port_of(fd), 0, 0);
	close(fd);
	return HOLDS;
}
