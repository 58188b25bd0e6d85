#include "lease_hold.h"

#include "../core/timing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PARENT_MS 1000  /* between two looks, where there is no descriptor of the parent */
#define TERMINAL_MS 200 /* until a terminal is looked at again, while others read it */

static bool input_ends(void)
{
	const int flags = fcntl(STDIN_FILENO, F_GETFL);
	struct stat st;

	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && !fstat(STDIN_FILENO, &st) &&
	       (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || isatty(STDIN_FILENO));
}

void lease_hold_begin(struct lease_hold *ret_hold)
{
	const pid_t parent = getppid();
	int fd;

	/*
	 * Of 0 to 2, what is closed becomes /dev/null, open only to read. So no other file gets the number, and a
	 * block that cannot be printed is an error
	 */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
	ret_hold->parent = parent;
	ret_hold->watched[LEASE_HOLD_INPUT] =
		(struct pollfd){ .fd = input_ends() ? STDIN_FILENO : -1, .events = POLLIN };
	/* by its number alone, the parent could be taken for a later process */
	ret_hold->watched[LEASE_HOLD_PARENT] = (struct pollfd){
		.fd = (int)syscall(SYS_pidfd_open, parent, 0),
		.events = POLLIN,
	};
}

/* A process in the background that reads its terminal is stopped (SIGTTIN). */
static bool is_others_terminal(void)
{
	const pid_t group = tcgetpgrp(STDIN_FILENO);

	return group >= 0 && group != getpgrp();
}

/* Return: false at the end of standard input */
static bool drain_input(struct pollfd *input)
{
	char text[4096];
	long n;

	if (!(input->revents & POLLIN))
		return false;
	if (is_others_terminal()) {
		if (!(input->revents & POLLHUP))
			poll(NULL, 0, TERMINAL_MS);
		return !(input->revents & POLLHUP);
	}
	n = read(STDIN_FILENO, text, sizeof(text));
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool lease_hold_wait(struct lease_hold *hold, int64_t ns)
{
	struct pollfd *input = &hold->watched[LEASE_HOLD_INPUT];
	const struct pollfd *parent = &hold->watched[LEASE_HOLD_PARENT];
	const int64_t end = timing_ns(CLOCK_MONOTONIC) + ns;

	for (;;) {
		const int64_t left = end - timing_ns(CLOCK_MONOTONIC);
		int ms = ns < 0 ? -1 : left <= 0 ? 0 : (int)(left / 1000000 + 1);
		int ready;

		if (parent->fd < 0 && (ms < 0 || ms > PARENT_MS))
			ms = PARENT_MS;
		ready = poll(hold->watched, LEASE_HOLD_WATCHED, ms);
		if (getppid() != hold->parent || (ready > 0 && parent->revents))
			return false;
		if (ready > 0 && input->revents && !drain_input(input))
			return false;
		if (ns >= 0 && timing_ns(CLOCK_MONOTONIC) >= end)
			return true;
	}
}

void lease_hold_let_go(const int kept[], size_t count, bool input)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned first = STDERR_FILENO + 1;
	size_t i;

	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (input)
			dup2(null, STDIN_FILENO);
	}
	/* since Linux 5.9; where it fails, descriptors stay open */
	for (i = 0; i < count; i++) {
		if ((unsigned)kept[i] > first)
			syscall(SYS_close_range, first, (unsigned)kept[i] - 1, 0);
		first = (unsigned)kept[i] + 1;
	}
	syscall(SYS_close_range, first, ~0U, 0);
}
