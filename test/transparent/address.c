/* address: the socket addresses that calls are given, how long they are said to be, and where they lie. */
#include "transparent.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- what they say ---- */

static socklen_t in4(uint32_t host, in_port_t port, union address *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->in4.sin_family = AF_INET;
	ret_address->in4.sin_addr.s_addr = htonl(host);
	ret_address->in4.sin_port = htons(port);
	return sizeof(ret_address->in4);
}

static socklen_t in6(const char *host, in_port_t port, union address *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->in6.sin6_family = AF_INET6;
	ret_address->in6.sin6_port = htons(port);
	inet_pton(AF_INET6, host, &ret_address->in6.sin6_addr);
	return sizeof(ret_address->in6);
}

/* In the family that the kind's addresses have */
static socklen_t either(const struct kind *kind, uint32_t host4, const char *host6, in_port_t port,
			union address *ret_address)
{
	struct in6_addr mapped = IN6ADDR_ANY_INIT;
	socklen_t len;

	if (kind->domain != AF_INET6)
		return in4(host4, port, ret_address);
	len = in6(host6, port, ret_address);
	if (kind->mapped) {
		host4 = htonl(host4);
		memset(mapped.s6_addr + 10, 0xff, 2);
		memcpy(mapped.s6_addr + 12, &host4, 4);
		ret_address->in6.sin6_addr = mapped;
	}
	return len;
}

socklen_t address_loopback(const struct kind *kind, in_port_t port, union address *ret_address)
{
	return either(kind, INADDR_LOOPBACK, "::1", port, ret_address);
}

static socklen_t unix_name(const char *name, union address *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->un.sun_family = AF_UNIX;
	/* abstract, so that no file is left; of the network namespace, too */
	snprintf(ret_address->un.sun_path + 1, sizeof(ret_address->un.sun_path) - 1, "%s%u", name,
		 transparent_ports.peer);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(ret_address->un.sun_path + 1));
}

static socklen_t fill_peer(const struct kind *kind, union address *ret_address)
{
	if (kind->domain == AF_UNIX)
		return unix_name("peer", ret_address);
	return address_loopback(kind, transparent_ports.peer, ret_address);
}

static socklen_t fill_closed(const struct kind *kind, union address *ret_address)
{
	return address_loopback(kind, transparent_ports.closed, ret_address);
}

static socklen_t fill_own(const struct kind *kind, union address *ret_address)
{
	return address_loopback(kind, transparent_ports.own, ret_address);
}

static socklen_t fill_zero(const struct kind *kind, union address *ret_address)
{
	return address_loopback(kind, 0, ret_address);
}

static socklen_t fill_any(const struct kind *kind, union address *ret_address)
{
	return either(kind, INADDR_ANY, "::", 0, ret_address);
}

static socklen_t fill_any_own(const struct kind *kind, union address *ret_address)
{
	return either(kind, INADDR_ANY, "::", transparent_ports.own, ret_address);
}

static socklen_t fill_any_peer(const struct kind *kind, union address *ret_address)
{
	return either(kind, INADDR_ANY, "::", transparent_ports.peer, ret_address);
}

static socklen_t fill_other_loopback(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0x7f010203, "::1", 0, ret_address);
}

/* No interface has it. */
static socklen_t fill_foreign(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0x08080808, "2001:db8::1", 0, ret_address);
}

static socklen_t fill_foreign_port(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0x08080808, "2001:db8::1", transparent_ports.peer, ret_address);
}

/* The test makes such routes. */
static socklen_t fill_prohibited(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0xcb007101, "2001:db8:1::1", 9, ret_address);
}

static socklen_t fill_unreachable(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0xc0000201, "2001:db8:2::1", 9, ret_address);
}

static socklen_t fill_blackhole(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0xc6336401, "2001:db8:3::1", 9, ret_address);
}

static socklen_t fill_broadcast(const struct kind *kind, union address *ret_address)
{
	return either(kind, INADDR_BROADCAST, "ff02::1", 9, ret_address);
}

static socklen_t fill_multicast(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0xe0000001, "ff05::1", 9, ret_address);
}

static socklen_t fill_link_local(const struct kind *kind, union address *ret_address)
{
	return either(kind, 0xa9fe0001, "fe80::1", 9, ret_address);
}

static socklen_t fill_privileged(const struct kind *kind, union address *ret_address)
{
	return address_loopback(kind, 80, ret_address);
}

static socklen_t fill_highest(const struct kind *kind, union address *ret_address)
{
	return address_loopback(kind, 65535, ret_address);
}

static socklen_t fill_unspec(const struct kind *kind, union address *ret_address)
{
	socklen_t len = fill_any(kind, ret_address);

	ret_address->sa.sa_family = AF_UNSPEC;
	return len;
}

static socklen_t fill_unspec_peer(const struct kind *kind, union address *ret_address)
{
	socklen_t len = fill_peer(kind, ret_address);

	ret_address->sa.sa_family = AF_UNSPEC;
	return len;
}

