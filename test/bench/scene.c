#include "scene.h"

#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 128
#define PATIENCE_MS 20000
#define FILES_WANTED 65536
#define FILES_LEAST (PLACE_RANGE_SIZE + 100)

static pid_t started[PROCESSES_MAX];
static char folder[PATH_MAX];
static char *build_folder;
static char copies[PATH_MAX];
static pid_t owner;
static volatile sig_atomic_t interrupted;

/* ---- the end ---- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	size_t i;

	if (getpid() != owner)
		return;
	for (i = 0; i < PROCESSES_MAX; i++) {
		if (started[i] > 0) {
			kill(started[i], SIGKILL);
			waitpid(started[i], NULL, 0);
		}
	}
	if (folder[0])
		nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (copies[0])
		nftw(copies, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void die(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	if (interrupted)
		exit(128 + interrupted);
	fputs("bench: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* Without SA_RESTART: whatever waits comes back with EINTR, and dies. */
static void interrupt(int number)
{
	interrupted = number;
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = interrupt };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

/* ---- the place ---- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(text), n;

	if (fd < 0)
		return -1;
	n = write(fd, text, (size_t)len);
	close(fd);
	return n == len ? 0 : -1;
}

/* Readies the namespace that we are in. */
static void furnish(unsigned first, unsigned last)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[32];

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		die("cannot bring the loopback up: %s", strerror(errno));
	close(fd);
	/* the server looks once a millisecond; no connection may wait for a place in its queue */
	if (write_file("/proc/sys/net/core/somaxconn", "65535"))
		die("cannot set net.core.somaxconn: %s", strerror(errno));
	snprintf(text, sizeof(text), "%u %u", first ? first : 32768, last ? last : 60999);
	if (write_file("/proc/sys/net/ipv4/ip_local_port_range", text))
		die("cannot set ip_local_port_range: %s", strerror(errno));
}

/* As root, or as root of a user namespace of our own. */
static void enter_namespace(void)
{
	char map[64];
	unsigned uid = geteuid(), gid = getegid();

	if (!unshare(CLONE_NEWNET))
		return;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET))
		die("no network namespace: %s; run it as root", strerror(errno));
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
}

static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
	if (limit.rlim_cur < FILES_LEAST || setrlimit(RLIMIT_NOFILE, &limit))
		fprintf(stderr, "bench: curves need a limit of %d open files (ulimit -n)\n",
			FILES_LEAST);
}

/* Return: false if @parent is no place for it */
static bool make_folder(const char *parent, char ret_path[PATH_MAX])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/portfence-bench-XXXXXX", parent);
	if (!mkdtemp(path))
		return false;
	strcpy(ret_path, path);
	return true;
}

void scene_begin(const char *build)
{
	owner = getpid();
	build_folder = realpath(build, NULL);
	if (!build_folder)
		die("no build in '%s': %s", build, strerror(errno));
	atexit(clean_up);
	catch_signals();
	raise_files();
	enter_namespace();
	furnish(0, 0);
	/* in memory, as the shared state usually is */
	if (!make_folder("/dev/shm", folder) && !make_folder("/tmp", folder))
		die("no folder in '/tmp': %s", strerror(errno));
	/* not in /dev/shm, from which some systems execute nothing */
	if (!make_folder(build_folder, copies) && !make_folder("/tmp", copies))
		die("no folder in '/tmp': %s", strerror(errno));
	/* `portfence run` warns where others could not read the library */
	chmod(copies, 0755);
}

const char *scene_folder(void)
{
	return folder;
}

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	char buffer[1 << 16];
	ssize_t n;

	if (in < 0)
		die("'%s' is not built", from);
	while ((n = read(in, buffer, sizeof(buffer))) > 0) {
		if (write(out, buffer, (size_t)n) != n)
			break;
	}
	if (n || close(out))
		die("cannot copy '%s' to '%s': %s", from, to, strerror(errno));
	close(in);
}

