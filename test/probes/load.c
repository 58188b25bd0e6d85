/*
 * load: many connects from many threads of many processes, and the server that they go to.
 *
 *   load serve PORT         close each connection first (it has sent "s"), or after the client
 *                           ("c"), as its first byte asks
 *   load PORT CONNECTS PROCESSES THREADS MODE [RATE]
 *                           MODE is server, client (who closes first) or refused (nobody listens);
 *                           RATE: connects a second, evenly spread; else as fast as it goes
 *
 * Prints one line: "connected N" and, for each error seen, "ERRNO N".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
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

__attribute__((noreturn)) static void serve(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = -1 };
	int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&peer, sizeof(peer)) || listen(listener, 4096))
		die("listen");
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		char byte;
		int fd;

		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		fd = event.data.fd;
		if (fd >= 0) {
			/* "s" asks us to close; the end of the stream says that the client has closed */
			(void)!read(fd, &byte, 1);
			close(fd);
			continue;
		}
		fd = accept(listener, NULL, NULL);
		event.data.fd = fd;
		if (fd >= 0)
			epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

int main(int argc, char *argv[])
{
	int processes, threads, i;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		peer.sin_port = htons((in_port_t)atoi(argv[2]));
		serve();
	}
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
