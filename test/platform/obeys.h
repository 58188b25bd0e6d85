/*
 * obeys.h: does a socket type keep to IP_LOCAL_PORT_RANGE, however its port
 * comes to be assigned? One run for each family and protocol.
 */
#ifndef PLATFORM_OBEYS_H
#define PLATFORM_OBEYS_H

/* Inside the ephemeral range of begin()'s fresh namespace, and small beside it. */
#define OBEYS_LO 40000
#define OBEYS_HI 40019

static inline int obeys_socket(int family, int type, int protocol)
{
	int fd = open_socket(family, type, protocol);

	port_range(fd, OBEYS_LO, OBEYS_HI);
	return fd;
}

static inline void obeys_verdict(int fd, int ret, const char *what, int family, int protocol)
{
	char where[64];

	snprintf(where, sizeof(where), "%s, family %d, protocol %d", what, family, protocol);
	expect(where, ret, 0);
	expect_port(where, port_of(fd), OBEYS_LO, OBEYS_HI);
	close(fd);
}

static inline void obeys_range(int family, int type, int protocol)
{
	const char *here = loopback(family);
	int server = open_server(here, 30000);
	union addr to = addr(here, 30000);
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct mmsghdr msg = {
		.msg_hdr = { .msg_name = &to,
			     .msg_namelen = addr_len(&to),
			     .msg_iov = &iov,
			     .msg_iovlen = 1 },
	};
	int fd;

	ephemeral_range(32768, 60999);

	fd = obeys_socket(family, type, protocol);
	obeys_verdict(fd, try_connect(fd, here, 30000), "connect", family, protocol);

	fd = obeys_socket(family, type, protocol);
	obeys_verdict(fd, try_bind(fd, here, 0), "bind to 0", family, protocol);

	fd = obeys_socket(family, type, protocol);
	obeys_verdict(fd, try_bind(fd, wildcard(family), 0), "bind of the wildcard to 0", family,
		      protocol);

	fd = obeys_socket(family, type, protocol);
	reuse_addr(fd, 1);
	obeys_verdict(fd, try_bind(fd, here, 0), "bind to 0 with SO_REUSEADDR", family, protocol);

	if (type == SOCK_STREAM) {
		fd = obeys_socket(family, type, protocol);
		obeys_verdict(fd, try_listen(fd, 1), "listen", family, protocol);
	} else {
		fd = obeys_socket(family, type, protocol);
		obeys_verdict(fd, try_sendto(fd, here, 30000, 0), "sendto", family, protocol);

		fd = obeys_socket(family, type, protocol);
		obeys_verdict(fd, sendmsg(fd, &msg.msg_hdr, 0) < 0 ? -errno : 0, "sendmsg", family,
			      protocol);

		fd = obeys_socket(family, type, protocol);
		obeys_verdict(fd, sendmmsg(fd, &msg, 1, 0) < 0 ? -errno : 0, "sendmmsg", family,
			      protocol);
	}
	close(server);
}

#endif /* PLATFORM_OBEYS_H */
