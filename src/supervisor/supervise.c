#include "supervise.h"

#include "../core/assign.h"
#include "../core/fence.h"
#include "../core/log.h"
#include "../machine/procfs.h"
#include "beside.h"
#include "born.h"
#include "caller.h"
#include "filter.h"
#include "inner.h"
#include "mark.h"
#include "newsocket.h"
#include "rights.h"
#include "trap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The supervisor is made before the filter, under which it must not be itself, by
 * beside.c. It is in a session of its own, holds no file of the program's but standard error, and ends
 * when nobody is left under the filter.
 *
 * The listener is the filtered process's, which cannot send it: sendmsg(2) stops at
 * the filter. The supervisor takes it, where it may look into the program
 * (pidfd_getfd(2), process_vm_readv(2)). Yama and the sandboxes of containers and
 * services often forbid to look, and where no call needs a look, nothing is missing.
 * There, a process that was made before the filter, and that shares the table of
 * descriptors, sends the listener and ends.
 *
 * What is to last as long as the tree, such as a lock, is the supervisor's to
 * hold, since programs close what they do not know. Where there is no supervisor,
 * a process stays for that alone, as long as anybody carries the run's mark (mark.c).
 */

#define KEPT_FOR_TREE_MAX 8
#define INHERITED_MAX 32
#define KEPT_MAX (3 + KEPT_FOR_TREE_MAX + INHERITED_MAX)

static int kept_for_tree[KEPT_FOR_TREE_MAX];
static unsigned kept_count;

/* Sockets that the program inherits, and that have no port yet; where sockets are born, we keep them, too */
static int inherited[INHERITED_MAX];
static unsigned inherited_count;

static int real_socket(int domain, int type, int protocol)
{
	return (int)syscall(SYS_socket, domain, type, protocol);
}

static int real_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (int)syscall(SYS_bind, fd, addr, len);
}

static int real_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (int)syscall(SYS_connect, fd, addr, len);
}

static int real_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

static int real_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return (int)syscall(SYS_getsockopt, fd, level, option, value, len);
}

static int real_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return (int)syscall(SYS_getsockname, fd, addr, len);
}

static int real_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return (int)syscall(SYS_getpeername, fd, addr, len);
}

/* Where the command is itself run under a fence, libc's names are that fence's. */
static const struct socket_calls real_sys = {
	.socket = real_socket,
	.bind = real_bind,
	.connect = real_connect,
	.setsockopt = real_setsockopt,
	.getsockopt = real_getsockopt,
	.getsockname = real_getsockname,
	.getpeername = real_getpeername,
};

/* What the supervisor works with. Its own process never leaves, so nothing is given back. */
struct supervisor {
	struct filter filter;
	struct rule rule;
	struct engine_kernel kernel[PROTO_COUNT];
	struct source_addr_cache sources;
	struct fence fence;
	struct log log;
};

static int prepare(struct supervisor *new, const struct settings *settings)
{
	new->rule = *settings->rule;
	new->rule.engine = ENGINE_BIND;
	new->fence.calls = &real_sys;
	new->fence.rule = &new->rule;
	new->fence.kernel = new->kernel;
	new->fence.sources = &new->sources;
	new->log.calls = &real_sys;
	new->log.record = settings->record;
	new->log.application = settings->rule->name;
	new->log.verbose = settings->verbose;
	log_start(&new->log, settings->log);
	if (state_open(settings->state, settings->runtime, settings->rule, &new->fence.state))
		return -ENOMEM;
	/* with a gate, the library is there, and says so itself */
	if (new->fence.state.warning && !settings->gate)
		new->log.warning[new->log.warnings++] = new->fence.state.warning;
	return 0;
}

/* The limits that the program has set itself are not meant for the process that serves all of its processes. */
static void raise_limits(void)
{
	static const int resources[] = { RLIMIT_CPU, RLIMIT_NOFILE };
	struct rlimit limit;
	size_t i;

	for (i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		if (getrlimit(resources[i], &limit))
			continue;
		limit.rlim_cur = limit.rlim_max;
		setrlimit(resources[i], &limit);
	}
}

/* What is held for the tree, and what is inherited, is kept as well. Return: 0, -errno */
static int detach(int *channel, int *program, int *errors)
{
	int *keep[KEPT_MAX] = { channel };
	unsigned count = 1, i;

	if (*program >= 0)
		keep[count++] = program;
	if (*errors >= 0)
		keep[count++] = errors;
	for (i = 0; i < kept_count; i++)
		keep[count++] = &kept_for_tree[i];
	for (i = 0; i < inherited_count; i++)
		keep[count++] = &inherited[i];
	return beside_detach(keep, count);
}

