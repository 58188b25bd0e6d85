/*
 * children: a process of another kind makes every call, and its parent makes them after it.
 *
 *	children WAY
 *
 * WAY:	fork		of a process whose other threads make calls and hold malloc's lock, 50 times
 *	dlopen-fork	of a process whose other thread is in a library's constructor (CTOR_WAIT)
 *	vfork		what POSIX does not allow, but programs do
 *	clone-vm	clone(CLONE_VM), the parent goes on meanwhile
 *	clone-vm-files	likewise, and the table of descriptors is shared
 *	clone-thread	a bare thread
 *	spawn-actions	posix_spawn with file actions: the child's sockets are on the numbers that the
 *			parent had sockets on; runs `children child`
 */
#include "calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define STACK (256 << 10)

static _Atomic int ended;
static const char *library;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid || status)
		die("child");
}

/* ---- fork ---- */

static void *busy(void *unused)
{
	int fd, kind = 0;

	while (!atomic_load(&ended)) {
		free(malloc((size_t)(1 + kind % 3) << 10));
		calls_make((enum calls_kind)(kind++ % CALLS_KINDS), &fd);
		close(fd);
	}
	return unused;
}

static void way_fork(void)
{
	pthread_t thread[3];
	int i;

	for (i = 0; i < 3; i++)
		if (pthread_create(&thread[i], NULL, busy, NULL))
			die("thread");
	for (i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid) {
			pid = fork();
			calls(pid ? "child" : "grandchild");
			if (pid)
				wait_for(pid);
			_exit(0);
		}
		calls("parent");
		wait_for(pid);
	}
	atomic_store(&ended, 1);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
}

static void *load(void *unused)
{
	if (!dlopen(library, RTLD_NOW))
		_exit(3);
	return unused;
}

static void way_dlopen_fork(void)
{
	int *there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	char text[32];
	pid_t pid;

	snprintf(text, sizeof(text), "%p", (void *)there);
	setenv("CTOR_WAIT", text, 1);
	if (pthread_create(&thread, NULL, load, NULL))
		die("thread");
	while (!__atomic_load_n(there, __ATOMIC_ACQUIRE))
		sched_yield();
	pid = fork();
	if (!pid) {
		calls("child");
		_exit(0);
	}
	wait_for(pid);
	calls("parent");
	__atomic_store_n(there, 2, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

/* ---- memory that is shared ---- */

static void way_vfork(void)
{
	pid_t pid;

	calls("parent");
	pid = vfork();
	if (!pid) {
		calls("child");
		_exit(0);
	}
	wait_for(pid);
	calls("parent");
}

static int in_clone(void *name)
{
	calls(name);
	atomic_store(&ended, 1);
	return 0;
}

/* The flags of pthread_create(), without what needs its own thread-local memory. */
#define BARE_THREAD                                                                                \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static void in_shared_memory(int flags)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int i;

	calls("parent");
	pid = clone(in_clone, stack + STACK, flags, (void *)"child");
	if (pid < 0)
		die("clone");
	/* bare threads share their errno, so one makes its calls after the other */
	while (flags & CLONE_THREAD && !atomic_load(&ended))
		sched_yield();
	for (i = 0; i < 20; i++)
		calls("parent");
	if (!(flags & CLONE_THREAD))
		wait_for(pid);
}

/* ---- spawn ---- */

/* 9 is a bound UDP socket here, and in the child what was 8: not bound. */
static void way_spawn_actions(char *self)
{
	char *arguments[] = { self, (char *)"child", NULL }, *none[] = { NULL };
	int bound = socket(AF_INET, SOCK_DGRAM, 0), fresh = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in peer = calls_peer(CALLS_UDP);
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int i;

	dup2(bound, 9);
	dup2(fresh, 8);
	for (i = 0; i < 3; i++)
		sendto(9, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));
	calls_say("parent", "settled", calls_port(9), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, 8, 9);
	posix_spawn_file_actions_addclose(&actions, 8);
	posix_spawn_file_actions_addopen(&actions, 7, "/dev/null", O_RDWR, 0);
	if (posix_spawn(&pid, self, &actions, NULL, arguments, none))
		die("posix_spawn");
	wait_for(pid);
	calls("parent");
}

static void child(void)
{
	struct sockaddr_in peer = calls_peer(CALLS_UDP);
	long rc = sendto(9, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer));

	calls_say("child", "inherited", calls_port(9), rc < 0 ? errno : 0);
	calls("child");
}

int main(int argc, char *argv[])
{
	const char *way = argc > 1 ? argv[1] : "";

	library = argc > 2 ? argv[2] : "";
	if (!strcmp(way, "fork"))
		way_fork();
	else if (!strcmp(way, "dlopen-fork"))
		way_dlopen_fork();
	else if (!strcmp(way, "vfork"))
		way_vfork();
	else if (!strcmp(way, "clone-vm"))
		in_shared_memory(CLONE_VM | SIGCHLD);
	else if (!strcmp(way, "clone-vm-files"))
		in_shared_memory(CLONE_VM | CLONE_FILES | SIGCHLD);
	else if (!strcmp(way, "clone-thread"))
		in_shared_memory(BARE_THREAD);
	else if (!strcmp(way, "spawn-actions"))
		way_spawn_actions(argv[0]);
	else if (!strcmp(way, "child"))
		child();
	else
		return 2;
	return 0;
}
