/* waits: calls that wait, or are interrupted while they do. */
#include "transparent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
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

/* The system call that the case's process waits in, as the kernel says; -1: it does not wait. */
static int waits_in(pid_t process)
{
	char path[32], text[256];
	int number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", process);
	file = fopen(path, "r");
	if (!file)
		_exit(96);
	/* "running", or the number and what goes with it */
	if (fgets(text, sizeof(text), file) && sscanf(text, "%d", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

static bool is_ours(int call)
{
	static const int calls[] = { SYS_accept,   SYS_accept4, SYS_connect,
				     SYS_recvmmsg, SYS_recvmsg, SYS_sendto };
	size_t i;

	for (i = 0; i < COUNT(calls); i++)
		if (call == calls[i])
			return true;
	return false;
}

/* Shared: another signal is wanted. */
static atomic_bool *wanted;

/* Another process, which has no socket of the case's, sends a signal to who waits in such a call. */
static void start_interrupter(void)
{
	pid_t process = getpid();

	wanted = mmap(NULL, sizeof(*wanted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (wanted == MAP_FAILED)
		_exit(96);
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == process) {
		if (*wanted && is_ours(waits_in(process))) {
			*wanted = false;
			kill(process, SIGUSR2);
		}
		sched_yield();
	}
	_exit(0);
}

static void interrupt_once_it_waits(void (*handler)(int), int flags)
{
	const struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR2, &action, NULL);
	*wanted = true;
}

static void limit(int fd, int option, int ms)
{
	const struct timeval time = { ms / 1000, ms % 1000 * 1000 };

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

	start_interrupter();
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
		interrupt_once_it_waits(interrupt, 0);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "restarted")) {
		interrupt_once_it_waits(make_room, SA_RESTART);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "twice")) {
		interrupt_once_it_waits(interrupt, 0);
		connect_to_full(scene.fd, wait->kind);
		interrupt_once_it_waits(interrupt, SA_RESTART);
		/* not come to: where there is a limit, no call is restarted */
		limit(scene.fd, SO_SNDTIMEO, 60000);
		connect_to_full(scene.fd, wait->kind);
	} else if (!strcmp(way, "sendto-fastopen")) {
		len = address_loopback(wait->kind, transparent_ports.full, &address);
		interrupt_once_it_waits(interrupt, 0);
		CALL(sendto(scene.fd, "x", 1, MSG_FASTOPEN, &address.sa, len));
		CALL(sendto(scene.fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT, &address.sa, len));
	} else if (!strcmp(way, "put-off")) {
		setsockopt(scene.fd, IPPROTO_TCP, 30, &(int){ 1 }, sizeof(int));
		interrupt_once_it_waits(interrupt, 0);
		connect_to_full(scene.fd, wait->kind);
		CALL(send(scene.fd, "x", 1, MSG_DONTWAIT));
	} else if (!strcmp(way, "send")) {
		len = address_loopback(wait->kind, transparent_ports.peer, &address);
		CALL(connect(scene.fd, &address.sa, len));
		interrupt_once_it_waits(interrupt, 0);
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
		interrupt_once_it_waits(interrupt, 0);
		CALL(recvmsg(scene.fd, &message.msg_hdr, 0));
		limit(scene.fd, SO_RCVTIMEO, 300);
		CALL(recvmmsg(scene.fd, &message, 1, 0, NULL));
	} else {
		interrupt_once_it_waits(interrupt, 0);
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
