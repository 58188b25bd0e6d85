/*
 * Fact: on an AF_INET socket, bind with AF_UNSPEC and the wildcard address is
 * taken as AF_INET, port included; with another address it is EAFNOSUPPORT. On
 * an AF_INET6 socket AF_UNSPEC is EAFNOSUPPORT, and an address shorter than 24
 * bytes EINVAL before the family is looked at.
 *
 * Source: "Compatibility games: accept AF_UNSPEC (mapped to AF_INET) only if
 * s_addr is INADDR_ANY", __inet_bind(), net/ipv4/af_inet.c; inet6_bind_sk(),
 * SIN6_LEN_RFC2133, net/ipv6/af_inet6.c.
 *
 * So such a bind is one to fence.
 */
#include "platform.h"

static int try_unspec(int fd, const char *ip, unsigned int port, socklen_t len)
{
	union addr a = addr(ip, port);

	a.sa.sa_family = AF_UNSPEC;
	return bind(fd, &a.sa, len) < 0 ? -errno : 0;
}

static void unspec(int type)
{
	int fd;

	fd = open_socket(AF_INET, type, 0);
	expect("AF_UNSPEC, loopback", try_unspec(fd, "127.0.0.1", 0, 16), -EAFNOSUPPORT);
	expect("AF_UNSPEC, 15 bytes", try_unspec(fd, "0.0.0.0", 0, 15), -EINVAL);
	expect_port("after failures", port_of(fd), 0, 0);
	confine(fd, 40000, 40009);
	expect("AF_UNSPEC, wildcard", try_unspec(fd, "0.0.0.0", 0, 16), 0);
	expect_port("AF_UNSPEC, wildcard", port_of(fd), 40000, 40009);
	close(fd);

	fd = open_socket(AF_INET, type, 0);
	expect("AF_UNSPEC, a port", try_unspec(fd, "0.0.0.0", 20000, 16), 0);
	expect_port("AF_UNSPEC, a port", port_of(fd), 20000, 20000);
	close(fd);

	fd = open_socket(AF_INET6, type, 0);
	expect("AF_UNSPEC, IPv6", try_unspec(fd, "::", 0, 28), -EAFNOSUPPORT);
	expect("AF_UNSPEC, IPv6, 16 bytes", try_unspec(fd, "::", 0, 16), -EINVAL);
	expect_port("after failures", port_of(fd), 0, 0);
	close(fd);
}

int main(void)
{
	begin();
	ephemeral_range(32768, 60999);
	unspec(SOCK_STREAM);
	unspec(SOCK_DGRAM);
	return HOLDS;
}
