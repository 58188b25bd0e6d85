/*
 * Starts itself again in every way that libc has; the child says what it got.
 *
 *   spawn FROM METHOD ENVIRONMENT [NAME=VALUE...]
 *
 * FROM:	direct, thread, small (a thread with the smallest stack), fork, vfork,
 *		clone (CLONE_VM | CLONE_VFORK)
 * METHOD:	execve execv execvp execvpe execl execlp execle execveat fexecve
 *		posix_spawn posix_spawnp system popen
 * ENVIRONMENT:	same, null (NULL, or clearenv() where the method takes none), empty,
 *		many (10,000 variables), list (the NAME=VALUEs)
 *
 * The child prints "port P" (UDP, bound to port 0), "connected P" (UDP, connected),
 * "argument A" for each argument and "variable V" for each variable. The parent, if it
 * is still there, prints what became of its own memory, environment and descriptors:
 * "parent unchanged" or "parent changed: WHAT", and the child's exit status if not 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 10000

static char path[PATH_MAX], command[PATH_MAX + 64];
static const char *method;
static char **chosen; /* environment of the child */
static char words[][12] = { "odd name", "child", "", "two words", "--", "*" };
static char *arguments[] = { words[0], words[1], words[2], words[3], words[4], words[5], NULL };

static void die(const char *what)
{
	perror(what);
	exit(99);
}

/* ---- child ---- */

static void print_port(const char *name, bool connects)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	addr.sin_port = htons(connects ? 9 : 0);
	if (fd < 0 || (connects ? connect : bind)(fd, (struct sockaddr *)&addr, len) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		die(name);
	printf("%s %d\n", name, ntohs(addr.sin_port));
	close(fd);
}

static int child(char *argv[])
{
	char **p;

	print_port("port", false);
	print_port("connected", true);
	for (p = argv; *p; p++)
		printf("argument %s\n", *p);
	for (p = environ; p && *p; p++)
		printf("variable %s\n", *p);
	return 0;
}

/* ---- what must not change in the parent ---- */

struct state {
	char **environ_at;
	uint64_t environment;
	uint64_t maps;
	size_t heap;
	int descriptors;
};

static uint64_t add(uint64_t sum, const void *data, size_t size)
{
	const unsigned char *p = data;

	while (size--)
		sum = (sum ^ *p++) * 0x100000001b3ULL; /* FNV-1a */
	return sum;
}

static uint64_t sum_list(uint64_t sum, char **list)
{
	for (; list && *list; list++) {
		sum = add(sum, list, sizeof(*list));
		sum = add(sum, *list, strlen(*list));
	}
	return sum;
}

/* Mappings, without the stack, which may grow. */
static uint64_t sum_maps(void)
{
	static char text[256 << 10];
	size_t used = 0;
	ssize_t n;
	char *line, *next;
	uint64_t sum = 0;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	for (line = text; *line; line = next) {
		next = strchrnul(line, '\n');
		next += *next == '\n';
		if (!memmem(line, (size_t)(next - line), "[stack]", 7))
			sum = add(sum, line, (size_t)(next - line));
	}
	return sum;
}

static int count_descriptors(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void look(struct state *state)
{
	/* the three lists of strings that a call was given */
	state->environment = sum_list(sum_list(sum_list(0, environ), chosen), arguments);
	state->environ_at = environ;
	state->heap = mallinfo2().uordblks + mallinfo2().hblkhd;
	state->descriptors = count_descriptors();
	state->maps = sum_maps();
}

/* @all: nothing of libc's own, such as a thread's or a stream's memory, may have come in between */
static void compare(const struct state *before, bool all)
{
	struct state now;
	const char *what = NULL;

	look(&now);
	if (now.environ_at != before->environ_at || now.environment != before->environment)
		what = "environment";
	else if (now.descriptors != before->descriptors)
		what = "descriptors";
	else if (all && now.heap != before->heap)
		what = "heap";
	else if (all && now.maps != before->maps)
		what = "mappings";
	printf(what ? "parent changed: %s\n" : "parent unchanged\n", what);
}

/* ---- the ways ---- */

/* The name alone where the search along PATH can find it. */
static const char *file(void)
{
	return getenv("PATH") ? strrchr(path, '/') + 1 : path;
}

static void report(int status)
{
	if (status)
		printf("child's status %#x\n", status);
}

static void wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	report(status);
}

static bool is_exec(void)
{
	return !strncmp(method, "exec", 4) || !strcmp(method, "fexecve");
}

