/*
 * Fact: with IP_BIND_ADDRESS_NO_PORT, bind(addr, 0) takes the address and no
 * port: getsockname says 0, and the socket can be bound again, to that address
 * with a port. A connect then leaves from that address. With a port given the
 * option has no effect.
 *
 * Source: bind_address_no_port in __inet_bind(), net/ipv4/af_inet.c; ip(7).
 *
 * So portfence lets such a bind pass and assigns at connect, keeping the address.
 */
#include "platform.h"

static void expect_address(int fd, const char *ip)
{
	union addr got = name_of(fd), want = addr(ip, 0);

	check(got.in.sin_addr.s_addr == want.in.sin_addr.s_addr,
	      "expected the address %s to be kept, found %#x", ip, ntohl(got.in.sin_addr.s_addr));
}

static void no_port(int type, int protocol)
{
	int fd;

	fd = open_socket(AF_INET, type, protocol);
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	expect("bind to 0", try_bind(fd, "127.0.0.2", 0), 0);
	expect_port("bind to 0", port_of(fd), 0, 0);
	expect_address(fd, "127.0.0.2");
	expect("second bind", try_bind(fd, "127.0.0.2", 20000), 0);
	expect("third bind", try_bind(fd, "127.0.0.2", 20001), -EINVAL);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect_port("connect", port_of(fd), 20000, 20000);
	expect_address(fd, "127.0.0.2");
	close(fd);

	fd = open_socket(AF_INET, type, protocol);
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	confine(fd, 40000, 40009);
	expect("bind to 0", try_bind(fd, "127.0.0.2", 0), 0);
	expect("connect", try_connect(fd, "127.0.0.1", 30000), 0);
	expect_port("connect with the range", port_of(fd), 40000, 40009);
	expect_address(fd, "127.0.0.2");
	close(fd);

	fd = open_socket(AF_INET, type, protocol);
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	expect("bind to a port", try_bind(fd, "127.0.0.2", 20002), 0);
	expect_port("bind to a port", port_of(fd), 20002, 20002);
	close(fd);
}

int main(void)
{
	int server;

	begin();
	ephemeral_range(32768, 60999);
	server = open_server("127.0.0.1", 30000);
	no_port(SOCK_STREAM, 0);
	no_port(SOCK_DGRAM, 0);
	close(server);
	return HOLDS;
}
