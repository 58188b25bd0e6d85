/*
 * storm: a timer's signal interrupts the calls again and again, and its handler makes calls itself.
 *
 *	storm TIMES STACK     until the handler has run so often; STACK: the size of its own stack, 0 for
 *	                      none. What main() and the handler got is counted, not listed:
 *	                      "main CALL LOWEST HIGHEST FAILED", "handler ..."
 *	storm TIMES jump      the handler makes no calls, but leaves by siglongjmp(), "jumped often" in a tenth
 *	                      of so many; "descriptors N" tells how many are open then that were not before
 *	storm TIMES sctp      likewise, of bind() over SCTP to an address of this host
 */
#include "calls.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

struct seen {
	int lowest, highest, failed;
};

static struct seen in_main[CALLS_KINDS], in_handler[CALLS_KINDS];
static volatile sig_atomic_t signals, jumps, ready;
static sigjmp_buf back;

static void note(struct seen *seen, enum calls_kind kind)
{
	int fd, error = calls_make(kind, &fd), port = fd < 0 ? 0 : calls_port(fd);

	close(fd);
	seen += kind;
	seen->failed += error != 0;
	if (port && (!seen->lowest || port < seen->lowest))
		seen->lowest = port;
	if (port > seen->highest)
		seen->highest = port;
}

static void on_alarm(int unused)
{
	int saved = errno;

	(void)unused;
	note(in_handler, (enum calls_kind)(signals++ % CALLS_KINDS));
	errno = saved;
}

static void on_alarm_jump(int unused)
{
	(void)unused;
	signals++;
	if (ready) {
		ready = 0;
		siglongjmp(back, 1);
	}
}

static void tell(const char *place, const struct seen *seen)
{
	int kind;

	for (kind = 0; kind < CALLS_KINDS; kind++)
		printf("%s %s %d %d %d\n", place, calls_names[kind], seen[kind].lowest,
		       seen[kind].highest, seen[kind].failed);
}

static void begin(void (*handler)(int), size_t stack)
{
	const struct itimerval often = { { 0, 101 }, { 0, 101 } };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	stack_t own = { .ss_size = stack };

	if (stack) {
		/* its end lies before memory that is not there */
		char *room =
			mmap(NULL, stack + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		own.ss_sp = room + 4096;
		mprotect(room + 4096, stack, PROT_READ | PROT_WRITE);
		if (sigaltstack(&own, NULL)) {
			perror("sigaltstack");
			exit(2);
		}
		action.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void end(void)
{
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &never, NULL);
}

/* not in line: the compiler fears for what siglongjmp() could do to its variables */
__attribute__((noinline)) static int descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The program's own socket is closed whatever happens, so what stays is somebody else's. */
static void jump(long times, int protocol)
{
	struct sockaddr_in other = calls_peer(CALLS_TCP);
	int before, kind, i;
	volatile int fd = -1;

	/* a port that is held has to be asked about */
	other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	for (i = 0; i < 2; i++)
		connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&other, sizeof(other));
	before = descriptors();
	begin(on_alarm_jump, 0);
	/* how many come while the call is made is chance: on until there are enough, but not for ever */
	for (kind = 0; signals < times || (jumps <= times / 10 && signals < times * 1000); kind++) {
		struct sockaddr_in peer = calls_peer(CALLS_TCP), any = calls_peer(0);
		const struct linger reset = { 1, 0 };

		fd = socket(AF_INET, SOCK_STREAM, protocol);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (!sigsetjmp(back, 1)) {
			ready = 1;
			if (kind % 4 == 0 || protocol == IPPROTO_SCTP)
				bind(fd, (struct sockaddr *)&any, sizeof(any));
			if (protocol != IPPROTO_SCTP)
				connect(fd, (struct sockaddr *)&peer, sizeof(peer));
			ready = 0;
		} else {
			jumps++;
		}
		close(fd);
	}
	end();
	printf("jumped %s\n", jumps > times / 10 ? "often" : "seldom");
	printf("descriptors %d\n", descriptors() - before);
}

int main(int argc, char *argv[])
{
	long times = argc == 3 ? atol(argv[1]) : 0;
	int kind;

	if (!times)
		return 2;
	if (!strcmp(argv[2], "jump") || !strcmp(argv[2], "sctp")) {
		jump(times, strcmp(argv[2], "sctp") ? 0 : IPPROTO_SCTP);
		return 0;
	}
	begin(on_alarm, strtoul(argv[2], NULL, 10));
	for (kind = 0; signals < times; kind++)
		note(in_main, (enum calls_kind)(kind % CALLS_KINDS));
	end();
	tell("main", in_main);
	tell("handler", in_handler);
	return 0;
}
