/* The reader of /proc, asked about children that this program makes. */
#include "../../src/machine/procfs.h"

#include "unit.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS 300 /* their numbers fill more than a page of the status */

/* Starts a child that is called @name and is stopped. Return: its id; it lives until it is killed */
static pid_t start_child(const char *name)
{
	static gid_t groups[GROUPS];
	siginfo_t info;
	pid_t child = fork();
	int i;

	if (!child) {
		for (i = 0; i < GROUPS; i++)
			groups[i] = 4000000000u + (gid_t)i;
		setgroups(GROUPS, groups);
		prctl(PR_SET_NAME, name);
		raise(SIGSTOP);
		_exit(1);
	}
	CHECK(child > 0 && !waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT), "errno %d",
	      errno);
	return child;
}

static void end_child(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void status_to_its_end(void)
{
	pid_t child = start_child(") R 1 ((\n");
	struct procfs_status status;
	struct procfs_stat stat;
	char text[65536];

	CHECK(!procfs_status(child, &status), "errno %d", errno);
	CHECK(status.process == child && status.parent == getpid(), "%d of %d", status.process,
	      status.parent);
	CHECK(status.threads == 1 && status.has_memory, "%u threads", status.threads);
	CHECK(status.uid == geteuid() && status.file_uid == geteuid(), "user %u", status.uid);
	CHECK(status.file_gid == getegid(), "group %u", status.file_gid);
	CHECK(!procfs_stat(child, &stat) && stat.state == 'T' && stat.started, "state %c",
	      stat.state);
	/* what stands behind the groups */
	if (!geteuid()) {
		CHECK(procfs_read(child, "status", text, sizeof(text)) > 4096, "a long status");
		CHECK(status.capabilities, "root has capabilities");
	}
	end_child(child);
}

static void gone(void)
{
	pid_t child = start_child("zombie");
	struct procfs_status status;
	struct procfs_stat stat;
	siginfo_t info;
	char text[64];

	kill(child, SIGKILL);
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	/* a zombie: it is still there, but its memory and its descriptors are not */
	CHECK(!procfs_status(child, &status) && !status.has_memory, "a zombie has a status");
	CHECK(!procfs_stat(child, &stat) && stat.state == 'Z', "state %c", stat.state);
	CHECK(procfs_link(child, "exe", text, sizeof(text)) == -ESRCH, "no exe");
	waitpid(child, NULL, 0);
	CHECK(procfs_status(child, &status) == -ESRCH, "no status");
	CHECK(procfs_stat(child, &stat) == -ESRCH, "no stat");
	CHECK(procfs_read(child, "cmdline", text, sizeof(text)) == -ESRCH, "no cmdline");
	CHECK(procfs_link(child, "ns/net", text, sizeof(text)) == -ESRCH, "no namespace");
	CHECK(procfs_sockets(child, NULL, NULL) == -ESRCH, "no descriptors");
}

static int count_socket(uint32_t inode, void *context)
{
	unsigned *count = context;

	return inode && ++*count == 3 ? -E2BIG : 0;
}

static void links(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), same = dup(fd), other;
	char one[32], two[32], small[4] = "abc";
	unsigned count = 0;

	snprintf(one, sizeof(one), "fd/%d", fd);
	snprintf(two, sizeof(two), "fd/%d", same);
	CHECK(procfs_is_ours(), "the tests see their own /proc");
	CHECK(procfs_same_link(PROCFS_SELF, one, getpid(), two), "one socket");
	CHECK(!procfs_sockets(PROCFS_SELF, count_socket, &count) && count == 2, "%u", count);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(two, sizeof(two), "fd/%d", other);
	CHECK(!procfs_same_link(PROCFS_SELF, one, PROCFS_SELF, two), "two sockets");
	count = 0;
	CHECK(procfs_sockets(PROCFS_SELF, count_socket, &count) == -E2BIG, "%u", count);
	CHECK(procfs_link(PROCFS_SELF, "exe", small, sizeof(small)) == -ENAMETOOLONG, "too long");
	CHECK_TEXT(small, "abc", "untouched");
	close(other);
	CHECK(!procfs_same_link(PROCFS_SELF, two, PROCFS_SELF, two), "no socket is like no other");
	close(same);
	close(fd);
}

static bool stop_at_third(char *line, void *context)
{
	unsigned *count = context;

	return !strchr(line, '\n') && ++*count < 3;
}

static void lines_and_memory(void)
{
	static const char here[] = "in memory";
	char text[sizeof(here)];
	unsigned count = 0;

	CHECK(!procfs_lines(PROCFS_SELF, "maps", stop_at_third, &count) && count == 3, "%u", count);
	CHECK(procfs_memory(getpid(), (uintptr_t)here, text, sizeof(text)) == sizeof(text),
	      "errno %d", errno);
	CHECK_TEXT(text, here, "our own memory");
	CHECK(procfs_memory(getpid(), 0, text, 1) < 0, "nothing is at 0");
	CHECK(procfs_read(PROCFS_SELF, "cmdline", text, 4) == 3 && strlen(text) == 3, "cut");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "status", status_to_its_end }, { "gone", gone }, { "links", links },
		{ "lines", lines_and_memory },   { NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
