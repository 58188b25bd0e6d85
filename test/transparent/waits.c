/* waits: calls that wait, or are interrupted while they do. */
#include "transparent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* More than all buffers hold */
static char large[1 << 25];

/* Nobody is there to answer: see scene.c, connecting */
static int full_listener(const struct kind *kind)
{
	union address address;
	socklen_t len = address_loopback(kind, transparent_ports.full, &address);
	int listener = socket(kind->domain, SOCK_STREAM, 0),
	    fd = socket(kind->domain, SOCK_STREAM, 0);

	bind(listener, &address.sa, len);
	listen(listener, 0);
	connect(fd, &address.sa, len);
	return listener;
}

static int listener;

static void interrupt(int number)
{
	(void)number;
}

/* Makes room, so that a call that goes on is answered. */
static void make_room(int number)
{
	(void)number;
	if (accept(listener, NULL, NULL) < 0)
		_exit(95);
}

static void interrupt_after(int ms, void (*handler)(int), int flags)
{
	const struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	const struct itimerspec once = { .it_value = { 0, ms * 1000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	timer_t timer;

	/* not the one timer of alarm(), which ends what hangs */
	sigaction(SIGUSR2, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &once, NULL))
		_exit(96);
}

static void limit(int fd, int option, int ms)
{
	const struct timeval time = { 0, ms * 1000 };

	setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time));
}

static void connect_to_full(int fd, const struct kind *kind)
{
	union address address;
	socklen_t len = address_loopback(kind, transparent_ports.full, &address);
	struct snapshot look;

	CALL(connect(fd, &address.sa, len));
	look_at(fd, &look);
	look_say(NULL, &look);
}

static const char *const ways[] = {
	"nonblock",        "timeout", "interrupted", "restarted", "twice",
	"sendto-fastopen", "put-off", "send",        "receive",   "accept",
};

struct wait {
	const struct kind *kind;
	const char *way;
};

static void run(const void *context)
{
	const struct wait *wait = context;
	const char *way = wait->way;
	union address address;
	struct scene scene;
	socklen_t len;

	scene_open(&scene, wait->kind, scene_state("fresh"));
	listener = full_listener(wait->kind);
	if (!strcmp(way, "nonblock")) {
		fcntl(scene.fd, F_SETFL, O_NONBLOCK);
		connect_to_full(scene.fd, wait->kind);
		connect_to_full(scene.fd, wait->kind);
		CALL(send(scene.fd, "x", 1, 0));
		CALL(connect(scene.fd, &(struct sockaddr){ .sa_family = AF_UNSPEC },
			     sizeof(struct sockaddr)));
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "timeout")) {
		limit(scene.fd, SO_SNDTIMEO, 300);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "interrupted")) {
		interrupt_after(300, interrupt, 0);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "restarted")) {
		interrupt_after(300, make_room, SA_RESTART);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "twice")) {
		interrupt_after(300, interrupt, 0);
		connect_to_full(scene.fd, wait->kind);
		interrupt_after(300, interrupt, SA_RESTART);
		limit(scene.fd, SO_SNDTIMEO, 400);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "sendto-fastopen")) {
		len = address_loopback(wait->kind, transparent_ports.full, &address);
		interrupt_after(300, interrupt, 0);
		CALL(sendto(scene.fd, "x", 1, MSG_FASTOPEN, &address.sa, len));
		CALL(sendto(scene.fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT, &address.sa, len));
	} else if (!strcmp(way, "put-off")) {
		setsockopt(scene.fd, IPPROTO_TCP, 30, &(int){ 1 }, sizeof(int));
		interrupt_after(300, interrupt, 0);
		connect_to_full(scene.fd, wait->kind);
		CALL(send(scene.fd, "x", 1, MSG_DONTWAIT));
	} else if (!strcmp(way, "send")) {
		len = address_loopback(wait->kind, transparent_ports.peer, &address);
		CALL(connect(scene.fd, &address.sa, len));
		interrupt_after(300, interrupt, 0);
		/* how much fits is not for ever the same */
		CALL(send(scene.fd, large, sizeof(large), 0) > 0);
		while (send(scene.fd, large, sizeof(large), MSG_DONTWAIT) > 0)
			;
		limit(scene.fd, SO_SNDTIMEO, 300);
		CALL(send(scene.fd, "xx", 2, 0));
	} else if (!strcmp(way, "receive")) {
		struct iovec data = { large, 1 };
		struct mmsghdr message = { .msg_hdr = { .msg_iov = &data, .msg_iovlen = 1 } };

		len = address_loopback(wait->kind, transparent_ports.peer, &address);
		CALL(connect(scene.fd, &address.sa, len));
		interrupt_after(300, interrupt, 0);
		CALL(recvmsg(scene.fd, &message.msg_hdr, 0));
		limit(scene.fd, SO_RCVTIMEO, 300);
		CALL(recvmmsg(scene.fd, &message, 1, 0, NULL));
	} else {
		interrupt_after(300, interrupt, 0);
		CALL(listen(scene.fd, 1));
		CALL(accept(scene.fd, NULL, NULL));
	}
	scene_close(&scene);
}

void waits_run(void)
{
	static const char *const kinds[] = { "tcp4", "tcp6", "mptcp4" };
	struct wait wait;
	size_t i, j;

	for (i = 0; i < COUNT(kinds); i++)
		for (j = 0; j < COUNT(ways); j++) {
			wait.kind = scene_kind(kinds[i]);
			wait.way = ways[j];
			transparent_case(run, &wait, "waits/%s/%s", kinds[i], ways[j]);
		}
	wait = (struct wait){ scene_kind("udp4"), "receive" };
	transparent_case(run, &wait, "waits/udp4/receive");
}
