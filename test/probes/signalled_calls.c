/*
 * signalled_calls: makes calls in a thread that gets a signal each 200 microseconds.
 *
 *   signalled_calls ACTION TIMES PORT [thread]
 *
 * Prints "CALL", and for each error that was seen "ERRNO N", of socket(), too; and "undone N" for those that a
 * signal ended before anything was done. The destination is PORT of
 * this host. It checks that each socket is as its call's result says: bound or not bound.
 *
 * ACTION: restart or fail: what becomes of a call that is interrupted (sigaction(2), SA_RESTART)
 * thread: another thread runs meanwhile, which gets no signal
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ERRORS 200

static struct sockaddr_in any = { .sin_family = AF_INET }, peer = { .sin_family = AF_INET };

static void handle(int number)
{
	(void)number;
}

static int try_bind(int fd)
{
	return bind(fd, (struct sockaddr *)&any, sizeof(any));
}

static int try_listen(int fd)
{
	return listen(fd, 5);
}

static int try_connect(int fd)
{
	return connect(fd, (struct sockaddr *)&peer, sizeof(peer));
}

static int try_send(int fd)
{
	return (int)sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)) < 0 ? -1 : 0;
}

static int try_bind_unix(int fd)
{
	/* an abstract name, as long as an address of IPv4 at least: a shorter one never stops at the supervisor */
	const struct sockaddr_un own = { .sun_family = AF_UNIX, .sun_path = "\0signalled calls" };

	return bind(fd, (const struct sockaddr *)&own, sizeof(own));
}

static int try_listen_unix(int fd)
{
	const struct sockaddr_un own = { .sun_family = AF_UNIX };

	/* the kernel draws a name (unix(7)) */
	return bind(fd, (const struct sockaddr *)&own, sizeof(sa_family_t)) || listen(fd, 5) ? -1
											     : 0;
}

static const struct {
	const char *name;
	int domain;
	int type;
	int (*make)(int fd);
} calls[] = {
	{ "bind", AF_INET, SOCK_STREAM, try_bind },
	{ "listen", AF_INET, SOCK_STREAM, try_listen },
	{ "connect", AF_INET, SOCK_STREAM, try_connect },
	{ "connect-udp", AF_INET, SOCK_DGRAM, try_connect },
	{ "sendto", AF_INET, SOCK_DGRAM, try_send },
	{ "bind-unix", AF_UNIX, SOCK_STREAM, try_bind_unix },
	{ "listen-unix", AF_UNIX, SOCK_STREAM, try_listen_unix },
};

static bool has_port(int fd)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	/* a supervisor that makes the sockets stops this call, too */
	while (getsockname(fd, (struct sockaddr *)&local, &len))
		if (errno != EINTR)
			return false;
	return local.sin_port;
}

/* A connect() that a signal ends goes on by itself (connect(2)). Does it? */
static bool has_begun(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) && info.tcpi_state != TCP_CLOSE;
}

static void repeat(size_t call, long times)
{
	const struct linger reset = { .l_onoff = 1 };
	long counts[ERRORS] = { 0 }, bare = 0, undone = 0;
	int i, fd;

	while (times-- > 0) {
		fd = socket(calls[call].domain, calls[call].type, 0);
		if (fd < 0) {
			counts[errno]++;
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (calls[call].make(fd)) {
			counts[errno]++;
			undone += errno == EINTR && !has_begun(fd);
		} else if (calls[call].domain == AF_INET)
			bare += !has_port(fd);
		close(fd);
	}
	printf("%s", calls[call].name);
	for (i = 0; i < ERRORS; i++)
		if (counts[i])
			printf(" %s %ld", strerrorname_np(i), counts[i]);
	if (undone)
		printf(" undone %ld", undone);
	if (bare)
		printf(" without a port %ld", bare);
	putchar('\n');
}

static void *wait_for_ever(void *none)
{
	for (;;)
		pause();
	return none;
}

/* It takes over the mask, which has the signal blocked. */
static bool start_thread(void)
{
	pthread_t thread;
	sigset_t alarm, before;
	bool started;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	started = !pthread_create(&thread, NULL, wait_for_ever, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

int main(int argc, char *argv[])
{
	const struct itimerval every = { { 0, 200 }, { 0, 200 } };
	struct sigaction action = { .sa_handler = handle };
	size_t i;

	if (argc < 4)
		return 2;
	if (argc > 4 && !start_thread())
		return 1;
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.sin_port = htons((in_port_t)atoi(argv[3]));
	action.sa_flags = strcmp(argv[1], "restart") ? 0 : SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		repeat(i, atol(argv[2]));
	return 0;
}