/* Does not return if it works. No stdio: this may be a child that shares our memory. */
static void exec_it(void)
{
	char **a = arguments;
	int fd;

	if (!strcmp(method, "execve")) {
		execve(path, a, chosen);
	} else if (!strcmp(method, "execv")) {
		execv(path, a);
	} else if (!strcmp(method, "execvp")) {
		execvp(file(), a);
	} else if (!strcmp(method, "execvpe")) {
		execvpe(file(), a, chosen);
	} else if (!strcmp(method, "execl")) {
		execl(path, a[0], a[1], a[2], a[3], a[4], a[5], (char *)NULL);
	} else if (!strcmp(method, "execlp")) {
		execlp(file(), a[0], a[1], a[2], a[3], a[4], a[5], (char *)NULL);
	} else if (!strcmp(method, "execle")) {
		execle(path, a[0], a[1], a[2], a[3], a[4], a[5], (char *)NULL, chosen);
	} else if (!strcmp(method, "execveat")) {
		fd = open(path, O_PATH | O_CLOEXEC);
		execveat(fd, "", a, chosen, AT_EMPTY_PATH);
	} else if (!strcmp(method, "fexecve")) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		fexecve(fd, a, chosen);
	}
}

static void *call_it(void *unused)
{
	char line[4096];
	pid_t pid;
	FILE *from;
	int rc;

	(void)unused;
	if (is_exec()) {
		exec_it();
		die(method);
	}
	if (!strcmp(method, "posix_spawn") || !strcmp(method, "posix_spawnp")) {
		rc = strcmp(method, "posix_spawn")
			     ? posix_spawnp(&pid, file(), NULL, NULL, arguments, chosen)
			     : posix_spawn(&pid, path, NULL, NULL, arguments, chosen);
		errno = rc;
		if (rc)
			die(method);
		wait_for(pid);
	} else if (!strcmp(method, "system")) {
		report(system(command));
	} else if (!strcmp(method, "popen")) {
		from = popen(command, "r");
		if (!from)
			die(method);
		while (fgets(line, sizeof(line), from))
			fputs(line, stdout);
		report(pclose(from));
	} else {
		errno = EINVAL;
		die(method);
	}
	return NULL;
}

static int in_clone(void *unused)
{
	(void)unused;
	exec_it();
	_exit(98);
}

static void in_thread(bool small)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (small)
		pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN));
	if (pthread_create(&thread, &attr, call_it, NULL))
		die("pthread_create");
	pthread_join(thread, NULL);
}

static void start(const char *from)
{
	static char stack[256 << 10] __attribute__((aligned(64)));
	pid_t pid;

	if (!strcmp(from, "direct")) {
		call_it(NULL);
		return;
	}
	if (!strcmp(from, "thread") || !strcmp(from, "small")) {
		in_thread(*from == 's');
		return;
	}
	if (!strcmp(from, "fork")) {
		pid = fork();
		if (!pid && !is_exec()) {
			call_it(NULL);
			fflush(stdout);
			_exit(0);
		}
	} else if (!strcmp(from, "vfork")) {
		pid = vfork();
	} else {
		pid = clone(in_clone, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
			    NULL);
	}
	if (!pid) {
		exec_it();
		_exit(98);
	}
	if (pid < 0)
		die(from);
	wait_for(pid);
}

static bool takes_environment(void)
{
	static const char *const own[] = { "execv", "execvp", "execl", "execlp", "system", "popen" };
	size_t i;

	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strcmp(method, own[i]))
			return false;
	return true;
}

static void choose(const char *which, char *list[])
{
	static char many[MANY][48], *pointers[MANY + 1], *empty[] = { NULL };
	int i;

	if (!strcmp(which, "list")) {
		chosen = list;
	} else if (!strcmp(which, "empty")) {
		chosen = empty;
	} else if (!strcmp(which, "many")) {
		for (i = 0; i < MANY; i++) {
			snprintf(many[i], sizeof(many[i]), "VARIABLE_%d=%d", i, i);
			pointers[i] = many[i];
		}
		chosen = pointers;
	} else if (!strcmp(which, "same")) {
		chosen = environ;
	} else {
		chosen = NULL;
	}
	if (!takes_environment()) {
		if (chosen)
			environ = chosen;
		else
			clearenv();
	}
}

int main(int argc, char *argv[])
{
	struct state before;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (argc > 1 && !strcmp(argv[1], "child"))
		return child(argv);
	if (argc < 4 || n < 0) {
		fputs("usage: spawn FROM METHOD ENVIRONMENT [NAME=VALUE...]\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	method = argv[2];
	snprintf(command, sizeof(command), "'%s' child '' 'two words' -- '*'", path);
	choose(argv[3], argv + 4);
	look(&before);
	start(argv[1]);
	compare(&before, strcmp(argv[1], "thread") && strcmp(argv[1], "small") &&
				 strcmp(method, "system") && strcmp(method, "popen"));
	return 0;
}