static socklen_t fill_unspec_own(const struct kind *kind, union address *ret_address)
{
	socklen_t len = fill_any_own(kind, ret_address);

	ret_address->sa.sa_family = AF_UNSPEC;
	return len;
}

/* IPv4 for an IPv6 socket, and the other way about */
static socklen_t fill_other(const struct kind *kind, union address *ret_address)
{
	if (kind->domain == AF_INET6)
		return in4(INADDR_LOOPBACK, transparent_ports.peer, ret_address);
	return in6("::1", transparent_ports.peer, ret_address);
}

static socklen_t fill_other_any(const struct kind *kind, union address *ret_address)
{
	if (kind->domain == AF_INET6)
		return in4(INADDR_ANY, 0, ret_address);
	return in6("::", 0, ret_address);
}

static socklen_t fill_mapped(const struct kind *kind, union address *ret_address)
{
	(void)kind;
	return in6("::ffff:127.0.0.1", transparent_ports.peer, ret_address);
}

static socklen_t fill_mapped_any(const struct kind *kind, union address *ret_address)
{
	(void)kind;
	return in6("::ffff:0.0.0.0", 0, ret_address);
}

static socklen_t fill_compatible(const struct kind *kind, union address *ret_address)
{
	(void)kind;
	return in6("::127.0.0.1", transparent_ports.peer, ret_address);
}

static socklen_t fill_scope(const struct kind *kind, union address *ret_address)
{
	socklen_t len = in6("fe80::1", transparent_ports.peer, ret_address);

	(void)kind;
	ret_address->in6.sin6_scope_id = 1;
	ret_address->in6.sin6_flowinfo = htonl(0x12345);
	return len;
}

static socklen_t fill_unix(const struct kind *kind, union address *ret_address)
{
	(void)kind;
	return unix_name("nobody", ret_address);
}

static socklen_t fill_unix_path(const struct kind *kind, union address *ret_address)
{
	static const struct sockaddr_un path = { AF_UNIX, "/none/such" };

	(void)kind;
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->un = path;
	return sizeof(path);
}

static socklen_t fill_netlink(const struct kind *kind, union address *ret_address)
{
	const struct sockaddr_nl netlink = { .nl_family = AF_NETLINK };

	(void)kind;
	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(ret_address, &netlink, sizeof(netlink));
	return sizeof(netlink);
}

static socklen_t fill_family_99(const struct kind *kind, union address *ret_address)
{
	socklen_t len = fill_peer(kind, ret_address);

	ret_address->sa.sa_family = 99;
	return len;
}

static socklen_t fill_ones(const struct kind *kind, union address *ret_address)
{
	(void)kind;
	memset(ret_address, 0xff, sizeof(*ret_address));
	return sizeof(ret_address->in6);
}

const struct value address_values[] = {
	{ "peer", fill_peer },
	{ "any", fill_any },
	{ "unspec", fill_unspec },
	{ "zero", fill_zero },
	{ "closed", fill_closed },
	{ "own", fill_own },
	{ "any-own", fill_any_own },
	{ "any-peer", fill_any_peer },
	{ "other-loopback", fill_other_loopback },
	{ "foreign", fill_foreign },
	{ "foreign-port", fill_foreign_port },
	{ "prohibited", fill_prohibited },
	{ "unreachable", fill_unreachable },
	{ "blackhole", fill_blackhole },
	{ "broadcast", fill_broadcast },
	{ "multicast", fill_multicast },
	{ "link-local", fill_link_local },
	{ "privileged", fill_privileged },
	{ "highest", fill_highest },
	{ "unspec-peer", fill_unspec_peer },
	{ "unspec-own", fill_unspec_own },
	{ "other", fill_other },
	{ "other-any", fill_other_any },
	{ "mapped", fill_mapped },
	{ "mapped-any", fill_mapped_any },
	{ "compatible", fill_compatible },
	{ "scope", fill_scope },
	{ "unix", fill_unix },
	{ "unix-path", fill_unix_path },
	{ "netlink", fill_netlink },
	{ "family-99", fill_family_99 },
	{ "ones", fill_ones },
};
const size_t address_values_count = COUNT(address_values);

const struct value *address_value(const char *name)
{
	size_t i;

	for (i = 0; i < address_values_count; i++)
		if (!strcmp(address_values[i].name, name))
			return &address_values[i];
	return NULL;
}

/* -1 is what a program gives that takes it for an int */
const long address_lengths[] = { 0,   1,    2,          3,   4,
				 7,   8,    15,         16,  17,
				 23,  24,   25,         27,  28,
				 29,  64,   110,        127, 128,
				 129, 4096, 0x7fffffff, -1,  -0x7fffffffL - 1 };
const size_t address_lengths_count = COUNT(address_lengths);

/* ---- where they lie ---- */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* @readable pages, then one that is not */
static char *pages(size_t readable)
{
	size_t page = page_size();
	char *at = mmap(NULL, (readable + 1) * page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at + readable * page, page, PROT_NONE))
		_exit(97);
	return at;
}

static void *put_static(const void *data, size_t size)
{
	static char room[8192];

	memcpy(room, data, size);
	return room;
}

