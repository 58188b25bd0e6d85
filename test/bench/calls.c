#include "calls.h"

#include "place.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef PTRACE_EVENTMSG_SYSCALL_ENTRY
#define PTRACE_EVENTMSG_SYSCALL_ENTRY 1 /* include/uapi/linux/ptrace.h */
#endif

static bool has_answer(const struct subject *subject)
{
	struct pollfd answer = { .fd = subject->process.from, .events = POLLIN };

	return poll(&answer, 1, 0) > 0;
}

/*
 * Follows the worker and its children from stop to stop until it has answered
 * and waits for its next command, at whose read() it is let go.
 *
 * Return: how many system calls began; -1 if it died
 */
static long follow(const struct subject *subject)
{
	long begun = 0;

	for (;;) {
		int status, deliver = 0;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			return -1;
		if (!WIFSTOPPED(status)) {
			if (pid == subject->process.pid)
				return -1;
			continue;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			unsigned long what = 0;

			/* since Linux 5.3 it tells beginning from end; a process's last call has no end */
			ptrace(PTRACE_GETEVENTMSG, pid, NULL, &what);
			begun += what == PTRACE_EVENTMSG_SYSCALL_ENTRY;
			if (pid == subject->process.pid && has_answer(subject)) {
				ptrace(PTRACE_DETACH, pid, NULL, NULL);
				return begun;
			}
		} else if (status >> 16 == 0) {
			deliver = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, deliver);
	}
}

/* Return: system calls in a batch of that many operations, or -1 */
static long count(struct subject *subject, const char *row, int operations)
{
	char line[PLACE_LINE];
	pid_t pid = subject->process.pid;
	long begun;

	if (ptrace(PTRACE_SEIZE, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			   PTRACE_O_TRACECLONE))
		return -1;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	snprintf(line, sizeof(line), "%s %d 0 1 1\n", row, operations);
	if (!scene_tell(&subject->process, line))
		return -1;
	begun = follow(subject);
	if (begun >= 0 && !scene_hear(&subject->process, line, sizeof(line)))
		return -1;
	return begun;
}

double calls_count(struct subject *subject, const char *row, int operations)
{
	long few = count(subject, row, 1), more;

	if (few < 0)
		return -1;
	more = count(subject, row, 1 + operations);
	return more <= few ? -1 : (double)(more - few) / operations;
}

/* ---- the table ---- */

#define KNOWN_MOST 64

static struct known {
	char row[48], subject[24];
	int more;
} known[KNOWN_MOST];
static unsigned known_count;

void calls_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[PLACE_LINE];

	if (!file)
		die("'%s': %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		struct known *one = &known[known_count];

		if (*line == '#' || *line == '\n')
			continue;
		if (known_count == KNOWN_MOST ||
		    sscanf(line, "%47s %23s %d", one->row, one->subject, &one->more) != 3)
			die("'%s': %s", path, line);
		known_count++;
	}
	fclose(file);
}

int calls_known(const char *row, const char *subject)
{
	unsigned i;

	for (i = 0; i < known_count; i++) {
		if (!strcmp(known[i].row, row) && !strcmp(known[i].subject, subject))
			return known[i].more;
	}
	return -1;
}
