/*
 * hang: a process that hangs in its exit, until this one ends. Run it as root.
 *
 *   hang     "hangs PID", once it does; then wait for SIGTERM. Exits with 77 where it has no FUSE.
 *
 * The process has a file open whose file system, which is ours, never answers to FLUSH: the kernel waits
 * for that where it closes the file, and no signal ends it. The mount is in a namespace of our own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE "/mnt"
#define FILE_NODE 2

static int fuse;
static pid_t process;

__attribute__((noreturn)) static void lack(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(77);
}

static void reply(const struct fuse_in_header *question, const void *answer, size_t size)
{
	struct fuse_out_header head = { .unique = question->unique };
	struct iovec parts[] = { { &head, sizeof(head) }, { (void *)answer, size } };

	head.len = (uint32_t)(sizeof(head) + size);
	if (writev(fuse, parts, 2) < 0) {
		perror("/dev/fuse");
		exit(2);
	}
}

static void initialize(const struct fuse_in_header *question)
{
	const struct fuse_init_out answer = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096, .max_background = 16
	};

	reply(question, &answer, sizeof(answer));
}

static void find(const struct fuse_in_header *question)
{
	const struct fuse_entry_out answer = {
		.nodeid = FILE_NODE,
		.attr_valid = 1000,
		.entry_valid = 1000,
		.attr = { .ino = FILE_NODE, .mode = S_IFREG | 0644, .nlink = 1 },
	};

	reply(question, &answer, sizeof(answer));
}

static void describe(const struct fuse_in_header *question)
{
	const struct fuse_attr_out answer = {
		.attr_valid = 1000,
		.attr = { .ino = question->nodeid,
			  .mode = question->nodeid == FILE_NODE ? S_IFREG | 0644 : S_IFDIR | 0755,
			  .nlink = 1 },
	};

	reply(question, &answer, sizeof(answer));
}

static void let_open(const struct fuse_in_header *question)
{
	const struct fuse_open_out answer = { .fh = 1 };

	reply(question, &answer, sizeof(answer));
}

/* Without its server, the file system answers all questions with an error. */
__attribute__((noreturn)) static void let_go(int unused)
{
	(void)unused;
	close(fuse);
	waitpid(process, NULL, 0);
	_exit(0);
}

__attribute__((noreturn)) static void serve(void)
{
	static union {
		struct fuse_in_header head;
		char bytes[1 << 17];
	} question;

	for (;;) {
		if (read(fuse, &question, sizeof(question)) < 0) {
			/* a question was taken back meanwhile */
			if (errno == EINTR || errno == ENOENT)
				continue;
			perror("/dev/fuse");
			exit(2);
		}
		switch (question.head.opcode) {
		case FUSE_INIT:
			initialize(&question.head);
			break;
		case FUSE_LOOKUP:
			find(&question.head);
			break;
		case FUSE_GETATTR:
			describe(&question.head);
			break;
		case FUSE_OPEN:
			let_open(&question.head);
			break;
		case FUSE_FLUSH:
			printf("hangs %d\n", process);
			fflush(stdout);
			break;
		}
	}
}

int main(void)
{
	char options[64];

	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		lack("/dev/fuse");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		lack("a mount namespace");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (mount("hang", PLACE, "fuse", MS_NOSUID | MS_NODEV, options))
		lack("a FUSE file system");
	process = fork();
	if (process < 0)
		lack("fork");
	if (!process) {
		/* or it would hold open what has to be closed for its own end */
		close(fuse);
		_exit(open(PLACE "/file", O_RDONLY) < 0);
	}
	signal(SIGTERM, let_go);
	serve();
}
