/*
 * fd_race: one thread asks about a descriptor's number again and again, by sends that fail before the
 * kernel would choose a port. Another thread meanwhile gives the number new UDP sockets and sends
 * through them. (Two threads that send hardly ever meet between question and answer.)
 *
 *   fd_race HOW FAMILY PORT TIMES LOW HIGH
 *
 * Prints "HOW FAMILY N outside": how many sockets sent from a port that is not within LOW to HIGH.
 * The destination is PORT of this host.
 *
 * HOW:	dup2, dup3	the new socket is put over the old one
 *	reopen		the old socket is closed, and the new one made under its number
 *	dup		the old socket is closed, and the new one comes to its number by dup()
 *	unspec		the same socket loses its port; no range is set on it any more
 *	signal		dup2() in a signal handler of the thread that asks
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

static const char *how;
static int family, low, high, number;
static struct sockaddr_storage peer;
static socklen_t len;
static long outside;
static _Atomic long asked;
static _Atomic bool ended;

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(2);
	}
	return result;
}

static bool is(const char *word)
{
	return !strcmp(how, word);
}

static int udp(void)
{
	return check(socket(family, SOCK_DGRAM, 0), "socket");
}

static void send_once(void)
{
	sendto(number, "x", 1, 0, (struct sockaddr *)&peer, len);
}

/* There is no such list of buffers: EFAULT, and the socket is as it was. */
static void ask(void)
{
	struct iovec *volatile nowhere = (struct iovec *)8;
	struct msghdr message = {
		.msg_name = &peer, .msg_namelen = len, .msg_iov = nowhere, .msg_iovlen = 1
	};

	if (sendmsg(number, &message, 0) >= 0)
		_exit(3);
}

static void look(void)
{
	struct sockaddr_storage local;
	socklen_t size = sizeof(local);
	int port;

	check(getsockname(number, (struct sockaddr *)&local, &size), "getsockname");
	/* at one place in both families */
	port = ntohs(((struct sockaddr_in *)&local)->sin_port);
	outside += port < low || port > high;
}

static void replace(void)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	uint32_t no_range = 0;
	int fd = -1, made;

	if (is("unspec")) {
		setsockopt(number, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &no_range, sizeof(no_range));
		check(connect(number, &none, sizeof(none)), "connect");
		return;
	}
	if (!is("reopen"))
		fd = udp();
	if (is("dup3")) {
		check(dup3(fd, number, O_CLOEXEC), how);
	} else if (is("reopen") || is("dup")) {
		close(number);
		/* a hook of the other thread may have a descriptor of that number for a moment */
		while ((made = is("dup") ? dup(fd) : udp()) != number) {
			check(made, how);
			close(made);
			sched_yield();
		}
	} else {
		check(dup2(fd, number), how);
	}
	if (fd >= 0)
		close(fd);
}

static void turn(void)
{
	long seen;

	replace();
	seen = atomic_load(&asked);
	/* what was asked of the old socket has come to its end now */
	while (!is("signal") && atomic_load(&asked) == seen)
		sched_yield();
	send_once();
	look();
}

static void *other(void *unused)
{
	while (!atomic_load(&ended)) {
		ask();
		atomic_fetch_add(&asked, 1);
	}
	return unused;
}

static void on_signal(int unused)
{
	(void)unused;
	turn();
}

static void interrupt(long times)
{
	const struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;

	if (sigaction(SIGUSR1, &action, NULL) || pthread_create(&thread, NULL, other, NULL))
		check(-1, "thread");
	while (times--) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	atomic_store(&ended, true);
	pthread_join(thread, NULL);
}

static void run(long times)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, other, NULL))
		check(-1, "thread");
	while (times--)
		turn();
	atomic_store(&ended, true);
	pthread_join(thread, NULL);
}

int main(int argc, char *argv[])
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&peer;

	if (argc != 7)
		return 2;
	how = argv[1];
	family = argv[2][0] == '6' ? AF_INET6 : AF_INET;
	len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	low = atoi(argv[5]);
	high = atoi(argv[6]);
	peer.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&peer)->sin6_addr = in6addr_loopback;
	in4->sin_port = htons((uint16_t)atoi(argv[3]));
	number = udp();
	send_once();
	if (is("signal"))
		interrupt(atol(argv[4]));
	else
		run(atol(argv[4]));
	printf("%s %s %ld outside\n", how, argv[2], outside);
	return 0;
}
