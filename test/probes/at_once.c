/*
 * at_once: threads whose first sockets are made, connected and closed at the same moment.
 *
 *   at_once PORT THREADS [closed]      closed: in a process that nobody may look into (PR_SET_DUMPABLE)
 *
 * Prints a line for each call that fails: "CALL ERRNO".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in peer = { .sin_family = AF_INET };
static pthread_barrier_t start;

static void *client(void *unused)
{
	int fd;

	(void)unused;
	pthread_barrier_wait(&start);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		printf("socket %s\n", strerrorname_np(errno));
	else if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)))
		printf("connect %s\n", strerrorname_np(errno));
	close(fd);
	return NULL;
}

int main(int argc, char *argv[])
{
	pthread_t ids[64];
	int threads, i;

	if (argc < 3)
		return 2;
	peer.sin_port = htons((in_port_t)atoi(argv[1]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	threads = atoi(argv[2]);
	if (argc > 3 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return 2;
	if (pthread_barrier_init(&start, NULL, (unsigned)threads))
		return 2;
	for (i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, client, NULL))
			return 2;
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return 0;
}
