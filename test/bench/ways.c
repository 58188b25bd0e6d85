/*
 * ways: what a call costs from 8 threads at once, however the program is fenced.
 *
 *   ways PORT TIMES    a line for each call: "CALL MICROSECONDS", wall-clock time of all of them by
 *                      their number; destination is PORT of this host, where TCP is listened to
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

static struct sockaddr_in any = { .sin_family = AF_INET }, peer = { .sin_family = AF_INET };
static long times;

static int new_socket(int type)
{
	const struct linger reset = { .l_onoff = 1 };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	/* no TIME_WAIT: the last call finds what the first one found */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return fd;
}

static void check(long result, const char *call)
{
	if (result >= 0)
		return;
	perror(call);
	exit(2);
}

static void *connects(void *unused)
{
	long i;

	for (i = 0; i < times; i++) {
		int fd = new_socket(SOCK_STREAM);

		check(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), "connect");
		close(fd);
	}
	return unused;
}

static void *binds(void *unused)
{
	long i;

	for (i = 0; i < times; i++) {
		int fd = new_socket(SOCK_DGRAM);

		check(bind(fd, (struct sockaddr *)&any, sizeof(any)), "bind");
		close(fd);
	}
	return unused;
}

static void *sockets(void *unused)
{
	long i;

	for (i = 0; i < times; i++)
		close(new_socket(SOCK_DGRAM));
	return unused;
}

static void *sends(void *unused)
{
	int fd = new_socket(SOCK_DGRAM);
	long i;

	for (i = 0; i < times; i++)
		check(sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)), "sendto");
	close(fd);
	return unused;
}

static void measure(const char *name, void *(*work)(void *unused))
{
	struct timespec from, to;
	pthread_t ids[THREADS];
	int i;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < THREADS; i++)
		check(-pthread_create(&ids[i], NULL, work, NULL), "pthread_create");
	for (i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%s %.2f\n", name,
	       ((double)(to.tv_sec - from.tv_sec) * 1e6 +
		(double)(to.tv_nsec - from.tv_nsec) / 1e3) /
		       (double)(times * THREADS));
}

int main(int argc, char *argv[])
{
	if (argc != 3)
		return 2;
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons((in_port_t)atoi(argv[1]));
	times = atol(argv[2]);
	measure("socket", sockets);
	measure("connect", connects);
	measure("bind", binds);
	measure("sendto", sends);
	return 0;
}