static void *put_heap(const void *data, size_t size)
{
	char *room = malloc(4096);

	memcpy(room, data, size);
	return room;
}

static void *put_map(const void *data, size_t size)
{
	return memcpy(pages(2), data, size);
}

static void *put_misaligned(const void *data, size_t size)
{
	return memcpy(pages(2) + 1, data, size);
}

static void *put_read_only(const void *data, size_t size)
{
	char *room = pages(2);

	memcpy(room, data, size);
	mprotect(room, 2 * page_size(), PROT_READ);
	return room;
}

/* Not a byte more than these can be read. */
static void *put_page_end(const void *data, size_t size)
{
	return memcpy(pages(1) + page_size() - size, data, size);
}

/* The last byte cannot be read. */
static void *put_straddle(const void *data, size_t size)
{
	return memcpy(pages(1) + page_size() - size + 1, data, size - 1);
}

/* The family can be read, and no more. */
static void *put_straddle_early(const void *data, size_t size)
{
	(void)size;
	return memcpy(pages(1) + page_size() - 2, data, 2);
}

static void *put_two_pages(const void *data, size_t size)
{
	return memcpy(pages(2) + page_size() - size / 2, data, size);
}

static void *put_null(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return NULL;
}

static void *put_low(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return (void *)8;
}

static void *put_none(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return pages(0);
}

static void *put_unmapped(const void *data, size_t size)
{
	char *room = pages(2);

	(void)data;
	(void)size;
	munmap(room, 3 * page_size());
	return room;
}

/* The kernel's own half */
static void *put_kernel(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return (void *)(uintptr_t)-8192;
}

/* So near to the end that it wraps around */
static void *put_last(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return (void *)(uintptr_t)-4;
}

/* No address at all, where they have 64 bits */
static void *put_impossible(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return (void *)(UINTPTR_MAX / 2 + 1);
}

/* Within what malloc has of the program break */
static void *put_heap_none(const void *data, size_t size)
{
	size_t page = page_size();
	uintptr_t room = (uintptr_t)malloc(4 * page);

	(void)data;
	(void)size;
	room = (room + page) & ~(page - 1);
	mprotect((void *)(room + page), page, PROT_NONE);
	return (void *)(room + page);
}

static void *put_heap_straddle(const void *data, size_t size)
{
	return memcpy((char *)put_heap_none(NULL, 0) - size + 1, data, size - 1);
}

static void *put_heap_unmapped(const void *data, size_t size)
{
	char *room = put_heap_none(data, size);

	munmap(room, page_size());
	return room;
}

static char own_pages[3 * 65536];

static void *put_static_none(const void *data, size_t size)
{
	size_t page = page_size();
	char *room = (char *)(((uintptr_t)own_pages + 2 * page) & ~(page - 1));

	(void)data;
	(void)size;
	mprotect(room, page, PROT_NONE);
	return room;
}

static void *put_static_straddle(const void *data, size_t size)
{
	return memcpy((char *)put_static_none(NULL, 0) - size + 1, data, size - 1);
}

static void *put_execute_only(const void *data, size_t size)
{
	char *room = pages(2);

	memcpy(room, data, size);
	mprotect(room, 2 * page_size(), PROT_EXEC);
	return room;
}

/* A file that is shorter than its mapping: SIGBUS for who reads there */
static void *put_file_end(const void *data, size_t size)
{
	int fd = memfd_create("short", 0);
	char *room;

	(void)data;
	(void)size;
	room = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return room;
}

const struct place address_places[] = {
	{ "static", put_static },
	{ "heap", put_heap },
	{ "map", put_map },
	{ "misaligned", put_misaligned },
	{ "read-only", put_read_only },
	{ "page-end", put_page_end },
	{ "two-pages", put_two_pages },
	{ "straddle", put_straddle },
	{ "straddle-early", put_straddle_early },
	{ "null", put_null },
	{ "low", put_low },
	{ "none", put_none },
	{ "unmapped", put_unmapped },
	{ "kernel", put_kernel },
	{ "last", put_last },
	{ "impossible", put_impossible },
	{ "heap-none", put_heap_none },
	{ "heap-straddle", put_heap_straddle },
	{ "heap-unmapped", put_heap_unmapped },
	{ "static-none", put_static_none },
	{ "static-straddle", put_static_straddle },
	{ "execute-only", put_execute_only },
	{ "file-end", put_file_end },
};
const size_t address_places_count = COUNT(address_places);

const struct place *address_place(const char *name)
{
	size_t i;

	for (i = 0; i < address_places_count; i++)
		if (!strcmp(address_places[i].name, name))
			return &address_places[i];
	return NULL;
}

void address_say(const char *name, const void *address, socklen_t len)
{
	const union address *at = address;
	char text[INET6_ADDRSTRLEN] = "?";

	if (at->sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &at->in4.sin_addr, text, sizeof(text));
	else if (at->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &at->in6.sin6_addr, text, sizeof(text));
	transparent_say("%s=%d,%s,%s,%u", name, at->sa.sa_family, text,
			transparent_port(ntohs(at->in4.sin_port)), len);
}
