#include "addr.h"

#include <string.h>

uint16_t addr_port(const union addr *addr)
{
	switch (addr->sa.sa_family) {
	case AF_UNSPEC:
	case AF_INET:
		return ntohs(addr->in4.sin_port);
	case AF_INET6:
		return ntohs(addr->in6.sin6_port);
	default:
		return 0;
	}
}

void addr_set_port(union addr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET6)
		addr->in6.sin6_port = htons(port);
	else
		addr->in4.sin_port = htons(port);
}

socklen_t addr_wildcard(union addr *addr, int family)
{
	memset(addr, 0, sizeof(*addr));
	addr->sa.sa_family = (sa_family_t)family;
	return family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in4);
}

void addr_bytes(const union addr *addr, uint8_t ret_bytes[16])
{
	if (addr->sa.sa_family == AF_INET6) {
		memcpy(ret_bytes, &addr->in6.sin6_addr, 16);
		return;
	}
	memset(ret_bytes, 0, 10);
	memset(ret_bytes + 10, 0xff, 2);
	memcpy(ret_bytes + 12, &addr->in4.sin_addr, 4);
}

bool addr_is_v4(const union addr *addr)
{
	return addr->sa.sa_family != AF_INET6 || IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr);
}

bool addr_is_any(const union addr *addr)
{
	uint8_t b[16];

	if (!addr_is_v4(addr))
		return IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
	addr_bytes(addr, b);
	return !(b[12] | b[13] | b[14] | b[15]);
}

bool addr_is_loopback(const union addr *addr)
{
	uint8_t b[16];

	if (!addr_is_v4(addr))
		return IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr);
	addr_bytes(addr, b);
	return b[12] == 127;
}

bool addr_is_group(const union addr *addr)
{
	uint8_t b[16];

	if (!addr_is_v4(addr))
		return IN6_IS_ADDR_MULTICAST(&addr->in6.sin6_addr);
	addr_bytes(addr, b);
	return b[12] >> 4 == 0xe || (b[12] & b[13] & b[14] & b[15]) == 0xff;
}
