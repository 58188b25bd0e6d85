#include "sctp.h"

#include <string.h>

socklen_t sctp_addr_size(sa_family_t family)
{
	switch (family) {
	case AF_INET:
		return sizeof(struct sockaddr_in);
	case AF_INET6:
		return sizeof(struct sockaddr_in6);
	default:
		return 0;
	}
}

bool sctp_is_packed(const void *addrs, size_t size)
{
	const char *at = addrs, *end = at + size;
	sa_family_t family;
	socklen_t len;

	for (; at < end; at += len) {
		if ((size_t)(end - at) < sizeof(family))
			return false;
		memcpy(&family, at, sizeof(family));
		len = sctp_addr_size(family);
		if (!len || (size_t)(end - at) < len)
			return false;
	}
	return size > 0;
}
