/*
 * Fact: of a process with PR_SET_DUMPABLE 0, another one of the same user learns nothing about its
 * descriptors: pidfd_getfd, /proc/PID/fd, /proc/PID/fdinfo and kcmp refuse, also by a folder or a link
 * that was opened before. What was opened before and still works is its memory, and the fdinfo of a
 * number that was in use then; a child that it forks afterwards shows neither.
 *
 * Source: kernel/ptrace.c, __ptrace_may_access(); fs/proc/base.c, mem_open(), proc_fd_access_allowed();
 * fs/proc/fd.c, proc_fd_permission(), seq_show().
 *
 * So a supervisor without CAP_SYS_PTRACE cannot tell which socket a call of such a process is about, not
 * even if it looks at the process in the prctl() by which that becomes so: the numbers that matter are
 * given later, and ssh-agent and its like fork.
 */
#include "platform.h"

#include <linux/kcmp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define WORD "what its memory says"

static char word[sizeof(WORD)];

static void tell(int to, int number)
{
	check(write(to, &number, sizeof(number)) == sizeof(number), "write: %s", strerror(errno));
}

static int told(int from)
{
	int number;

	check(read(from, &number, sizeof(number)) == sizeof(number), "the other end is gone");
	return number;
}

/* The process that hides: tells a socket's number before, and another's and a child's id afterwards. */
static void hide(int from, int to)
{
	const int before = tcp4();
	int other;
	pid_t child;

	tell(to, before);
	told(from);
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE");
	memcpy(word, WORD, sizeof(word));
	/* the number becomes another socket's */
	other = open_socket(AF_UNIX, SOCK_STREAM, 0);
	must(dup2(other, before), "dup2");
	tell(to, tcp4());
	child = must(fork(), "fork");
	if (!child) {
		told(from);
		_exit(HOLDS);
	}
	tell(to, child);
	must(waitpid(child, NULL, 0), "waitpid");
}

static int open_of(pid_t pid, const char *what, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	return open(path, flags | O_CLOEXEC);
}

static int open_number(pid_t pid, const char *folder, int number, int flags)
{
	char what[32];

	snprintf(what, sizeof(what), "%s/%d", folder, number);
	return open_of(pid, what, flags);
}

static int try_link(int folder, const char *name)
{
	char to[64];

	return readlinkat(folder, name, to, sizeof(to)) < 0 ? -errno : 0;
}

/* The inode's number that an open fdinfo tells. 0: none */
static unsigned long inode_of(int fdinfo)
{
	char text[512];
	const ssize_t n = pread(fdinfo, text, sizeof(text) - 1, 0);
	const char *at;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, "ino:");
	return at ? strtoul(at + 4, NULL, 10) : 0;
}

static void expect_hidden(pid_t pid, int number)
{
	int pidfd = must((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open");

	expect("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, number, 0) < 0 ? -errno : 0, -EPERM);
	expect("fd", open_number(pid, "fd", number, O_PATH) < 0 ? -errno : 0, -EACCES);
	expect("fdinfo", open_number(pid, "fdinfo", number, O_RDONLY) < 0 ? -errno : 0, -EACCES);
	expect("memory", open_of(pid, "mem", O_RDONLY) < 0 ? -errno : 0, -EACCES);
	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, 0) >= 0)
		expect("kcmp",
		       syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, number) < 0 ? -errno : 0,
		       -EPERM);
	close(pidfd);
}

static void look(void *arg)
{
	int forth[2], back[2], before, after, mem, folder, link, fdinfo;
	unsigned long inode;
	char found[sizeof(word)], name[16];
	pid_t pid, child;

	(void)arg;
	/* setresuid has cleared this */
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE");
	must(pipe2(forth, O_CLOEXEC), "pipe2");
	must(pipe2(back, O_CLOEXEC), "pipe2");
	pid = must(fork(), "fork");
	if (!pid) {
		close(forth[1]);
		hide(forth[0], back[1]);
		_exit(HOLDS);
	}
	close(back[1]);
	before = told(back[0]);
	mem = open_of(pid, "mem", O_RDONLY);
	if (mem < 0)
		skip("nobody may look into another process here: %s", strerror(errno));
	folder = must(open_of(pid, "fd", O_RDONLY | O_DIRECTORY), "fd");
	link = must(open_number(pid, "fd", before, O_PATH | O_NOFOLLOW), "fd/N");
	fdinfo = must(open_number(pid, "fdinfo", before, O_RDONLY), "fdinfo/N");
	inode = inode_of(fdinfo);
	if (!inode)
		skip("fdinfo tells no inode, as it does since Linux 5.14");
	expect("a link, before", try_link(link, ""), 0);
	tell(forth[1], 0);

	after = told(back[0]);
	child = told(back[0]);
	expect_hidden(pid, before);
	expect_hidden(pid, after);
	expect_hidden(child, after);
	snprintf(name, sizeof(name), "%d", after);
	expect("a link that is open", try_link(link, ""), -EACCES);
	expect("a folder that is open", try_link(folder, name), -EACCES);
	check(pread(mem, found, sizeof(found), (off_t)(uintptr_t)word) == sizeof(found) &&
		      !memcmp(found, WORD, sizeof(found)),
	      "memory that is open is not the process's any more");
	check(inode_of(fdinfo) && inode_of(fdinfo) != inode,
	      "an fdinfo that is open does not tell what its number is now");
	tell(forth[1], 0);
}

int main(void)
{
	begin();
	as_nobody(look, NULL);
	return HOLDS;
}
