/*
 * A holder of a lease, which proves that it is the only one: of each port that
 * PORTFENCE_FIRST and PORTFENCE_LAST name, it takes what one process alone can
 * have, and what goes with the process: an abstract Unix socket, which nobody
 * who looks for used ports sees, and the TCP port itself.
 *
 *	tenant end|child|wait
 *
 * It prints "held 20000-20009", and then ends, or leaves a child that holds them
 * for some moments more, or waits to be killed. Where something is another's, it
 * prints "clash 20003" instead. Exit: 0, 1 for a clash, 2 if it cannot be tried.
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
	int len = sprintf(name.sun_path + 1, "tenant-%d", port);

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
