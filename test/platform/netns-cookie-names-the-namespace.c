/*
 * Fact: SO_NETNS_COOKIE is the same for all sockets of one network namespace,
 * differs between two, and stays the same when its process enters another namespace. An
 * unprivileged process can read it.
 *
 * Source: sock_net(sk)->net_cookie, SO_NETNS_COOKIE in sk_getsockopt(),
 * net/core/sock.c (Linux 5.14).
 *
 * So portfence can tell whether a socket belongs to the namespace whose sysctls
 * and sock_diag it reads.
 */
#include "platform.h"

static uint64_t cookie(int fd)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &value, &len) < 0) {
		if (errno == ENOPROTOOPT)
			skip("the kernel has no SO_NETNS_COOKIE");
		fail("SO_NETNS_COOKIE: %s", strerror(errno));
	}
	return value;
}

static void read_cookie(void *arg)
{
	const uint64_t *want = arg;
	int fd = udp4();

	check(cookie(fd) == *want, "expected the same cookie for an unprivileged process");
	close(fd);
}

int main(void)
{
	int tcp, udp, moved;
	uint64_t here;

	begin();
	tcp = tcp4();
	udp = open_socket(AF_INET6, SOCK_DGRAM, 0);
	here = cookie(tcp);
	check(here != 0, "expected a cookie other than 0");
	check(cookie(udp) == here, "expected one cookie for both sockets of a namespace");
	as_nobody(read_cookie, &here);

	if (unshare(CLONE_NEWNET) < 0)
		skip("cannot make another network namespace: %s", strerror(errno));
	moved = tcp4();
	check(cookie(moved) != here, "expected another cookie in another namespace");
	check(cookie(tcp) == here, "expected a socket to keep its namespace's cookie");
	close(moved);
	close(udp);
	close(tcp);
	return HOLDS;
}
