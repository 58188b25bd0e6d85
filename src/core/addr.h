/* addr: IPv4 and IPv6 socket addresses behind one type; it makes no system call. */
#ifndef PORTFENCE_CORE_ADDR_H
#define PORTFENCE_CORE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The shortest AF_INET6 address that the kernel takes, without sin6_scope_id (RFC 2133). */
#define ADDR_IN6_MIN 24

/* What any other family has more is of no interest here, and is cut. */
union addr {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/**
 * addr_port() - Port of an address, host byte order; 0 for other families
 *
 * AF_UNSPEC counts as AF_INET: bind() takes it so (net/ipv4/af_inet.c, __inet_bind).
 */
uint16_t addr_port(const union addr *addr);

/**
 * addr_set_port() - Write a port into an address
 * @port:	host byte order
 */
void addr_set_port(union addr *addr, uint16_t port);

/**
 * addr_wildcard() - The wildcard address with port 0
 * @family:	AF_INET or AF_INET6
 *
 * Return: length of the address
 */
socklen_t addr_wildcard(union addr *addr, int family);

/* addr_is_any() - Is it the wildcard address, v4-mapped included? */
bool addr_is_any(const union addr *addr);

/* addr_is_loopback() - Is it 127/8, ::1, or a v4-mapped 127/8? */
bool addr_is_loopback(const union addr *addr);

/* addr_is_group() - Is it a multicast group, or all hosts of the link (255.255.255.255)? */
bool addr_is_group(const union addr *addr);

/**
 * addr_bytes() - The address alone, without port or scope, in one form for both families
 * @ret_bytes:	16 bytes, network byte order; IPv4 as v4-mapped, so that a connection
 *		is the same one whichever kind of socket carries it
 */
void addr_bytes(const union addr *addr, uint8_t ret_bytes[16]);

/* addr_is_v4() - Is it AF_INET, or AF_INET6 with a v4-mapped address? */
bool addr_is_v4(const union addr *addr);

#endif
