#include "supervise.h"

#include "../core/fence.h"
#include "../core/log.h"
#include "caller.h"
#include "filter.h"
#include "say.h"
#include "trap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The program keeps the process that it was started as: its id, parent,
 * terminal, signals and exit status are what they are without us. The supervisor
 * is a child of that process, made before the filter, under which it must not
 * be itself. It is a child that wait(2) does not know of (no signal announces
 * its end, see __WCLONE), so that the program cannot take it for one of its own.
 * It is in a session of its own, holds no file of the program's, and ends when
 * nobody is left under the filter.
 *
 * The listener is the filtered process's; the supervisor takes it by
 * pidfd_getfd(2), and so finds out at once whether it may look into the program.
 */

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

/* Where the command is itself run under a fence, libc's names are that fence's. */
static const struct sys real_sys = {
	.bind = real_bind,
	.connect = real_connect,
	.setsockopt = real_setsockopt,
};

/* What the supervisor works with. Its own process never leaves, so nothing is given back. */
struct supervisor {
	struct rule rule;
	struct engine_kernel kernel[PROTO_COUNT];
	struct source_cache sources;
	struct fence fence;
	struct log log;
};

static int prepare(struct supervisor *new, const struct settings *settings, int failure)
{
	char text[160];

	new->rule = *settings->rule;
	new->rule.engine = ENGINE_BIND;
	new->fence.sys = &real_sys;
	new->fence.rule = &new->rule;
	new->fence.kernel = new->kernel;
	new->fence.sources = &new->sources;
	new->log.destination = settings->log;
	new->log.application = settings->rule->name;
	log_start(&new->log);
	if (cursor_open(settings->state, settings->runtime, settings->rule, &new->fence.cursor))
		return say_failure(failure, "there is no memory for the shared state");
	if (new->fence.cursor.trouble) {
		snprintf(text, sizeof(text),
			 "the state file is not used, %s; ports are chosen without it",
			 new->fence.cursor.trouble);
		say_warning(NULL, text);
	}
	return 0;
}

/* Leaves the program's session, folder and files alone. Return: the listener's new number */
static int leave(int listener, int *program)
{
	static const int ignored[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGPIPE, SIGTERM, SIGTSTP,
				       SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXFSZ };
	sigset_t none;
	size_t i;
	int null;

	setsid();
	if (chdir("/"))
		return -errno;
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	listener = fcntl(listener, F_DUPFD_CLOEXEC, 3);
	*program = fcntl(*program, F_DUPFD_CLOEXEC, listener);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (listener < 0 || *program < 0 || null < 0)
		return -errno;
	for (i = 0; i < 3; i++)
		dup2(null, (int)i);
	/* *program is the higher one */
	close_range(3, (unsigned)listener - 1, 0);
	close_range((unsigned)listener + 1, (unsigned)*program - 1, 0);
	close_range((unsigned)*program + 1, ~0U, 0);
	return listener;
}

/* The supervisor's life. @from, @to: pipes from the program and to it */
static void live(struct supervisor *supervisor, pid_t parent, int from, int to)
{
	struct caller program;
	int listener, rc;

	if (read(from, &listener, sizeof(listener)) != sizeof(listener))
		_exit(EXIT_FAILURE);
	rc = caller_open(parent, &program);
	if (!rc) {
		listener = caller_descriptor(&program, listener);
		rc = listener < 0 ? listener : 0;
	}
	if (write(to, &rc, sizeof(rc)) != sizeof(rc) || rc)
		_exit(EXIT_FAILURE);
	listener = leave(listener, &program.pidfd);
	if (listener < 0)
		_exit(EXIT_FAILURE);
	trap_serve(listener, &supervisor->fence, &supervisor->log, program.pidfd);
	_exit(EXIT_SUCCESS);
}

static int say_filter(int error, int failure)
{
	if (error == EBUSY)
		return say_failure(failure,
				   "this is run under a supervisor already, and a process can have only "
				   "one; use '--via preload'");
	return say_failure(failure,
			   "the kernel takes no filter with a supervisor (%s), which it has since "
			   "Linux 5.5; use '--via preload'",
			   strerror(error));
}

static int say_listener(int error, int failure)
{
	if (error == EPERM || error == EACCES)
		return say_failure(failure,
				   "the supervisor may not look into the program (%s): what restricts "
				   "ptrace(2), a sandbox or kernel.yama.ptrace_scope, forbids it; use "
				   "'--via preload'",
				   strerror(error));
	return say_failure(failure, "the supervisor cannot be started: %s", strerror(error));
}

/* This process's half. Return: 0, or @failure */
static int submit(pid_t supervisor, int from, int to, int failure)
{
	int listener, rc = -EPIPE;

	/* with Yama, only a process's parents may look into it, or whom it names (prctl(2)) */
	prctl(PR_SET_PTRACER, supervisor, 0, 0, 0);
	listener = filter_install(false);
	if (listener < 0)
		return say_filter(-listener, failure);
	if (write(to, &listener, sizeof(listener)) != sizeof(listener) ||
	    read(from, &rc, sizeof(rc)) != sizeof(rc) || rc)
		rc = say_listener(-rc, failure);
	close(listener);
	return rc;
}

int supervise_start(const struct settings *settings, int failure)
{
	static struct supervisor supervisor;
	int down[2], up[2], rc;
	pid_t parent = getpid(), pid;

	rc = prepare(&supervisor, settings, failure);
	if (rc)
		return rc;
	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
		return say_failure(failure, "the supervisor cannot be started: %s",
				   strerror(errno));
	/* fork(), but for the signal at its end */
	pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
	if (pid < 0)
		return say_failure(failure, "the supervisor cannot be started: %s",
				   strerror(errno));
	if (!pid) {
		close(down[1]);
		close(up[0]);
		live(&supervisor, parent, down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	rc = submit(pid, up[0], down[1], failure);
	close(down[1]);
	close(up[0]);
	return rc;
}
