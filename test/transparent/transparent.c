/*
 * transparent: can a program tell that it is fenced? A line for each case, to be held against the
 * same run without the fence: what the call returned, errno, whether it waited, signals, descriptors,
 * addresses and options, before and after.
 *
 *   transparent [-a] [-n N] [-r] [-t] LOW HIGH [PATTERN]
 *
 * Ports from LOW to HIGH are told as "given"; -r: and those that bindresvport() takes. -a: more cases;
 * -n: one in N of them, the same each time. -t: in a second thread of each case's process. PATTERN: those cases alone whose
 * name it matches (a glob). The last line is the number of cases.
 */
#include "transparent.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS 256
#define LONGEST_S 120

struct transparent_ports transparent_ports;
bool transparent_all, transparent_few;

static in_port_t low, high;
static bool in_thread, reserved;
static const char *pattern = "*";
static unsigned cases, each = 1, run;

/* Shared with the child, so that what it said is known though it died. */
static struct {
	size_t used;
	char text[16384];
} * said;

static const int signals[] = { SIGPIPE, SIGURG, SIGIO, SIGUSR1 };
static volatile sig_atomic_t caught[COUNT(signals)];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

void transparent_say(const char *format, ...)
{
	size_t room = sizeof(said->text) - said->used;
	va_list list;
	int n;

	va_start(list, format);
	said->text[said->used++] = ' ';
	n = vsnprintf(said->text + said->used, room - 1, format, list);
	va_end(list);
	if (n < 0 || (size_t)n >= room - 1)
		_exit(99);
	said->used += (size_t)n;
}

const char *transparent_port(in_port_t port)
{
	const struct transparent_ports *ports = &transparent_ports;
	static __thread char text[8];

	if ((port >= low && port <= high) || (reserved && port >= 512 && port < 1024))
		return "given";
	if (port == ports->own)
		return "own";
	if (port == ports->peer)
		return "peer";
	if (port == ports->closed)
		return "closed";
	if (port == ports->taken)
		return "taken";
	if (port == ports->full)
		return "full";
	snprintf(text, sizeof(text), "%u", port);
	return text;
}

/* ---- around the call ---- */

static long sleeps_before;
static char open_before[DESCRIPTORS];

/* The bare system call, which disturbs no memory of anybody's. */
static void list_descriptors(char *ret_open)
{
	int fd;

	for (fd = 0; fd < DESCRIPTORS; fd++)
		ret_open[fd] = syscall(SYS_fcntl, fd, 1 /* F_GETFD */) >= 0;
}

static void say_descriptors(void)
{
	char open_after[DESCRIPTORS];
	int fd;

	list_descriptors(open_after);
	for (fd = 0; fd < DESCRIPTORS; fd++)
		if (open_after[fd] != open_before[fd])
			transparent_say("%s=%d", open_after[fd] ? "opened" : "closed", fd);
}

/* How often this thread has slept until something came. */
static long count_sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

void transparent_before(void)
{
	list_descriptors(open_before);
	memset((void *)caught, 0, sizeof(caught));
	sleeps_before = count_sleeps();
	/* no socket call fails with it */
	errno = EBADMSG;
}

void transparent_after(long result)
{
	int error = errno;
	bool waited = count_sleeps() != sleeps_before;
	size_t i;

	transparent_say("result=%ld", result);
	transparent_say("errno=%s", strerrorname_np(error));
	if (waited)
		transparent_say("waited");
	for (i = 0; i < COUNT(signals); i++)
		if (caught[i])
			transparent_say("%s=%d", sigabbrev_np(signals[i]), (int)caught[i]);
	say_descriptors();
	errno = error;
}

/* ---- cases ---- */

static void catch_signal(int number)
{
	size_t i;

	for (i = 0; i < COUNT(signals); i++)
		if (signals[i] == number)
			caught[i]++;
}

struct job {
	void (*body)(const void *context);
	const void *context;
};

static void *work(void *context)
{
	const struct job *job = context;

	job->body(job->context);
	return NULL;
}

__attribute__((noreturn)) static void child(struct job *job)
{
	struct sigaction action = { .sa_handler = catch_signal };
	pthread_t thread;
	size_t i;

	for (i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], &action, NULL);
	alarm(LONGEST_S);
	if (!in_thread)
		job->body(job->context);
	else if (pthread_create(&thread, NULL, work, job) || pthread_join(thread, NULL))
		_exit(98);
	_exit(0);
}

static void choose_ports(void)
{
	in_port_t turn = (in_port_t)(cases % 3000);

	/* outside the ranges that the fence is given, and what the kernel chooses from */
	transparent_ports = (struct transparent_ports){
		.own = 1500 + turn,
		.peer = 5000 + turn,
		.closed = 8500 + turn,
		.taken = 12000 + turn,
		.full = 15500 + turn,
	};
}

/* By its name (FNV-1a), as cases that are alike follow each other at equal distances. */
static bool is_chosen(const char *name)
{
	uint32_t hash = 2166136261;

	while (*name)
		hash = (hash ^ (unsigned char)*name++) * 16777619;
	return transparent_few || hash % each == 0;
}

void transparent_case(void (*body)(const void *context), const void *context, const char *format,
		      ...)
{
	struct job job = { body, context };
	char name[160];
	va_list list;
	pid_t pid;
	int status;

	va_start(list, format);
	vsnprintf(name, sizeof(name), format, list);
	va_end(list);
	cases++;
	if (!is_chosen(name) || fnmatch(pattern, name, 0))
		return;
	run++;
	choose_ports();
	said->used = 0;
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		child(&job);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFSIGNALED(status))
		transparent_say("died=SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (status)
		transparent_say("status=%d", WEXITSTATUS(status));
	printf("%s%.*s\n", name, (int)said->used, said->text);
	/* or a child would write it once more */
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	int option;

	while ((option = getopt(argc, argv, "+an:rt")) != -1) {
		if (option == '?')
			return 2;
		if (option == 'n')
			each = (unsigned)atoi(optarg);
		transparent_all |= option == 'a';
		in_thread |= option == 't';
		reserved |= option == 'r';
	}
	if (argc - optind < 2 || !each)
		return 2;
	low = (in_port_t)atoi(argv[optind]);
	high = (in_port_t)atoi(argv[optind + 1]);
	if (argv[optind + 2])
		pattern = argv[optind + 2];
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		die("mmap");
	calls_run();
	messages_run();
	options_run();
	descriptors_run();
	programs_run();
	waits_run();
	printf("cases %u\n", run);
	return 0;
}
