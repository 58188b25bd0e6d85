/*
 * load: many connects from many threads of many processes, and the server that they go to.
 *
 *   load serve PORT [COUNT] on so many ports, TCP and UDP on every address: close each connection
 *                           first (it has sent "s"), by a reset ("r"), or after the client ("c"), as
 *                           its first byte asks; datagrams are swallowed
 *   load PORT CONNECTS PROCESSES THREADS MODE [RATE]
 *                           MODE is server, client (who closes first), hold (nobody does) or refused
 *                           (nobody listens); RATE: connects a second, else as fast as it goes
 *
 * Prints one line: "connected N" and, for each error seen, "ERRNO N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ERRORS 200

static struct sockaddr_in peer = { .sin_family = AF_INET };
static long each;
static char mode;
static long period_ns;       /* from one connect of a thread to its next; 0: none */
static _Atomic long *counts; /* by errno; shared by all processes */

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* A thread that is late does not wait, so that the rate is kept. */
static void wait_until(struct timespec *when)
{
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL))
		;
	when->tv_nsec += period_ns;
	when->tv_sec += when->tv_nsec / 1000000000;
	when->tv_nsec %= 1000000000;
}

static void *client(void *unused)
{
	struct timespec when;
	long i;

	(void)unused;
	clock_gettime(CLOCK_MONOTONIC, &when);
	for (i = 0; i < each; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;
		char byte = mode;

		if (period_ns)
			wait_until(&when);
		if (fd < 0)
			die("socket");
		if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)))
			error = errno;
		/* a connection that the server has to close is waited for; its data is not the point */
		else if (mode == 's' && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
			while (recv(fd, &byte, 1, 0) > 0)
				;
		if (mode != 'h')
			close(fd);
		atomic_fetch_add(&counts[error], 1);
	}
	return NULL;
}

static void run_threads(int threads)
{
	pthread_t ids[64];
	int i;

	for (i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, client, NULL))
			die("pthread_create");
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
}

static int open_server(int type, int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port) };
	int fd = socket(AF_INET6, type, 0), one = 1;

	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("bind");
	return fd;
}

static void watch(int epoll, int fd, bool listens)
{
	struct epoll_event event = { .events = EPOLLIN };

	event.data.u64 = (uint64_t)fd << 1 | listens;
	if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

/* "s" and "r" ask us to close; the end of the stream says that the client has closed. */
static void answer(int fd)
{
	struct linger reset = { .l_onoff = 1 };
	char byte = 0;

	if (read(fd, &byte, 1) == 1 && byte == 'r')
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

__attribute__((noreturn)) static void serve(int port, int count)
{
	struct rlimit files = { 65536, 65536 };
	int epoll = epoll_create1(0);

	setrlimit(RLIMIT_NOFILE, &files);
	/* the first one is the last to listen: who sees it, sees all */
	while (count-- > 0) {
		int fd = open_server(SOCK_STREAM, port + count);

		/* nobody reads it: what it has no room for is dropped, and no sender sees that */
		open_server(SOCK_DGRAM, port + count);
		if (listen(fd, 4096))
			die("listen");
		watch(epoll, fd, true);
	}
	for (;;) {
		struct epoll_event event;
		int fd;

		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		fd = (int)(event.data.u64 >> 1);
		if (event.data.u64 & 1)
			watch(epoll, accept(fd, NULL, NULL), false);
		else
			answer(fd);
	}
}

int main(int argc, char *argv[])
{
	int processes, threads, i;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]), argc == 4 ? atoi(argv[3]) : 1);
	if (argc != 6 && argc != 7)
		return 2;
	peer.sin_port = htons((in_port_t)atoi(argv[1]));
	processes = atoi(argv[3]);
	threads = atoi(argv[4]);
	each = atol(argv[2]) / processes / threads;
	mode = argv[5][0];
	if (argc == 7)
		period_ns = 1000000000L * processes * threads / atol(argv[6]);
	counts = mmap(NULL, ERRORS * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		die("mmap");
	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			run_threads(threads);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	printf("connected %ld", counts[0]);
	for (i = 1; i < ERRORS; i++)
		if (counts[i])
			printf(" %s %ld", strerrorname_np(i), counts[i]);
	putchar('\n');
	return 0;
}
