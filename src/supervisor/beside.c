#include "beside.h"

#include "../machine/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The program keeps the process that it was started as: its id, parent, terminal, signals and exit status
 * are what they are without us. The process beside it is made by a process in between that ends at once: the
 * program has no child that it did not make, and one that waits for any child, as strace does, gets none
 * of ours. Who inherits orphans would get it back, so there it stays a child, but one that wait(2) does
 * not know of (no signal announces its end, see __WCLONE).
 *
 * To copy a process takes longer than all else that its making needs. So the process in between shares the
 * program's memory, as one of vfork(2), and has a stack of its own, which is then that of the process beside.
 */

/* As much as the threads of the supervisor have, and a page below that nobody can write to */
#define STACK_SIZE ((size_t)512 << 10)
#define STACK_GUARD ((size_t)64 << 10)

/* Numbers that programs use, where close_range(2) is refused: as by Docker's profile before 2021 */
#define CLOSED_ONE_BY_ONE 65536U

/* fork(2), but no signal announces the new process's end */
static pid_t fork_unannounced(void)
{
	return (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0);
}

/* The stack of the process that shares our memory. It goes with the program's memory, at its execve(2). */
static char *other_stack(void)
{
	static char *stack;
	char *memory;

	if (stack)
		return stack;
	memory = mmap(NULL, STACK_GUARD + STACK_SIZE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (mprotect(memory + STACK_GUARD, STACK_SIZE, PROT_READ | PROT_WRITE)) {
		munmap(memory, STACK_GUARD + STACK_SIZE);
		return NULL;
	}
	stack = memory + STACK_GUARD + STACK_SIZE;
	return stack;
}

pid_t beside_call(int (*function)(void *context), void *context, int flags)
{
	char *stack;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	/* the sanitizers know of no such stack */
	pid_t pid = (pid_t)syscall(SYS_clone, (unsigned long)flags, NULL, NULL, NULL, 0);

	if (!pid)
		_exit(function(context));
	return pid;
#endif
	stack = other_stack();
	return stack ? clone(function, stack, CLONE_VM | flags, context) : -1;
}

bool beside_hear(int from, int *ret_number)
{
	return read(from, ret_number, sizeof(*ret_number)) == sizeof(*ret_number);
}

bool beside_say(int to, int number)
{
	return write(to, &number, sizeof(number)) == sizeof(number);
}

/* ---- making it ---- */

static bool inherits_orphans(void)
{
	int subreaper = 0;

	prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
	return subreaper || getpid() == 1;
}

/* What the process beside is to do */
struct order {
	void (*life)(void *context, pid_t program, int channel, int theirs);
	void *context;
	pid_t program;
	const int *channel; /* both ends */
};

static _Noreturn void begin_life(const struct order *order)
{
	close(order->channel[0]);
	order->life(order->context, order->program, order->channel[1], order->channel[0]);
	_exit(EXIT_SUCCESS);
}

/* The process in between. The program, whose memory this is, waits for its end. */
static int be_between(void *context)
{
	const struct order *order = context;

	if (!fork_unannounced())
		begin_life(order);
	/* without anybody at the other end, the program learns that there is no process */
	return EXIT_FAILURE;
}

int beside_start(void (*life)(void *context, pid_t program, int channel, int theirs), void *context,
		 struct beside *ret_beside)
{
	struct beside beside = { .is_orphan = !inherits_orphans() };
	int channel[2];
	struct order order = {
		.life = life, .context = context, .program = getpid(), .channel = channel
	};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel))
		return -errno;
	beside.child = beside.is_orphan ? beside_call(be_between, &order, CLONE_VFORK)
					: fork_unannounced();
	if (!beside.child)
		begin_life(&order);
	close(channel[1]);
	beside.channel = channel[0];
	if (beside.child < 0) {
		beside_leave_alone(&beside, true);
		return -EAGAIN;
	}
	*ret_beside = beside;
	return 0;
}

bool beside_greet(int channel, int rc)
{
	const int greeting[] = { getpid(), rc };

	return write(channel, greeting, sizeof(greeting)) == sizeof(greeting);
}

int beside_meet(struct beside *beside)
{
	int greeting[2];

	if (read(beside->channel, greeting, sizeof(greeting)) != sizeof(greeting))
		return -EAGAIN;
	beside->pid = greeting[0];
	return greeting[1];
}

void beside_leave_alone(struct beside *beside, bool failed)
{
	/* with nobody at the other end, it ends by itself */
	if (failed)
		close(beside->channel);
	if (beside->child > 0 && (failed || beside->is_orphan))
		waitpid(beside->child, NULL, __WCLONE);
}

/* ---- in it ---- */

/* Not every libc has close_range(2) */
static void close_all(unsigned first, unsigned last)
{
	if (!syscall(SYS_close_range, first, last, 0))
		return;
	for (; first <= last && first < CLOSED_ONE_BY_ONE; first++)
		close((int)first);
}

/* Keeps these descriptors, under numbers of their own, and closes all others. Return: 0, -errno */
static int keep_only(int *const keep[], unsigned count)
{
	int lowest = 3, null;
	unsigned i;

	for (i = 0; i < count; i++) {
		*keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, lowest);
		if (*keep[i] < 0)
			return -errno;
		lowest = *keep[i] + 1;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	for (i = 0; i < 3; i++)
		dup2(null, (int)i);
	/* each is higher than the one before */
	lowest = 3;
	for (i = 0; i < count; i++) {
		if (*keep[i] > lowest)
			close_all((unsigned)lowest, (unsigned)*keep[i] - 1);
		lowest = *keep[i] + 1;
	}
	close_all((unsigned)lowest, ~0U);
	return 0;
}

int beside_detach(int *const keep[], unsigned count)
{
	static const int ignored[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGTERM, SIGTSTP,
				       SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ };
	sigset_t none;
	size_t i;

	setsid();
	if (chdir("/"))
		return -errno;
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return keep_only(keep, count);
}

/*
 * Our command line has the program's in it. A search for the program by its command line
 * (pgrep -f, pkill -f) must not find us.
 */
void beside_rename(const char *does, pid_t program)
{
	static char text[1 << 16];
	char *title = program_invocation_name;
	long size = procfs_read(PROCFS_SELF, "cmdline", text, sizeof(text));

	if (size <= 0)
		return;
	/* the arguments stand one behind the other (execve(2)) */
	memset(title, 0, (size_t)size);
	snprintf(title, (size_t)size, "portfence: %s process %d", does, (int)program);
}
