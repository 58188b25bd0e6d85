/* addr: IPv4 and IPv6 socket addresses behind one type; it makes no system call. */
#ifndef PORTFENCE_CORE_ADDR_H
#define PORTFENCE_CORE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Bytes of the shortest AF_INET6 address that the kernel takes, without sin6_scope_id (RFC 2133) */
#define ADDR_IN6_MIN 24

/* Addresses of other families are cut to this size, as only their family matters here. */
union addr {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/**
 * addr_port() - Port of an IPv4 or IPv6 address, in host byte order; 0 for other families
 *
 * AF_UNSPEC counts as AF_INET, as in bind() (net/ipv4/af_inet.c, __inet_bind).
 */
uint16_t addr_port(const union addr *addr);

/**
 * addr_set_port() - Write a port into an address
 * @port:	in host byte order
 */
void addr_set_port(union addr *addr, uint16_t port);

/**
 * addr_wildcard() - Make the wildcard address with port 0
 * @family:	AF_INET or AF_INET6
 *
 * Return: length of the address
 */
socklen_t addr_wildcard(union addr *addr, int family);

/* addr_is_any() - Is it the wildcard address, also as a v4-mapped one? */
bool addr_is_any(const union addr *addr);

/* addr_is_loopback() - Is it 127/8, ::1, or a v4-mapped 127/8? */
bool addr_is_loopback(const union addr *addr);

/* addr_is_group() - Is it a multicast group, or the broadcast address 255.255.255.255? */
bool addr_is_group(const union addr *addr);

/**
 * addr_bytes() - The address alone, without port and scope, in one form for both families
 * @ret_bytes:	in network byte order; IPv4 is v4-mapped, so that a connection has the
 *		same addresses whichever kind of socket carries it
 */
void addr_bytes(const union addr *addr, uint8_t ret_bytes[16]);

/* addr_same() - Are the addresses the same, in the form of addr_bytes()? Ports do not count. */
bool addr_same(const union addr *a, const union addr *b);

/* addr_is_v4() - Is it AF_INET, or AF_INET6 with a v4-mapped address? */
bool addr_is_v4(const union addr *addr);

#endif
