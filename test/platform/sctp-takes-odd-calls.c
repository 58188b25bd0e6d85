/*
 * Fact: SCTP ignores IP_BIND_ADDRESS_NO_PORT: bind to 0 assigns at once. A negative
 * backlog counts as a large one (listen(2) itself has it so); with a backlog of 0, an
 * unbound socket's listen is EINVAL. A send to all associations succeeds on a
 * one-to-many socket without any, and leaves it unbound. So does a connect or a send
 * to an address that is too short or of another family, which fails.
 *
 * Source: sctp_do_bind(), sctp_inet_listen(), sctp_sendmsg(),
 * sctp_verify_addr(), net/sctp/socket.c; __sys_listen(), net/socket.c.
 *
 * So portfence checks the address before it assigns a port, and nothing else.
 */
#include "sctp.h"

static void unbound(const char *what, int fd)
{
	check(port_of(fd) == 0, "%s: expected no port, found %u", what, port_of(fd));
}

static int try_send_to_all(int fd)
{
	char room[CMSG_SPACE(sizeof(struct sctp_sndinfo))] = { 0 };
	struct sctp_sndinfo info = { .snd_flags = SCTP_SENDALL | SCTP_EOF };
	struct msghdr message = { .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);

	control->cmsg_level = IPPROTO_SCTP;
	control->cmsg_type = SCTP_SNDINFO;
	control->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(control), &info, sizeof(info));
	return sendmsg(fd, &message, 0) < 0 ? -errno : 0;
}

int main(void)
{
	union addr four = addr("127.0.0.1", 7000), six = addr("::1", 7000);
	int fd;

	begin();
	fd = one_to_one(AF_INET);
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	expect("bind to 0", try_bind(fd, "127.0.0.1", 0), 0);
	check(port_of(fd) != 0, "expected a port");
	close(fd);

	fd = one_to_many(AF_INET);
	expect("send to all", try_send_to_all(fd), 0);
	unbound("send to all", fd);
	expect("connect to IPv6", try_connect(fd, "::1", 7000), -EINVAL);
	expect("send to IPv6", try_sendto(fd, "::1", 7000, 0), -EINVAL);
	expect("short connect", connect(fd, &four.sa, sizeof(four.in) - 1) ? -errno : 0, -EINVAL);
	expect("listen 0", try_listen(fd, 0), -EINVAL);
	unbound("refused calls", fd);
	expect("listen -1", try_listen(fd, -1), 0);
	check(port_of(fd) != 0, "expected a port");
	close(fd);

	fd = one_to_many(AF_INET6);
	/* without its scope, which other protocols do not need */
	expect("short IPv6", connect(fd, &six.sa, sizeof(six.in6) - 4) ? -errno : 0, -EINVAL);
	unbound("short IPv6", fd);
	close(fd);
	return HOLDS;
}
