/*
 * lease_holder: holds a lease, and proves that nobody else holds it. For each port from PORTFENCE_FIRST
 * to PORTFENCE_LAST it takes two things that only one process can have, and that go with the process:
 * an abstract UNIX socket, which no search for used ports sees, and the TCP port itself.
 *
 *	lease_holder end	then ends
 *	lease_holder child	leaves a child that holds them for some moments more
 *	lease_holder wait	waits to be killed
 *
 * Prints "held 20000-20009", or "clash 20003" where something is taken. Exit status: 0; 1 for a clash;
 * 2 if it cannot be tried.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int take(int family, const void *addr, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	return bind(fd, addr, len);
}

static int take_port(int port)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct sockaddr_in tcp = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int len = sprintf(name.sun_path + 1, "lease_holder-%d", port);

	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return take(AF_UNIX, &name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) ||
	       take(AF_INET, &tcp, sizeof(tcp));
}

int main(int argc, char *argv[])
{
	const char *first = getenv("PORTFENCE_FIRST"), *last = getenv("PORTFENCE_LAST");
	int port;

	if (argc != 2 || !first || !last)
		return 2;
	for (port = atoi(first); port <= atoi(last); port++) {
		if (!take_port(port))
			continue;
		printf("clash %d %s\n", port, strerror(errno));
		return 1;
	}
	printf("held %s-%s\n", first, last);
	fflush(stdout);
	if (!strcmp(argv[1], "child") && !fork())
		poll(NULL, 0, 20);
	else if (!strcmp(argv[1], "wait"))
		pause();
	return 0;
}