/* The first use copies it, so that a build meanwhile does not change what is measured. */
char *scene_built(const char *name)
{
	const char *slash = strrchr(name, '/');
	char *from, *copy;

	if (asprintf(&from, "%s/%s", build_folder, name) < 0 ||
	    asprintf(&copy, "%s/%s", copies, slash ? slash + 1 : name) < 0)
		die("no memory");
	if (access(copy, R_OK))
		copy_file(from, copy);
	free(from);
	return copy;
}

static int this_namespace(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("/proc/self/ns/net: %s", strerror(errno));
	return fd;
}

int scene_namespace(unsigned first, unsigned last)
{
	int ours = this_namespace(), other;

	if (unshare(CLONE_NEWNET))
		die("no network namespace: %s", strerror(errno));
	furnish(first, last);
	other = this_namespace();
	if (setns(ours, CLONE_NEWNET))
		die("cannot go back to our namespace: %s", strerror(errno));
	close(ours);
	return other;
}

/* ---- processes ---- */

static void remember(pid_t pid)
{
	size_t i;

	for (i = 0; i < PROCESSES_MAX; i++) {
		if (!started[i]) {
			started[i] = pid;
			return;
		}
	}
	kill(pid, SIGKILL);
	die("too many processes");
}

__attribute__((noreturn)) static void become(int netns, bool quiet, int in, int out,
					     const char *const argv[], const char *const envp[])
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (netns >= 0 && setns(netns, CLONE_NEWNET))
		_exit(126);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	if (quiet)
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	execve(argv[0], (char *const *)argv, (char *const *)envp);
	_exit(127);
}

void scene_start(struct scene_process *process, int netns, bool quiet, const char *const argv[],
		 const char *const envp[])
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("no pipe: %s", strerror(errno));
	fflush(stdout);
	process->pid = fork();
	if (process->pid < 0)
		die("cannot fork: %s", strerror(errno));
	if (process->pid == 0)
		become(netns, quiet, to[0], from[1], argv, envp);
	remember(process->pid);
	close(to[0]);
	close(from[1]);
	process->to = to[1];
	process->from = from[0];
}

void scene_helper(struct scene_process *process, int netns, const char *mode)
{
	char *worker = scene_built("test/bench/worker"), cpu[16];
	const char *argv[] = { worker, mode, cpu, NULL };
	const char *none[] = { NULL };

	snprintf(cpu, sizeof(cpu), "%d", scene_cpu(1));
	scene_start(process, netns, false, argv, none);
	free(worker);
}

bool scene_tell(const struct scene_process *process, const char *line)
{
	size_t len = strlen(line);

	return write(process->to, line, len) == (ssize_t)len;
}

bool scene_hear(const struct scene_process *process, char *ret_line, size_t size)
{
	struct pollfd answer = { .fd = process->from, .events = POLLIN };
	size_t len = 0;

	while (len < size) {
		if (interrupted || poll(&answer, 1, PATIENCE_MS) < 1) {
			if (interrupted)
				die("interrupted");
			return false;
		}
		if (read(process->from, ret_line + len, 1) != 1)
			return false;
		if (ret_line[len] == '\n') {
			ret_line[len] = '\0';
			return true;
		}
		len++;
	}
	return false;
}

void scene_order(const struct scene_process *process, const char *format, ...)
{
	char line[PLACE_LINE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (!scene_tell(process, line) || !scene_hear(process, line, sizeof(line)))
		die("a helper does not answer");
	if (strncmp(line, "ok", 2))
		die("a helper %s", line);
}

void scene_stop(struct scene_process *process)
{
	size_t i;

	if (!process->pid)
		return;
	close(process->to);
	close(process->from);
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
	for (i = 0; i < PROCESSES_MAX; i++) {
		if (started[i] == process->pid)
			started[i] = 0;
	}
	process->pid = 0;
}

int scene_cpu(int which)
{
	cpu_set_t set;
	int cpu, seen = 0;

	if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < 2)
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set) && seen++ == which)
			return cpu;
	}
	return -1;
}
