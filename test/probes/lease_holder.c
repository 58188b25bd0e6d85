/*
 * lease_holder: holds a lease, and proves that nobody else holds it. For each port from PORTFENCE_FIRST
 * to PORTFENCE_LAST it takes two things that only one process can have, and that go with the process:
 * an abstract UNIX socket, which no search for used ports sees, and the TCP port itself.
 *
 *	lease_holder end	then ends
 *	lease_holder child	leaves a child that holds them for some moments more
 *	lease_holder wait	waits to be killed
 *
 * Prints "held 20000-20009", or "clash 20003 name: ..." where something is taken. Exit status: 0; 1 for a clash;
 * 2 if it cannot be tried.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PF_EXITING 0x4 /* include/linux/sched.h */

static int name_fd[65536];

/* The name's address. Return: its length */
static socklen_t name_of(int port, struct sockaddr_un *ret_name)
{
	int len;

	memset(ret_name, 0, sizeof(*ret_name));
	ret_name->sun_family = AF_UNIX;
	len = sprintf(ret_name->sun_path + 1, "lease_holder-%d", port);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

/*
 * Does a process that lives hold the name? One that ends leaves its filter, and so its lease, before its
 * files are closed (kernel/exit.c, do_exit(), since Linux 6.11); the kernel then shows PF_EXITING.
 */
static bool is_held_by_the_living(const struct sockaddr_un *name, socklen_t name_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	char path[64], text[1024] = "";
	unsigned flags = PF_EXITING;
	FILE *file = NULL;

	if (!connect(fd, (const struct sockaddr *)name, name_len) &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		snprintf(path, sizeof(path), "/proc/%d/stat", peer.pid);
		file = fopen(path, "r");
	}
	close(fd);
	if (!file)
		return false;
	if (fgets(text, sizeof(text), file) && strrchr(text, ')'))
		sscanf(strrchr(text, ')') + 1, " %*c %*s %*s %*s %*s %*s %u", &flags);
	fclose(file);
	return !(flags & PF_EXITING);
}

/* Return: what is taken, NULL if it is this process's now */
static const char *take_port(int port)
{
	struct sockaddr_in tcp = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_un name;
	socklen_t len = name_of(port, &name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (bind(fd, (struct sockaddr *)&name, len))
		if (errno != EADDRINUSE || is_held_by_the_living(&name, len))
			return "name";
	/* its backlog is for whoever asks who holds it */
	if (listen(fd, SOMAXCONN))
		return "name";
	name_fd[port] = fd;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	return bind(fd, (struct sockaddr *)&tcp, sizeof(tcp)) ? "port" : NULL;
}

int main(int argc, char *argv[])
{
	const char *first = getenv("PORTFENCE_FIRST"), *last = getenv("PORTFENCE_LAST");
	const char *taken;
	int port;

	if (argc != 2 || !first || !last)
		return 2;
	for (port = atoi(first); port <= atoi(last); port++) {
		taken = take_port(port);
		if (!taken)
			continue;
		printf("clash %d %s: %s\n", port, taken, strerror(errno));
		return 1;
	}
	printf("held %s-%s\n", first, last);
	fflush(stdout);
	if (!strcmp(argv[1], "child") && !fork()) {
		/* the names are this process's from now on */
		for (port = atoi(first); port <= atoi(last); port++)
			listen(name_fd[port], SOMAXCONN);
		poll(NULL, 0, 20);
	} else if (!strcmp(argv[1], "wait"))
		pause();
	return 0;
}
