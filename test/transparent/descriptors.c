/* descriptors: calls that give numbers, take them away, or part a thread from the others. */
#include "transparent.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

/* glibc exports these names, too; not all libcs declare the others */
int __close(int fd);
int __dup2(int fd, int to);
int __fcntl(int fd, int command, ...);
int fcntl64(int fd, int command, ...);
int pidfd_getfd(int pidfd, int fd, unsigned flags);
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);

/* What a number names afterwards */
static void say_descriptor(const char *name, int fd)
{
	struct snapshot look;

	transparent_say("%s:", name);
	look_at(fd, &look);
	look_say(NULL, &look);
}

/* That a port comes out of the range afterwards, whichever number is used */
static void use(const struct kind *kind, int fd)
{
	union address address;
	socklen_t len = address_value("closed")->fill(kind, &address);

	transparent_say("use:");
	if (kind->inet)
		CALL(sendto(fd, "x", 1, MSG_NOSIGNAL, &address.sa, len));
	CALL(connect(fd, &address.sa, len));
	say_descriptor("used", fd);
}

/* ---- dup and fcntl ---- */

struct copying {
	const struct kind *kind;
	const char *how;
	int to, flags;
};

#define OCCUPIED 40
#define SAME (-2)

static void run_copying(const void *context)
{
	const struct copying *copying = context;
	struct scene scene;
	int to = copying->to, fd = -1;

	scene_open(&scene, copying->kind, scene_state("fresh"));
	syscall(SYS_dup3, STDIN_FILENO, OCCUPIED, 0);
	if (to == SAME)
		to = scene.fd;
	if (!strcmp(copying->how, "dup"))
		fd = (int)CALL(dup(scene.fd));
	else if (!strcmp(copying->how, "dup2"))
		fd = (int)CALL(dup2(scene.fd, to));
	else if (!strcmp(copying->how, "__dup2"))
		fd = (int)CALL(__dup2(scene.fd, to));
	else
		fd = (int)CALL(dup3(scene.fd, to, copying->flags));
	say_descriptor("copy", fd);
	if (fd >= 0)
		use(copying->kind, fd);
	scene_close(&scene);
}

static const struct {
	const char *name;
	int command;
	long argument;
} commands[] = {
	{ "dupfd", F_DUPFD, 30 },
	{ "dupfd-occupied", F_DUPFD, OCCUPIED },
	{ "dupfd-minus", F_DUPFD, -1 },
	{ "dupfd-large", F_DUPFD, 1 << 30 },
	{ "dupfd-cloexec", F_DUPFD_CLOEXEC, 30 },
	{ "getfd", F_GETFD, 0 },
	{ "setfd", F_SETFD, FD_CLOEXEC },
	{ "getfl", F_GETFL, 0 },
	{ "setfl", F_SETFL, O_NONBLOCK | O_APPEND },
	{ "setfl-async", F_SETFL, O_ASYNC },
	{ "setown", F_SETOWN, 1 },
	{ "getown", F_GETOWN, 0 },
	{ "setsig", F_SETSIG, 99 },
	{ "getsig", F_GETSIG, 0 },
	{ "getlk-null", F_GETLK, 0 },
	{ "setlk-bad", F_SETLK, 8 },
	{ "ofd-getlk-bad", F_OFD_GETLK, 8 },
	{ "setlease", F_SETLEASE, F_RDLCK },
	{ "notify", F_NOTIFY, 0 },
	{ "getpipe", F_GETPIPE_SZ, 0 },
	{ "setpipe", F_SETPIPE_SZ, 8192 },
	{ "seals", F_GET_SEALS, 0 },
	{ "rw-hint", F_GET_RW_HINT, 8 },
	{ "nonsense", 9999, 1 },
	{ "minus", -1, -1 },
};

struct control {
	const struct kind *kind;
	int (*function)(int fd, int command, ...);
	size_t command;
};

static void run_control(const void *context)
{
	const struct control *control = context;
	struct snapshot before, after;
	struct scene scene;
	long result;

	scene_open(&scene, control->kind, scene_state("fresh"));
	syscall(SYS_dup3, STDIN_FILENO, OCCUPIED, 0);
	look_at(scene.fd, &before);
	result = CALL(control->function(scene.fd, commands[control->command].command,
					commands[control->command].argument));
	look_at(scene.fd, &after);
	look_say(&before, &after);
	if (result >= 0 && strstr(commands[control->command].name, "dupfd"))
		say_descriptor("copy", (int)result);
	scene_close(&scene);
}

/* ---- close ---- */

