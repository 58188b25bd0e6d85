/*
 * counted: calls whose system calls are to be counted. Run it under strace: a write to no descriptor
 * names each call before it is made, and another one, "end", follows it.
 *
 *   counted FAMILY PORT [PLACE [shared]]
 *
 * FAMILY is 4 or 6. The destination is PORT of this host, where TCP is listened to. PLACE is where
 * addresses are: stack (default), heap, static, or arena, which is another thread's heap and stack.
 * With `shared`, connections to PORT + 1 hold every port first, and connects are counted that share one.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMES 4
#define SHARED_TIMES 20

static int family;
static const char *place = "stack";
static bool shared;

static void mark(const char *name)
{
	syscall(SYS_write, -1, name, strlen(name));
}

/* @call in between two marks */
#define COUNT(name, call)                                                                          \
	do {                                                                                       \
		long count_result;                                                                 \
                                                                                                   \
		mark(name);                                                                        \
		count_result = call;                                                               \
		mark("end");                                                                       \
		if (count_result < 0) {                                                            \
			perror(name);                                                              \
			exit(2);                                                                   \
		}                                                                                  \
	} while (0)

/* Copies what is handed to the kernel to where it is to be. */
static void *put(void *data, size_t size)
{
	static char room[1 << 16] __attribute__((aligned(16)));
	static size_t used;
	void *copy;

	if (!strcmp(place, "stack"))
		return data;
	if (!strcmp(place, "static")) {
		copy = room + used;
		used += (size + 15) / 16 * 16;
	} else {
		copy = malloc(size);
	}
	if (!copy || used > sizeof(room))
		abort();
	return memcpy(copy, data, size);
}

static const char *prefix = "";

static const char *numbered(const char *name, int i)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s%s-%d", prefix, name, i);
	return text;
}

static int new_socket(int type)
{
	return socket(family, type, 0);
}

static void sends(struct sockaddr_storage peer, socklen_t len)
{
	char byte = 'x';
	struct iovec data = { &byte, 1 };
	struct sockaddr *to = put(&peer, sizeof(peer));
	struct msghdr message = {
		.msg_name = to, .msg_namelen = len, .msg_iov = &data, .msg_iovlen = 1
	};
	struct mmsghdr two[2] = { { .msg_hdr = message }, { .msg_hdr = message } };
	const struct msghdr *one = put(&message, sizeof(message));
	struct mmsghdr *messages = put(two, sizeof(two));
	int fd = new_socket(SOCK_DGRAM), i;

	for (i = 1; i <= TIMES; i++)
		COUNT(numbered("sendto", i), sendto(fd, "x", 1, 0, to, len));
	close(fd);
	fd = new_socket(SOCK_DGRAM);
	for (i = 1; i <= TIMES; i++)
		COUNT(numbered("sendmsg", i), sendmsg(fd, one, 0));
	close(fd);
	fd = new_socket(SOCK_DGRAM);
	for (i = 1; i <= TIMES; i++)
		COUNT(numbered("sendmmsg", i), sendmmsg(fd, messages, 2, 0));
	close(fd);
}

/* A server's socket, which the program has bound itself. */
static void replies(struct sockaddr_storage peer, socklen_t len, struct sockaddr_storage local)
{
	const struct sockaddr *to = put(&peer, sizeof(peer));
	int fd = new_socket(SOCK_DGRAM), i;

	if (bind(fd, put(&local, sizeof(local)), len)) {
		perror("bind");
		exit(2);
	}
	for (i = 1; i <= TIMES; i++)
		COUNT(numbered("reply", i), sendto(fd, "x", 1, 0, to, len));
	close(fd);
}

static void connects(struct sockaddr_storage peer, socklen_t len)
{
	const struct sockaddr *to = put(&peer, sizeof(peer));
	int fd, i;

	for (i = 1; i <= TIMES; i++) {
		fd = new_socket(SOCK_STREAM);
		COUNT(numbered("connect", i), connect(fd, to, len));
		COUNT(numbered("send", i), send(fd, "x", 1, 0));
		COUNT(numbered("write", i), write(fd, "x", 1));
		close(fd);
	}
}

