/*
 * stacks: calls on stacks that are small or not libc's, and calls that do not return.
 *
 *	stacks measure		"CALL FIRST AGAIN": how much stack each takes, in bytes from the program's
 *				function down, when it is made first and when it is made again, while another
 *				connection (to 127.0.0.2) holds a port
 *	stacks coroutine	every call on a stack of 16 kB made by makecontext()
 *	stacks thread BYTES	every call in a thread with such a stack; 0: PTHREAD_STACK_MIN
 *	stacks cancel		a thread that waits in connect() is cancelled: "cancel RESULT", whether its
 *				clean-up ran, and what happened to the number of descriptors
 *	stacks leave		siglongjmp() out of a handler that interrupts a connect() that waits: likewise
 *	stacks interrupt	the handler returns: "interrupt ERRNO", likewise
 */
#include "calls.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define MEASURED (64 << 10)
#define PATTERN 0xa5

static ucontext_t here, there;
static enum calls_kind kind;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* The memory before it is not there. */
static char *new_stack(size_t size)
{
	char *room = mmap(NULL, size + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED || mprotect(room + 4096, size, PROT_READ | PROT_WRITE))
		die("mmap");
	return room + 4096;
}

static void run_on(char *stack, size_t size, void (*function)(void))
{
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = size;
	there.uc_link = &here;
	makecontext(&there, function, 0);
	if (swapcontext(&here, &there))
		die("swapcontext");
}

static void one_call(void)
{
	int fd;

	calls_make(kind, &fd);
	close(fd);
}

static size_t measure_once(char *stack)
{
	size_t untouched = 0;

	memset(stack, PATTERN, MEASURED);
	run_on(stack, MEASURED, one_call);
	while ((unsigned char)stack[untouched] == PATTERN)
		untouched++;
	return MEASURED - untouched;
}

static void measure(void)
{
	struct sockaddr_in other = calls_peer(CALLS_TCP);
	char *stack = new_stack(MEASURED);
	int i;

	other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&other, sizeof(other));
	for (i = 0; i < CALLS_KINDS; i++) {
		size_t first, again;

		kind = (enum calls_kind)i;
		first = measure_once(stack);
		again = measure_once(stack);
		printf("%s %zu %zu\n", calls_names[i], first, again);
	}
}

static void all_calls(void)
{
	calls("coroutine");
}

static void *in_thread(void *unused)
{
	calls("thread");
	return unused;
}

static void small_thread(size_t size)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (!size)
		size = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	pthread_attr_init(&attributes);
	if (pthread_attr_setstacksize(&attributes, size) ||
	    pthread_create(&thread, &attributes, in_thread, NULL))
		die("thread");
	pthread_join(thread, NULL);
}

/* ---- connects that wait ---- */

static struct sockaddr_in deaf;
static volatile int cleaned;
static _Atomic pid_t waiting;
static sigjmp_buf back;

/* A listener whose queue is full: the kernel drops what comes. */
static void make_deaf(void)
{
	socklen_t len = sizeof(deaf);
	int fd = socket(AF_INET, SOCK_STREAM, 0), i;

	deaf = calls_peer(7779);
	deaf.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 2);
	if (bind(fd, (struct sockaddr *)&deaf, len) || listen(fd, 0))
		die("listen");
	for (i = 0; i < 3; i++)
		connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&deaf,
			len);
}

static int descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void clean_up(void *unused)
{
	(void)unused;
	cleaned++;
}

static int connect_and_wait(int fd)
{
	waiting = (pid_t)syscall(SYS_gettid);
	return connect(fd, (struct sockaddr *)&deaf, sizeof(deaf)) ? errno : 0;
}

static void *waiter(void *fd)
{
	pthread_cleanup_push(clean_up, NULL);
	connect_and_wait(*(int *)fd);
	pthread_cleanup_pop(0);
	return NULL;
}

/* Until that thread waits in connect(), as the kernel says. */
static void wait_for_connect(pid_t thread)
{
	char path[32], text[256];
	int number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", thread);
	while (number != SYS_connect) {
		file = fopen(path, "r");
		if (!file)
			die(path);
		/* "running", or the number and what goes with it */
		if (fgets(text, sizeof(text), file) && sscanf(text, "%d", &number) != 1)
			number = -1;
		fclose(file);
	}
}

static void cancel(int fd)
{
	int before = descriptors();
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, waiter, &fd))
		die("thread");
	while (!waiting)
		sched_yield();
	wait_for_connect(waiting);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("cancel %s, cleaned up %d, descriptors %+d\n",
	       result == PTHREAD_CANCELED ? "cancelled" : "returned", cleaned,
	       descriptors() - before);
}

static void jump(int unused)
{
	(void)unused;
	siglongjmp(back, 1);
}

static void only_return(int unused)
{
	(void)unused;
}

/* The signal comes from another process, once we wait. */
static void signalled(int fd, void (*handler)(int))
{
	const struct sigaction action = { .sa_handler = handler };
	volatile int before = descriptors();

	sigaction(SIGALRM, &action, NULL);
	if (sigsetjmp(back, 1)) {
		printf("leave left, descriptors %+d\n", descriptors() - before);
		return;
	}
	if (!fork()) {
		wait_for_connect(getppid());
		kill(getppid(), SIGALRM);
		_exit(0);
	}
	printf("interrupt %s, ", strerrorname_np(connect_and_wait(fd)));
	printf("descriptors %+d\n", descriptors() - before);
}

int main(int argc, char *argv[])
{
	const char *way = argc > 1 ? argv[1] : "";
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!strcmp(way, "measure")) {
		measure();
		return 0;
	}
	if (!strcmp(way, "coroutine")) {
		run_on(new_stack(16 << 10), 16 << 10, all_calls);
		return 0;
	}
	if (!strcmp(way, "thread")) {
		small_thread(strtoul(argv[2], NULL, 10));
		return 0;
	}
	make_deaf();
	if (!strcmp(way, "cancel"))
		cancel(fd);
	else
		signalled(fd, strcmp(way, "leave") ? only_return : jump);
	fflush(stdout);
	calls_say(way, "left", calls_port(fd), 0);
	close(fd);
	calls(way);
	return 0;
}
