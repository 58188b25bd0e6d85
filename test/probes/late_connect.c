/*
 * late_connect: a thread's connect may go on, but the thread gets no processor; then another thread
 * connects. Both connect to PORT of this host, by system calls that no library sees.
 *
 *   late_connect PORT [BINDS]
 *
 * Prints "ready", then reads the supervisor's process id from standard input, then prints
 * "ERRNO ERRNO": the result of the late connect and of the other one. In the place of the other one, it may make so
 * many sockets, and bind each to port 0. Exit status 77 where the
 * machine lacks two processors, or the right to run a thread in real time on one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in peer = { .sin_family = AF_INET };
static int sockets[2]; /* made before the supervisor is stopped, which may be the one to make them */
static int here, there; /* processors: of all the others, and of the late one */
static _Atomic pid_t late;
static _Atomic bool busy, over;

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void pin(pid_t thread, int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(thread, sizeof(set), &set))
		die("sched_setaffinity");
}

static const char *connect_now(int fd)
{
	return syscall(SYS_connect, fd, &peer, sizeof(peer)) ? strerrorname_np(errno) : "0";
}

/* Return: the first error, else 0 */
static const char *bind_now(int binds)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	const char *error = "0";

	for (; binds && !strcmp(error, "0"); binds--) {
		int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

		if (syscall(SYS_bind, fd, &any, sizeof(any)))
			error = strerrorname_np(errno);
		close(fd);
	}
	return error;
}

static void *be_late(void *ret_error)
{
	pin(0, there);
	atomic_store(&late, (pid_t)syscall(SYS_gettid));
	*(const char **)ret_error = connect_now(sockets[0]);
	return NULL;
}

static bool set_priority(int policy, int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	return !sched_setscheduler(0, policy, &param);
}

/* Whoever is not of real time gets nothing of this processor. */
static void *take_processor(void *unused)
{
	pin(0, there);
	if (!set_priority(SCHED_FIFO, 1))
		die("sched_setscheduler");
	atomic_store(&busy, true);
	while (!atomic_load(&over))
		;
	return unused;
}

/* Waits until @wanted stands in a file, at its beginning or at that of a line. */
static void wait_for(const char *path, const char *wanted)
{
	char text[1024] = "\n";
	FILE *file;
	size_t n;

	do {
		file = fopen(path, "r");
		if (!file)
			die(path);
		n = fread(text + 1, 1, sizeof(text) - 2, file);
		text[n + 1] = '\0';
		fclose(file);
	} while (!strstr(text, wanted));
}

static void start(pthread_t *ret_thread, void *(*body)(void *), void *argument)
{
	if (pthread_create(ret_thread, NULL, body, argument))
		die("pthread_create");
}

int main(int argc, char *argv[])
{
	const char *first = NULL, *second;
	pthread_t threads[2];
	char path[64], connects[32];
	cpu_set_t set;
	int supervisor, i;

	puts("ready");
	fflush(stdout);
	if (argc < 2 || scanf("%d", &supervisor) != 1)
		return 2;
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons((in_port_t)atoi(argv[1]));
	if (sched_getaffinity(0, sizeof(set), &set))
		die("sched_getaffinity");
	if (CPU_COUNT(&set) < 2 || !set_priority(SCHED_FIFO, 1) || !set_priority(SCHED_OTHER, 0))
		return 77;
	while (!CPU_ISSET(here, &set))
		here++;
	for (there = here + 1; !CPU_ISSET(there, &set);)
		there++;
	pin(0, here);
	pin(supervisor, here);
	for (i = 0; i < 2; i++) {
		sockets[i] = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
		if (sockets[i] < 0)
			die("socket");
	}
	/* its call waits until the processor is taken */
	kill(supervisor, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/status", supervisor);
	wait_for(path, "\nState:\tT");
	start(&threads[0], be_late, &first);
	while (!atomic_load(&late))
		;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)atomic_load(&late));
	snprintf(connects, sizeof(connects), "\n%d ", (int)SYS_connect);
	wait_for(path, connects);
	start(&threads[1], take_processor, NULL);
	while (!atomic_load(&busy))
		;
	kill(supervisor, SIGCONT);
	second = argc > 2 ? bind_now(atoi(argv[2])) : connect_now(sockets[1]);
	atomic_store(&over, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("%s %s\n", first, second);
	return 0;
}
