#include "translate.h"

#include "assign.h"
#include "diag.h"
#include "signals.h"

/*
 * Theory of operation
 *
 * A program that insists on port 8080 is bound to a port of its range instead, and
 * programs of the same run that connect to port 8080 of this machine reach it there.
 * None of them notices. Traffic with other machines is left alone: their port 8080 is
 * another one. If the kernel does not say whether an address is local, the call fails,
 * as it could reach a stranger.
 *
 * The ports that stand in for others are given to no other socket (portmap_take_out()).
 * So a socket of this machine with such a port belongs to the run.
 */

static const struct portmap *map_of(const struct fence *fence)
{
	return fence->rule ? fence->rule->map : NULL;
}

static bool is_inet(const union addr *addr)
{
	return addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6;
}

/* Return: 1, 0, or -errno if the kernel does not say */
static int is_on_this_machine(const struct fence *fence, int fd, const union addr *addr)
{
	struct signals signals;
	struct diag diag;
	int local;

	if (addr_is_loopback(addr) || addr_is_any(addr) || addr_is_group(addr))
		return 1;
	signals_hold(&signals);
	diag_start(&diag, fence->calls, fd, false);
	local = diag_is_local(&diag, addr);
	diag_end(&diag);
	signals_release(&signals);
	return local;
}

uint16_t translate_bind(const struct fence *fence, int fd, union addr *addr)
{
	/* bind() takes AF_UNSPEC for AF_INET, and so does addr_port() */
	uint16_t asked = addr_port(addr), real = portmap_real(map_of(fence), asked);

	if (!real || !assign_fences(fence, fd))
		return 0;
	addr_set_port(addr, real);
	return asked;
}

int translate_to(const struct fence *fence, int fd, union addr *addr)
{
	/* a send over IPv4 also takes AF_UNSPEC for AF_INET (net/ipv4/udp.c, udp_sendmsg) */
	uint16_t real = portmap_real(map_of(fence), addr_port(addr));
	int local = real && real != addr_port(addr) && assign_fences(fence, fd)
			    ? is_on_this_machine(fence, fd, addr)
			    : 0;

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

	if (!asked || is_on_this_machine(fence, fd, addr) != 1)
		return false;
	addr_set_port(addr, asked);
	return true;
}