struct closing {
	const struct kind *kind;
	int (*function)(int fd);
};

static void run_closing(const void *context)
{
	const struct closing *closing = context;
	struct scene scene;

	scene_open(&scene, closing->kind, scene_state("fresh"));
	CALL(closing->function(scene.fd));
	CALL(closing->function(scene.fd));
	/* the next one has the number, and is what it is */
	CALL(socket(AF_INET6, SOCK_DGRAM, 0));
	say_descriptor("next", scene.fd);
	use(scene_kind("udp6"), scene.fd);
}

static const struct {
	const char *name;
	unsigned first, last;
	int flags;
} gaps[] = {
	{ "some", 40, 42, 0 },
	{ "rest", 40, ~0U, 0 },
	{ "none", 200, 210, 0 },
	{ "reversed", 42, 40, 0 },
	{ "bad-flags", 40, 42, 128 },
	{ "cloexec", 40, 41, CLOSE_RANGE_CLOEXEC },
	{ "unshare", 41, 50, CLOSE_RANGE_UNSHARE },
	{ "both", 41, 50, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC },
};

static void run_gap(const void *context)
{
	size_t gap = *(const size_t *)context;
	int fd;

	for (fd = 40; fd < 45; fd++)
		syscall(SYS_dup3, STDIN_FILENO, fd, 0);
	CALL(close_range(gaps[gap].first, gaps[gap].last, gaps[gap].flags));
	for (fd = 40; fd < 45; fd++)
		transparent_say("fd%d=%ld", fd, syscall(SYS_fcntl, fd, F_GETFD));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	use(scene_kind("udp4"), fd);
}

/* ---- others' descriptors, namespaces, clones ---- */

static void run_pidfd(const void *context)
{
	static const char *const ways[] = { "own", "bad-number", "bad-flags", "no-pidfd",
					    "closed" };
	const char *way = ways[*(const size_t *)context];
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0), fd = socket(AF_INET, SOCK_STREAM, 0),
	    other;

	if (!strcmp(way, "own"))
		other = (int)CALL(pidfd_getfd(self, fd, 0));
	else if (!strcmp(way, "bad-number"))
		other = (int)CALL(pidfd_getfd(self, 999, 0));
	else if (!strcmp(way, "bad-flags"))
		other = (int)CALL(pidfd_getfd(self, fd, 1));
	else if (!strcmp(way, "no-pidfd"))
		other = (int)CALL(pidfd_getfd(fd, fd, 0));
	else
		other = (int)CALL(pidfd_getfd(-1, fd, 0));
	if (other >= 0)
		use(scene_kind("tcp4"), other);
}

static const struct {
	const char *name;
	int flags;
} partings[] = {
	{ "nothing", 0 },        { "files", CLONE_FILES },
	{ "net", CLONE_NEWNET }, { "both", CLONE_FILES | CLONE_NEWNET },
	{ "fs", CLONE_FS },      { "uts", CLONE_NEWUTS },
	{ "vm", CLONE_VM },      { "bad", 1 },
	{ "minus", -1 },         { "user", CLONE_NEWUSER | CLONE_NEWNET },
};

static void say_bind(const char *kind_name)
{
	const struct kind *kind = scene_kind(kind_name);
	union address address;
	socklen_t len = address_value("any")->fill(kind, &address);
	int fd = socket(kind->domain, kind->type, kind->protocol);

	CALL(bind(fd, &address.sa, len));
	say_descriptor(kind_name, fd);
}

static void run_unshare(const void *context)
{
	CALL(unshare(partings[*(const size_t *)context].flags));
	say_bind("udp4");
	say_bind("tcp6");
}

static void run_setns(const void *context)
{
	static const char *const ways[] = { "own", "wrong-type", "no-namespace", "closed",
					    "any-type" };
	const char *way = ways[*(const size_t *)context];
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (!strcmp(way, "own"))
		CALL(setns(fd, CLONE_NEWNET));
	else if (!strcmp(way, "wrong-type"))
		CALL(setns(fd, CLONE_NEWUTS));
	else if (!strcmp(way, "no-namespace"))
		CALL(setns(STDIN_FILENO, 0));
	else if (!strcmp(way, "closed"))
		CALL(setns(-1, CLONE_NEWNET));
	else
		CALL(setns(fd, 0));
	say_bind("udp4");
	say_bind("tcp6");
}