static void binds(struct sockaddr_storage any, socklen_t len, struct sockaddr_storage local)
{
	const struct sockaddr *to = put(&any, sizeof(any)), *named = put(&local, sizeof(local));
	int fd;

	fd = new_socket(SOCK_STREAM);
	/* once, for the page that the addresses are in */
	if (bind(fd, to, len)) {
		perror("bind");
		exit(2);
	}
	close(fd);
	fd = new_socket(SOCK_STREAM);
	COUNT("bind-tcp", bind(fd, to, len));
	close(fd);
	fd = new_socket(SOCK_DGRAM);
	COUNT("bind-udp", bind(fd, to, len));
	close(fd);
	fd = new_socket(SOCK_STREAM);
	COUNT("bind-explicit", bind(fd, named, len));
	COUNT("listen-explicit", listen(fd, 1));
	close(fd);
}

static void connect_unix(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "unix.sock" };
	const struct sockaddr *addr = put(&name, sizeof(name));
	int server = socket(AF_UNIX, SOCK_STREAM, 0), fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (bind(server, addr, sizeof(name)) || listen(server, 1)) {
		perror(name.sun_path);
		exit(2);
	}
	COUNT("connect-unix", connect(fd, addr, sizeof(name)));
	COUNT("send-unix", send(fd, "x", 1, 0));
	COUNT("write-unix", write(fd, "x", 1));
	close(server);
	close(fd);
}

static void set_port(struct sockaddr_storage *addr, int port)
{
	/* at one place in both families */
	((struct sockaddr_in *)addr)->sin_port = htons((uint16_t)port);
}

/* A server of its own takes what holds the ports, up to the first connect that finds none left. */
static void share(struct sockaddr_storage peer, socklen_t len, struct sockaddr_storage other)
{
	const struct sockaddr *to = put(&peer, sizeof(peer));
	static const struct linger reset = { .l_onoff = 1 };
	int server = new_socket(SOCK_STREAM), fd, i;

	if (bind(server, (struct sockaddr *)&other, len) || listen(server, 1000)) {
		perror("listen");
		exit(2);
	}
	while (!connect(new_socket(SOCK_STREAM), (struct sockaddr *)&other, len))
		;
	for (i = 1; i <= SHARED_TIMES; i++) {
		fd = new_socket(SOCK_STREAM);
		COUNT(numbered("shared", i), connect(fd, to, len));
		/* so that the next one finds every port free for its destination */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
}

static void *calls(void *argument)
{
	struct sockaddr_storage any = { 0 }, peer, local;
	socklen_t len;
	pid_t pid;
	int status;

	len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	any.ss_family = (sa_family_t)family;
	peer = any;
	if (family == AF_INET)
		((struct sockaddr_in *)&peer)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&peer)->sin6_addr = in6addr_loopback;
	local = peer;
	set_port(&peer, *(int *)argument);
	set_port(&local, *(int *)argument + 1);
	if (shared) {
		share(peer, len, local);
		return NULL;
	}
	/* first, as long as no connection holds a port */
	binds(any, len, local);
	sends(peer, len);
	replies(peer, len, local);
	connects(peer, len);
	connect_unix();
	pid = fork();
	if (!pid) {
		prefix = "child-";
		sends(peer, len);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		exit(1);
	return NULL;
}

int main(int argc, char *argv[])
{
	pthread_t thread;
	int port;

	if (argc < 3)
		return 2;
	family = argv[1][0] == '6' ? AF_INET6 : AF_INET;
	port = atoi(argv[2]);
	place = argc > 3 ? argv[3] : place;
	shared = argc > 4;
	if (strcmp(place, "arena") != 0)
		calls(&port);
	else if (pthread_create(&thread, NULL, calls, &port) || pthread_join(thread, NULL))
		return 1;
	return 0;
}
