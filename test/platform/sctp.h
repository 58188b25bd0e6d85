/*
 * sctp.h: what the programs about SCTP share: sockets, and libsctp's calls as the
 * kernel sees them. No fact is stated here. Include it instead of platform.h.
 */
#ifndef PLATFORM_SCTP_H
#define PLATFORM_SCTP_H

#include "platform.h"

#include <linux/sctp.h>

static inline int one_to_one(int family)
{
	return open_socket(family, SOCK_STREAM, IPPROTO_SCTP);
}

static inline int one_to_many(int family)
{
	return open_socket(family, SOCK_SEQPACKET, IPPROTO_SCTP);
}

/* A one-to-many socket that takes associations to @ip. */
static inline int open_sctp_server(const char *ip, unsigned int port)
{
	int fd = one_to_many(strchr(ip, ':') ? AF_INET6 : AF_INET);

	expect("bind of the server", try_bind(fd, ip, port), 0);
	expect("listen of the server", try_listen(fd, 64), 0);
	return fd;
}

/* sctp_bindx() of one address, or of two if @second is not NULL. */
static inline int try_bindx(int fd, const char *first, unsigned int first_port, const char *second,
			    unsigned int second_port)
{
	union addr one = addr(first, first_port), two;
	char packed[2 * sizeof(one)];
	socklen_t size = addr_len(&one);

	memcpy(packed, &one, size);
	if (second) {
		two = addr(second, second_port);
		memcpy(packed + size, &two, addr_len(&two));
		size += addr_len(&two);
	}
	return setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, packed, size) ? -errno : 0;
}

/* sctp_connectx() to one address. Return: -errno, or the association's number if @ret_id is not NULL */
static inline int try_connectx(int fd, const char *ip, unsigned int port, int *ret_id)
{
	union addr to = addr(ip, port);
	struct sctp_getaddrs_old param = { .addr_num = (int)addr_len(&to), .addrs = &to.sa };
	socklen_t len = sizeof(param);

	if (getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len))
		return -errno;
	if (ret_id)
		*ret_id = param.assoc_id;
	return 0;
}

#endif /* PLATFORM_SCTP_H */
