/*
 * Fact: the soft limit RLIMIT_RSS can be any number up to the hard limit, limits nothing, is inherited by a
 * child and kept by execve(2), and others see it: of their own user's processes by prlimit(2), and of all by
 * /proc/PID/stat.
 *
 * Source: getrlimit(2), "only in Linux 2.4.x, x < 30"; copy_signal() in kernel/fork.c;
 * do_task_stat() in fs/proc/array.c; check_prlimit_permission() in kernel/sys.c.
 *
 * So a run can mark its processes by it, and find those that carry the mark.
 */
#include "platform.h"

#include <sys/resource.h>

#define MARK (0x7066ULL << 48 | 12345)

/* What /proc shows, 25th of its fields */
static uint64_t shown(pid_t pid)
{
	unsigned long long value = 0;
	char path[64], text[1024];
	const char *rest;
	FILE *file;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	check(file && fgets(text, sizeof(text), file), "%s cannot be read", path);
	fclose(file);
	rest = strrchr(text, ')');
	for (i = 2; rest && i < 25; i++)
		rest = strchr(rest + 1, ' ');
	check(rest && sscanf(rest, "%llu", &value) == 1, "expected 25 fields: %s", text);
	return value;
}

static void look(void *arg)
{
	const pid_t pid = *(const pid_t *)arg;
	struct rlimit64 limit;

	check(shown(pid) == MARK, "expected another user to see the number in /proc");
	check(prlimit64(pid, RLIMIT_RSS, NULL, &limit) < 0 && errno == EPERM,
	      "expected prlimit(2) to refuse another user");
}

int main(int argc, char *argv[])
{
	struct rlimit64 limit = { 0, 0 };
	int fds[2];
	pid_t pid;
	char byte;

	if (argc > 1)
		return shown(getpid()) != MARK;
	begin();
	must(prlimit64(0, RLIMIT_RSS, NULL, &limit), "prlimit");
	if (limit.rlim_max != RLIM64_INFINITY)
		skip("the hard limit RLIMIT_RSS is not infinite");
	limit.rlim_cur = MARK;
	must(prlimit64(0, RLIMIT_RSS, &limit, NULL), "prlimit");
	if (shown(getpid()) == RLIM_INFINITY)
		skip("the kernel's limits have 32 bits");
	must(pipe2(fds, O_CLOEXEC), "pipe2");
	pid = must(fork(), "fork");
	if (!pid) {
		close(fds[1]);
		/* until the other end is closed */
		must((int)read(fds[0], &byte, 1), "read");
		execl(argv[0], argv[0], "again", (char *)NULL);
		_exit(FAILS);
	}
	must(prlimit64(pid, RLIMIT_RSS, NULL, &limit), "prlimit of the child");
	check(limit.rlim_cur == MARK, "expected the child to have the number");
	as_nobody(look, &pid);
	close(fds[1]);
	check(waitpid(pid, &fds[0], 0) == pid && !fds[0],
	      "expected the number to be there after execve()");
	limit.rlim_cur = 4096;
	must(prlimit64(0, RLIMIT_RSS, &limit, NULL), "prlimit");
	memset(malloc(1 << 24), 1, 1 << 24);
	return HOLDS;
}
