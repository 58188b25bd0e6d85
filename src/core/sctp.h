/* sctp: the socket options by which libsctp talks to the kernel; it makes no system call. */
#ifndef PORTFENCE_CORE_SCTP_H
#define PORTFENCE_CORE_SCTP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Options of level IPPROTO_SCTP (include/uapi/linux/sctp.h, which not every compiler finds). */
enum {
	SCTP_OPTION_REUSE_PORT = 36,
	SCTP_OPTION_BINDX_ADD = 100,    /* set: sctp_bindx() */
	SCTP_OPTION_PEELOFF = 102,      /* get: sctp_peeloff(); the result is a descriptor */
	SCTP_OPTION_CONNECTX_OLD = 107, /* set: sctp_connectx() of the oldest libsctp */
	SCTP_OPTION_CONNECTX =
		110, /* set: sctp_connectx() of a newer one; the result is an association */
	SCTP_OPTION_CONNECTX3 =
		111, /* get: sctp_connectx() of current libsctp, with a struct sctp_connectx */
	SCTP_OPTION_PEELOFF_FLAGS = 122, /* get: sctp_peeloff_flags() */
};

/* Newer kernels ignore what an array of addresses holds beyond that (net/sctp/socket.c, sctp_setsockopt). */
#define SCTP_ADDRS_MAX 69632

/* struct sctp_getaddrs_old of the kernel */
struct sctp_connectx {
	int32_t association;
	int32_t size; /* of the addresses, in bytes */
	const void *addrs;
};

/**
 * sctp_addr_size() - Bytes that an address takes in a packed array
 * @family:	its family
 *
 * Return: 0 for any family but AF_INET and AF_INET6
 */
socklen_t sctp_addr_size(sa_family_t family);

/* sctp_is_packed() - Is this an array of whole addresses, at least one? If not, the kernel says EINVAL */
bool sctp_is_packed(const void *addrs, size_t size);

#endif
