/*
 * cputime: the processor time of a command and of all that it starts, also of processes that are no children of
 * its own: of portfence's supervisor, as long as the command runs.
 *
 *	cputime FILE COMMAND...		adds a line to FILE: microseconds
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	struct perf_event_attr clock = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(clock),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.inherit = 1,
	};
	int counter, file, status;
	uint64_t before, after;
	pid_t pid;

	if (argc < 3)
		return 125;
	counter = (int)syscall(SYS_perf_event_open, &clock, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (counter < 0 || file < 0 || read(counter, &before, sizeof(before)) < 0) {
		perror("cputime");
		return 125;
	}
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	/* whoever ends the command's group means the command alone */
	signal(SIGTERM, SIG_IGN);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	if (read(counter, &after, sizeof(after)) < 0)
		return 125;
	dprintf(file, "%llu\n", (unsigned long long)(after - before) / 1000);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