/*
 * A state file was cut short: goes on with memory of its own. Only what it does with the
 * state from now on is in that. Any other error of memory ends the supervisor; a signal
 * that somebody sends (kill(2)) is none.
 */
static void replace_lost_state(int number, siginfo_t *info, void *context)
{
	struct state_file *state = inner_shared_at((uintptr_t)info->si_addr);

	(void)context;
	if (info->si_code <= 0)
		return;
	if (!state) {
		/* NOLINTNEXTLINE(bugprone-signal-handler): the call that failed is made again, and ends us */
		signal(number, SIG_DFL);
		return;
	}
	/* NOLINTNEXTLINE(bugprone-signal-handler): it is a system call and no more */
	if (mmap(state, sizeof(*state), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(EXIT_FAILURE);
}

/*
 * What goes through the channel: a number, and a copy of a descriptor, or -1 for none. Return: false if
 * nobody is left at the other end
 */
static bool hear_with(int channel, int *ret_number, int *ret_fd)
{
	struct iovec part = { ret_number, sizeof(*ret_number) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	const struct cmsghdr *head;

	if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != sizeof(*ret_number))
		return false;
	head = CMSG_FIRSTHDR(&message);
	if (head)
		memcpy(ret_fd, CMSG_DATA(head), sizeof(*ret_fd));
	return true;
}

static bool say_with(int channel, int number, int fd)
{
	struct iovec part = { &number, sizeof(number) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	const struct msghdr message = { .msg_iov = &part,
					.msg_iovlen = 1,
					.msg_control = &control,
					.msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(channel, &message, MSG_NOSIGNAL) == sizeof(number);
}

/* What a look at the program shows, besides 0 or -errno: it cannot be looked into, and its sockets are born */
enum { LOOK_BORN = 1 };

/*
 * May we have what the program has? Its end of the channel will do. It has not named us to Yama yet, as most of
 * those that it starts never will. Return: 0, LOOK_BORN, -errno
 */
static int try_access(const struct caller *program, int fd)
{
	int got = caller_descriptor(program, fd), number = 0, rc = got;
	uint32_t inode;

	if (got >= 0) {
		close(got);
		rc = caller_read(program, (uintptr_t)&fd, &number, sizeof(number));
	}
	if (rc != -EPERM && rc != -EACCES && rc != -ENOSYS)
		return rc;
	rights_look(program);
	if (!caller_socket(program, fd, &inode))
		rc = LOOK_BORN;
	rights_look_away();
	return rc;
}

/* Finds out how the program is to be served. Return: as try_access() */
static int choose_way(struct supervisor *supervisor, const struct caller *program, int fd)
{
	struct filter *filter = &supervisor->filter;
	int rc;

	rc = try_access(program, fd);
	/* the second time, the program has named us; but not all that it starts will */
	filter->born |= rc == LOOK_BORN;
	return rc;
}

/* Of more than we have room for, calls that need a port fail. */
static void note_inherited(int fd, void *fence)
{
	if (inherited_count < INHERITED_MAX && !assign_has_port(fence, fd))
		inherited[inherited_count++] = fd;
}

static void keep_inherited(struct born *born)
{
	unsigned i;

	for (i = 0; i < inherited_count; i++) {
		uint64_t inode;

		if (!born_keep(born, inherited[i], &inode))
			born_give(born, inode);
	}
}

/* What a run inside is told; @may_look: into the program, which may have named us for that */
static struct inner_offer make_offer(const struct supervisor *supervisor, bool may_look)
{
	const struct filter *filter = &supervisor->filter;
	const struct rule *rule = supervisor->fence.rule;
	const bool named = filter->born && may_look;

	return (struct inner_offer){
		.gate = filter->gate,
		.tracer = named ? (uint64_t)getpid() : 0,
		.tracer_space = named ? procfs_number(PROCFS_SELF, "ns/pid") : 0,
		.unseen = filter->born,
		.io_uring = filter->io_uring,
		.any_mptcp = filter->any_mptcp,
		.polices = rule && rule->bind != BIND_ALLOW,
	};
}

/*
 * Keeps the program's standard error: a file as a duplicate, so that the program goes on writing behind our lines.
 * Anything else by its path alone: a pipe has no writer by it (open(2), O_PATH). What was not open to write stays so.
 * Return: descriptor, -1
 */
static int keep_errors(void)
{
	struct stat st;

	if ((fcntl(STDERR_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -1;
	if (!fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode))
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return open("/dev/fd/2", O_PATH | O_CLOEXEC);
}

/* Leaves the program's files, session and signals. Return: 0, -errno */
static int leave_program(struct supervisor *supervisor, struct caller *program, int *channel,
			 int *ret_errors)
{
	rights_drop(supervisor->filter.born, true);
	beside_rename("supervises", program->thread);
	if (supervisor->filter.born)
		newsocket_inherited(note_inherited, &supervisor->fence);
	*ret_errors = keep_errors();
	return detach(channel, &program->pidfd, ret_errors);
}

/*
 * @look:	how we serve; where the program asks again, it changes
 *
 * Return: the listener, -errno
 */
static int take_listener(struct supervisor *supervisor, const struct caller *program, int channel,
			 int *look)
{
	int number, listener = -1;

	for (;;) {
		if (!hear_with(channel, &number, &listener))
			_exit(EXIT_FAILURE);
		if (listener >= 0)
			return listener;
		if (!*look)
			return caller_descriptor(program, number);
		*look = choose_way(supervisor, program, number);
		if (!beside_say(channel, *look))
			_exit(EXIT_FAILURE);
	}
}

/*
 * The supervisor's life. A channel carries numbers both ways, and the listener:
 *
 *	supervisor (live)                     program (start, submit)
 *	  its process id, and how it
 *	  serves, or -errno            -->  goes on under the filter, or names it to Yama and asks:
 *	  looks at it again           <--     number of a descriptor of its own
 *	  how it serves                -->
 *	  leaves the program meanwhile
 *	  takes the listener          <--   its number, or the listener, from a process beside (send_listener)
 *	  0 or -errno                  -->  closes the listener, and executes the command
 *
 * A channel that ends early means that the other side has failed. The program's end is closed when
 * the command is executed, so that the supervisor can tell what is done before that.
 */
static void live(void *context, pid_t parent, int channel, int theirs)
{
	struct supervisor *supervisor = context;
	const struct sigaction lost = { .sa_sigaction = replace_lost_state,
					.sa_flags = SA_SIGINFO };
	static struct born born;
	struct inner_offer offer;
	struct caller program = { .pidfd = -1 };
	int listener, errors = -1, look, rc;

	rights_drop(true, true);
	raise_limits();
	look = caller_open_program(parent, &program);
	if (!look)
		look = choose_way(supervisor, &program, theirs);
	if (!beside_greet(channel, look) || look < 0)
		_exit(EXIT_FAILURE);
	rc = leave_program(supervisor, &program, &channel, &errors);
	listener = take_listener(supervisor, &program, channel, &look);
	if (!rc && listener < 0)
		rc = listener;
	if (!beside_say(channel, rc) || rc)
		_exit(EXIT_FAILURE);
	offer = make_offer(supervisor, !look);
	/* it takes a megabyte */
	if (supervisor->filter.born) {
		born_start(&born);
		keep_inherited(&born);
	}
	if (supervisor->fence.state.file)
		inner_share(supervisor->fence.state.file);
	sigaction(SIGBUS, &lost, NULL);
	trap_serve(listener, supervisor->filter.born ? &born : NULL, &supervisor->fence,
		   &supervisor->log, &offer, program.pidfd, errors, channel);
	/* all writers are gone, so the summary is put right here */
	if (supervisor->log.record.path)
		record_repair(&supervisor->log.record);
	_exit(EXIT_SUCCESS);
}

static int explain_filter(int error, const struct filter *filter, struct obstacle *ret_obstacle)
{
	obstacle_of_filter(error, filter->exact, ret_obstacle);
	return -error;
}

static int explain_look(int error, struct obstacle *ret_obstacle)
{
	obstacle_of_look(error, ret_obstacle);
	return -error;
}

/* What the sender of the listener needs */
struct sender {
	pid_t parent;
	int channel; /* the listener goes there */
	int from;    /* a pipe, from which its number comes */
};

/*
 * A process that shares this one's memory and table of descriptors. It waits for the listener's number, sends
 * the listener through the channel, and ends.
 */
static int be_sender(void *context)
{
	const struct sender *sender = context;
	int listener;

	/* what we would wait for stays open as long as this process does */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != sender->parent || !beside_hear(sender->from, &listener) ||
	    !say_with(sender->channel, 0, listener))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/*
 * Puts this process under the filter, and sends the listener. Return: 0; -errno, with @ret_listener
 * at least 0 where the filter is there nevertheless
 */
static int send_listener(const struct filter *filter, int channel, int *ret_listener)
{
	int words[2], listener, status = -1, rc;
	struct sender order = { .parent = getpid(), .channel = channel };
	pid_t sender;

	if (pipe2(words, O_CLOEXEC))
		return -errno;
	order.from = words[0];
	sender = beside_call(be_sender, &order, CLONE_FILES);
	rc = sender < 0 ? -errno : 0;
	listener = rc ? rc : filter_install(filter);
	if (sender > 0) {
		/* an end without a listener is the sender's, too */
		if (!beside_say(words[1], listener))
			kill(sender, SIGKILL);
		waitpid(sender, &status, __WCLONE);
	}
	close(words[0]);
	close(words[1]);
	*ret_listener = listener;
	return listener < 0 ? listener : status ? -EPIPE : 0;
}

/* Puts this process under the filter, and shows the supervisor the listener. Return: as send_listener() */
static int show_listener(const struct filter *filter, int channel, int *ret_listener)
{
	*ret_listener = filter_install(filter);
	if (*ret_listener < 0)
		return *ret_listener;
	return beside_say(channel, *ret_listener) ? 0 : -EPIPE;
}

/* Asks the supervisor whether it may look into this process. Return: 0, -errno */
static int ask_for_look(int channel)
{
	int rc;

	return beside_say(channel, channel) && beside_hear(channel, &rc) ? rc : -EPIPE;
}

/*
 * This process's half
 *
 * @ret_named:	the supervisor may look only into what names it
 *
 * Return: 0, or -errno
 */
static int submit(struct beside *supervisor, struct filter *filter, bool *ret_named,
		  struct obstacle *ret_obstacle)
{
	const int channel = supervisor->channel;
	int listener = -1, rc = beside_meet(supervisor);

	/*
	 * With Yama (prctl(2)), only a process's ancestors may look into it, or whom it names. Its
	 * children have to name the supervisor, too: the library does that. What it does not reach is
	 * served by sockets that are born.
	 */
	*ret_named = rc == LOOK_BORN && filter->gate &&
		     !prctl(PR_SET_PTRACER, supervisor->pid, 0, 0, 0) && !ask_for_look(channel);
	if (rc < 0)
		return explain_look(-rc, ret_obstacle);
	filter->born = rc == LOOK_BORN;
	rc = filter->born ? send_listener(filter, channel, &listener)
			  : show_listener(filter, channel, &listener);
	if (listener < 0)
		return explain_filter(-rc, filter, ret_obstacle);
	if (!rc && !beside_hear(channel, &rc))
		rc = -EPIPE;
	close(listener);
	if (!rc)
		return 0;
	/* every call that stops would fail with ENOSYS */
	obstacle_set(ret_obstacle, "the supervisor has ended: %s", strerror(-rc));
	return -ENOTRECOVERABLE;
}

/* @ret_tracer: the supervisor's process id, if each process has to name it, or 0 */
static int start(struct supervisor *supervisor, uint64_t *ret_tracer, struct obstacle *ret_obstacle)
{
	struct beside beside;
	bool named = false;
	int rc = beside_start(live, supervisor, &beside);

	*ret_tracer = 0;
	if (rc)
		return explain_look(-rc, ret_obstacle);
	rc = submit(&beside, &supervisor->filter, &named, ret_obstacle);
	if (named && !rc)
		*ret_tracer = (uint64_t)beside.pid;
	beside_leave_alone(&beside, rc);
	return rc;
}

int supervise_hold(int fd)
{
	if (kept_count == KEPT_FOR_TREE_MAX)
		return -ENOSPC;
	kept_for_tree[kept_count++] = fd;
	return 0;
}

bool supervise_holds(void)
{
	return kept_count;
}

/* The life of a process that only holds what is held for the tree; the channel carries numbers both ways. */
static void hold(void *mark, pid_t program, int channel, int theirs)
{
	int number, none = -1, rc;

	(void)theirs;
	rights_drop(false, false);
	beside_rename("holds for", program);
	rc = detach(&channel, &none, &none);
	/* nobody has the mark before that */
	if (beside_greet(channel, rc) && !rc && beside_hear(channel, &number))
		mark_wait(*(uint64_t *)mark);
}

static int explain_mark(int error, struct obstacle *ret_obstacle)
{
	if (error == EPERM)
		obstacle_set(ret_obstacle, "the limit RLIMIT_RSS, by which the processes of a run "
					   "are known, may not be set here ('ulimit -Hm' is not "
					   "unlimited, or a sandbox refuses it)");
	else
		obstacle_set(ret_obstacle, "no process can hold it: %s", strerror(error));
	return -error;
}

static int take_mark(uint64_t mark, struct obstacle *ret_obstacle)
{
	const int rc = mark ? mark_set(mark) : -EAGAIN;

	return rc ? explain_mark(-rc, ret_obstacle) : 0;
}

int supervise_keep(struct obstacle *ret_obstacle)
{
	uint64_t mark = mark_draw();
	struct beside beside;
	int rc;

	if (!procfs_is_ours()) {
		obstacle_set(ret_obstacle, "/proc does not show the processes of this PID "
					   "namespace, so nothing tells when the run has ended");
		return -ENOSYS;
	}
	rc = beside_start(hold, &mark, &beside);
	if (rc)
		return explain_mark(-rc, ret_obstacle);
	rc = beside_meet(&beside);
	rc = rc ? explain_mark(-rc, ret_obstacle) : take_mark(mark, ret_obstacle);
	if (!rc && !beside_say(beside.channel, 0))
		rc = explain_mark(EPIPE, ret_obstacle);
	beside_leave_alone(&beside, rc);
	return rc;
}

static bool is_inside;

/* Has an outer run's supervisor serve this process, and all that it starts, by the rule of the settings */
static int start_inside(int channel, const struct inner_offer *offer, struct settings *settings,
			bool exact, struct obstacle *ret_obstacle)
{
	int rc = inner_compare(offer, settings, exact, ret_obstacle);

	/* whoever holds something for the run around this knows its processes by the mark that is replaced */
	if (!rc && (kept_count || mark_of(getpid())))
		rc = supervise_keep(ret_obstacle);
	else if (!rc)
		rc = take_mark(mark_draw(), ret_obstacle);
	if (rc) {
		ret_obstacle->outer = true;
		close(channel);
		return rc;
	}
	rc = inner_submit(channel, settings, ret_obstacle);
	if (rc)
		return rc;
	if (settings->gate)
		settings->gate = offer->gate;
	settings->tracer = offer->tracer;
	settings->tracer_space = offer->tracer_space;
	settings->unseen = offer->unseen;
	is_inside = true;
	return 0;
}

bool supervise_is_inside(void)
{
	return is_inside;
}

int supervise_start(struct settings *settings, bool exact, struct obstacle *ret_obstacle)
{
	static struct supervisor supervisor;
	struct inner_offer offer;
	int channel = inner_ask(&offer), rc;

	if (channel >= 0)
		return start_inside(channel, &offer, settings, exact, ret_obstacle);
	rc = prepare(&supervisor, settings);
	if (rc)
		return explain_look(-rc, ret_obstacle);
	supervisor.filter.gate = settings->gate;
	supervisor.filter.io_uring = settings->rule->io_uring;
	supervisor.filter.any_mptcp = settings->rule->mptcp == MPTCP_ALLOW;
	supervisor.filter.exact = exact;
	rc = start(&supervisor, &settings->tracer, ret_obstacle);
	settings->tracer_space = settings->tracer ? procfs_number(PROCFS_SELF, "ns/pid") : 0;
	settings->unseen = !rc && supervisor.filter.born;
	return rc;
}

int supervise_check(uint64_t gate, bool exact, struct obstacle *ret_obstacle)
{
	static struct supervisor nobodys;
	const struct settings none = { .gate = gate };
	int ends[2], rc = -EPIPE, channel;
	struct inner_offer offer;
	uint64_t tracer;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return explain_look(errno, ret_obstacle);
	nobodys.filter.gate = gate;
	nobodys.filter.exact = exact;
	pid = fork();
	if (!pid) {
		channel = inner_ask(&offer);
		rc = channel < 0 ? start(&nobodys, &tracer, ret_obstacle)
				 : inner_compare(&offer, &none, exact, ret_obstacle);
		if (beside_say(ends[1], rc) &&
		    write(ends[1], ret_obstacle, sizeof(*ret_obstacle)) == sizeof(*ret_obstacle))
			_exit(EXIT_SUCCESS);
		_exit(EXIT_FAILURE);
	}
	close(ends[1]);
	if (pid > 0 && beside_hear(ends[0], &rc) && rc &&
	    read(ends[0], ret_obstacle, sizeof(*ret_obstacle)) != sizeof(*ret_obstacle))
		rc = -EPIPE;
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return rc == -EPIPE ? explain_look(EPIPE, ret_obstacle) : rc;
}

uint64_t supervise_gate(void)
{
	return filter_draw_gate();
}