static int in_clone(void *argument)
{
	union address address;
	socklen_t len = address_value("any")->fill(scene_kind("udp4"), &address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)argument;
	/* errno is the parent's, too, where memory is shared */
	if (bind(fd, &address.sa, len))
		return 3;
	len = sizeof(address);
	getsockname(fd, &address.sa, &len);
	/* it may be the parent's, too */
	close(fd);
	return strcmp(transparent_port(ntohs(address.in4.sin_port)), "given") ? 4 : 5;
}

static const struct {
	const char *name;
	int flags;
	bool no_stack, no_function;
} clones[] = {
	{ "fork", SIGCHLD, false, false },
	{ "vm", CLONE_VM | SIGCHLD, false, false },
	{ "files", CLONE_FILES | SIGCHLD, false, false },
	{ "vm-files", CLONE_VM | CLONE_FILES | SIGCHLD, false, false },
	{ "vfork", CLONE_VM | CLONE_VFORK | SIGCHLD, false, false },
	{ "net", CLONE_NEWNET | SIGCHLD, false, false },
	{ "net-vm", CLONE_NEWNET | CLONE_VM | SIGCHLD, false, false },
	{ "thread-alone", CLONE_THREAD | SIGCHLD, false, false },
	{ "no-stack", SIGCHLD, true, false },
	{ "no-function", SIGCHLD, false, true },
};

static void run_clone(const void *context)
{
	size_t i = *(const size_t *)context;
	char *stack = malloc(65536);
	int status = 0;
	long id;

	/* it ends before the descriptors are counted */
	id = CALL(clone(clones[i].no_function ? NULL : in_clone,
			clones[i].no_stack ? NULL : stack + 65536,
			clones[i].flags & CLONE_FILES ? clones[i].flags | CLONE_VFORK
						      : clones[i].flags,
			NULL) > 0);

	if (id && waitpid(-1, &status, __WALL) > 0)
		transparent_say("ended=%x", (unsigned)status);
	say_bind("udp4");
}

void descriptors_run(void)
{
	static const char *const kinds[] = { "tcp4", "udp6", "mptcp4", "unix-stream", "file",
					     "path", "pipe", "closed", "minus-1",     "large" };
	static const struct {
		const char *how;
		int to, flags;
	} copies[] = {
		{ "dup", 0, 0 },     { "dup2", OCCUPIED, 0 },
		{ "dup2", 50, 0 },   { "dup2", SAME, 0 },
		{ "dup2", -1, 0 },   { "dup2", 1 << 30, 0 },
		{ "__dup2", 50, 0 }, { "__dup2", SAME, 0 },
		{ "dup3", 50, 0 },   { "dup3", OCCUPIED, O_CLOEXEC },
		{ "dup3", SAME, 0 }, { "dup3", 50, 77 },
		{ "dup3", -1, 0 },   { "dup3", 1 << 30, O_CLOEXEC },
	};
	static const struct {
		const char *name;
		int (*function)(int fd, int command, ...);
	} controls[] = { { "fcntl", fcntl }, { "fcntl64", fcntl64 }, { "__fcntl", __fcntl } };
	size_t i, j, k;

	for (i = 0; i < COUNT(kinds); i++) {
		const struct kind *kind = scene_kind(kinds[i]);
		struct closing closing = { kind, close };

		for (j = 0; j < COUNT(copies); j++) {
			struct copying copying = { kind, copies[j].how, copies[j].to,
						   copies[j].flags };

			transparent_case(run_copying, &copying, "%s/%s/%d/%d", copying.how,
					 kinds[i], copying.to, copying.flags);
		}
		for (j = 0; j < COUNT(controls); j++)
			for (k = 0; k < COUNT(commands); k++) {
				struct control control = { kind, controls[j].function, k };

				transparent_case(run_control, &control, "%s/%s/%s",
						 controls[j].name, kinds[i], commands[k].name);
			}
		transparent_case(run_closing, &closing, "close/%s", kinds[i]);
		closing.function = __close;
		transparent_case(run_closing, &closing, "__close/%s", kinds[i]);
	}
	for (i = 0; i < COUNT(gaps); i++)
		transparent_case(run_gap, &i, "close_range/%s", gaps[i].name);
	for (i = 0; i < 5; i++)
		transparent_case(run_pidfd, &i, "pidfd_getfd/%zu", i);
	for (i = 0; i < COUNT(partings); i++)
		transparent_case(run_unshare, &i, "unshare/%s", partings[i].name);
	for (i = 0; i < 5; i++)
		transparent_case(run_setns, &i, "setns/%zu", i);
	for (i = 0; i < COUNT(clones); i++)
		transparent_case(run_clone, &i, "clone/%s", clones[i].name);
}
