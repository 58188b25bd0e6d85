/*
 * Fact: connect(AF_UNSPEC) clears SO_BINDTODEVICE on a UDP socket, bound by
 * hand or not; on a TCP socket it does not.
 *
 * Source: __udp_disconnect(), net/ipv4/udp.c: "sk->sk_bound_dev_if = 0".
 *
 * So if portfence uses connect(AF_UNSPEC) on a program's UDP socket, to give a port
 * back, it must save and restore the device.
 */
#include "platform.h"

#include <net/if.h>

static bool is_bound_to_lo(int fd)
{
	char name[IFNAMSIZ] = "";
	socklen_t len = sizeof(name);

	must(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), "SO_BINDTODEVICE");
	return len > 0 && strcmp(name, "lo") == 0;
}

static void after_unspec(const char *what, int type, unsigned int port, bool want)
{
	int fd = open_socket(AF_INET, type, 0);

	must(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), "SO_BINDTODEVICE");
	if (port)
		expect("bind", try_bind(fd, "127.0.0.1", port), 0);
	check(is_bound_to_lo(fd), "%s: expected SO_BINDTODEVICE to read back as set", what);
	expect("connect(AF_UNSPEC)", try_disconnect(fd), 0);
	check(is_bound_to_lo(fd) == want, "%s: expected the device to be %s", what,
	      want ? "kept" : "cleared");
	close(fd);
}

int main(void)
{
	begin();
	after_unspec("unbound UDP", SOCK_DGRAM, 0, false);
	after_unspec("bound UDP", SOCK_DGRAM, 20000, false);
	after_unspec("unbound TCP", SOCK_STREAM, 0, true);
	after_unspec("bound TCP", SOCK_STREAM, 20000, true);
	return HOLDS;
}
