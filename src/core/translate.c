#include "translate.h"

#include "assign.h"
#include "diag.h"
#include "signals.h"

/*
 * Theory of operation
 *
 * A program that insists on port 8080 binds to a port of its own range instead,
 * and whoever of the same run means 8080 of this machine reaches it there.
 * Neither is to notice. What goes to other machines, or comes from there, is not
 * touched: their port 8080 is another one. Where nobody can tell whose an address
 * is, the call fails: it could reach a stranger.
 *
 * The ports in place of others are given to nobody else (portmap_take_out()). So a
 * socket of this machine with such a port is one of the run's.
 */

static const struct portmap *map_of(const struct fence *fence)
{
	return fence->rule ? fence->rule->map : NULL;
}

static bool is_inet(const union addr *addr)
{
	return addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6;
}

/* Return: 1, 0, or -errno if that cannot be told */
static int is_local(const struct fence *fence, int fd, const union addr *addr)
{
	struct signals signals;
	struct diag diag;
	int local;

	if (addr_is_loopback(addr) || addr_is_any(addr) || addr_is_group(addr))
		return 1;
	signals_hold(&signals);
	diag_start(&diag, fence->calls, fd);
	local = diag_is_local(&diag, addr);
	diag_end(&diag);
	signals_release(&signals);
	return local;
}

uint16_t translate_bind(const struct fence *fence, int fd, union addr *addr)
{
	/* bind() takes AF_UNSPEC for AF_INET, and addr_port() does so, too */
	uint16_t asked = addr_port(addr), real = portmap_real(map_of(fence), asked);

	if (!real || !assign_fences(fence, fd))
		return 0;
	addr_set_port(addr, real);
	return asked;
}

int translate_to(const struct fence *fence, int fd, union addr *addr)
{
	/* a send over IPv4 takes AF_UNSPEC for AF_INET, too (net/ipv4/udp.c, udp_sendmsg) */
	uint16_t real = portmap_real(map_of(fence), addr_port(addr));
	int local = real && assign_fences(fence, fd) ? is_local(fence, fd, addr) : 0;

	if (local > 0)
		addr_set_port(addr, real);
	return local;
}

bool translate_local(const struct fence *fence, union addr *addr)
{
	uint16_t asked = is_inet(addr) ? portmap_asked(map_of(fence), addr_port(addr)) : 0;

	if (asked)
		addr_set_port(addr, asked);
	return asked;
}

bool translate_from(const struct fence *fence, int fd, union addr *addr)
{
	uint16_t asked = is_inet(addr) ? portmap_asked(map_of(fence), addr_port(addr)) : 0;

	if (!asked || is_local(fence, fd, addr) != 1)
		return false;
	addr_set_port(addr, asked);
	return true;
}
