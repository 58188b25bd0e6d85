/*
 * Fact: SO_PROTOCOL of a UDP-Lite socket is 136, its SO_TYPE SOCK_DGRAM.
 *
 * Source: net/ipv4/udplite.c; SO_PROTOCOL in sk_getsockopt(), net/core/sock.c.
 *
 * So portfence knows a UDP-Lite socket when it meets one.
 */
#include "platform.h"

int main(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	begin();
	for (i = 0; i < 2; i++) {
		int fd = open_socket(families[i], SOCK_DGRAM, IPPROTO_UDPLITE);

		check(get_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDPLITE,
		      "expected SO_PROTOCOL 136, found %d",
		      get_option(fd, SOL_SOCKET, SO_PROTOCOL));
		check(get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM, "expected SOCK_DGRAM");
		close(fd);
	}
	return HOLDS;
}
