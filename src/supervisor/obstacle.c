#include "obstacle.h"

#include "../core/fd.h"
#include "../core/variables.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#define YAMA_SCOPE "/proc/sys/kernel/yama/ptrace_scope"

static void set(struct obstacle *ret_obstacle, const char *why, const char *remedy)
{
	memset(ret_obstacle, 0, sizeof(*ret_obstacle));
	snprintf(ret_obstacle->why, sizeof(ret_obstacle->why), "%s", why);
	snprintf(ret_obstacle->remedy, sizeof(ret_obstacle->remedy), "%s", remedy);
}

void obstacle_set(struct obstacle *ret_obstacle, const char *format, ...)
{
	va_list arguments;

	memset(ret_obstacle, 0, sizeof(*ret_obstacle));
	va_start(arguments, format);
	vsnprintf(ret_obstacle->why, sizeof(ret_obstacle->why), format, arguments);
	va_end(arguments);
}

const char *obstacle_bypass(const struct obstacle *obstacle)
{
	return obstacle->outer ? "ports of the outer run's range" : "any port";
}

/* ---- the filter ---- */

/* Somebody has a listener on this process already (kernel/seccomp.c, has_duplicate_listener). */
static void set_busy(struct obstacle *ret_obstacle)
{
	struct utsname name;

	if (variables_get(VARIABLE_RULE)) {
		set(ret_obstacle, "this runs under a supervisor already, and there can be only one",
		    "fence it by the outer 'portfence run'");
	} else if (!uname(&name) && strcasestr(name.release, "microsoft")) {
		/* microsoft/WSL issue 9548 */
		set(ret_obstacle,
		    "WSL's mirrored network supervises every program, and there can be only one "
		    "supervisor",
		    "set 'networkingMode=nat' in .wslconfig");
	} else {
		set(ret_obstacle,
		    "something else supervises this process already (a container engine, or an outer "
		    "'portfence run'), and there can be only one supervisor",
		    "run it outside of that");
	}
}

/* Does the kernel know a listener? With no filter to read, it looks at the flags first. */
static bool knows_listener(void)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       NULL) &&
	       errno == EFAULT;
}

void obstacle_of_filter(int error, bool exact, struct obstacle *ret_obstacle)
{
	if (error == EBUSY)
		set_busy(ret_obstacle);
	else if (error == EPERM || error == EACCES)
		set(ret_obstacle, "a sandbox refuses seccomp(2)",
		    "let it allow that call (a systemd unit: 'SystemCallFilter=seccomp')");
	else if (error == EINVAL && exact && knows_listener())
		set(ret_obstacle,
		    "before Linux 5.19, a signal can make a supervisor send a mapped message twice",
		    "accept that with '--via both'");
	else if (error == EINVAL || error == ENOSYS)
		set(ret_obstacle,
		    "the kernel has no filter with a supervisor, which Linux has since 5.9 and gVisor "
		    "has not",
		    "use a newer kernel, or a container runtime other than runsc");
	else
		obstacle_set(ret_obstacle, "the supervisor cannot be started: %s", strerror(error));
}

/* ---- the look ---- */

/* Return: the first of the two calls that a filter refuses, NULL for none */
static const char *find_filtered_pidfd_call(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), got;
	bool filtered;

	if (pidfd < 0)
		return errno == EPERM ? "pidfd_open" : NULL;
	got = (int)syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
	filtered = got < 0 && errno == EPERM;
	if (got >= 0)
		close(got);
	close(pidfd);
	return filtered ? "pidfd_getfd" : NULL;
}

static bool memory_is_filtered(void)
{
	char from = 0, to = 0;
	struct iovec here = { &to, 1 }, there = { &from, 1 };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) < 0 && errno == EPERM;
}

/* What lets a sandbox allow @call: of the sandbox that this seems to be. Its marks are hints, no proof. */
static void set_filtered(const char *call, struct obstacle *ret_obstacle)
{
	obstacle_set(ret_obstacle, "a sandbox refuses %s(2)", call);
	if (getenv("INVOCATION_ID"))
		snprintf(ret_obstacle->remedy, sizeof(ret_obstacle->remedy),
			 "add 'SystemCallFilter=%s' to the unit", call);
	else if (getenv("KUBERNETES_SERVICE_HOST"))
		snprintf(ret_obstacle->remedy, sizeof(ret_obstacle->remedy),
			 "add SYS_PTRACE to the container's 'securityContext.capabilities.add'");
	else if (!access("/.dockerenv", F_OK))
		snprintf(ret_obstacle->remedy, sizeof(ret_obstacle->remedy),
			 "start the container with '--cap-add SYS_PTRACE'");
	else
		snprintf(ret_obstacle->remedy, sizeof(ret_obstacle->remedy),
			 "allow it (docker: '--cap-add SYS_PTRACE'; Kubernetes: SYS_PTRACE in "
			 "'capabilities.add'; systemd: 'SystemCallFilter=%s')",
			 call);
}

static void set_yama(const char *scope, struct obstacle *ret_obstacle)
{
	obstacle_set(ret_obstacle, "kernel.yama.ptrace_scope is %s", scope);
	/* the kernel never lets go of 3 (security/yama/yama_lsm.c, yama_dointvec_minmax) */
	snprintf(ret_obstacle->remedy, sizeof(ret_obstacle->remedy), "%s",
		 *scope == '3' ? "start the machine with a lower one"
			       : "as root, 'sysctl -w kernel.yama.ptrace_scope=0' allows it");
}

void obstacle_of_look(int error, struct obstacle *ret_obstacle)
{
	const char *filtered;
	char scope[8] = "0";

	if (error == ENOSYS) {
		set(ret_obstacle, "the kernel has no pidfd_getfd(2), which Linux has since 5.6",
		    "use a newer kernel");
		return;
	}
	if (error != EPERM && error != EACCES) {
		obstacle_set(ret_obstacle, "the supervisor cannot be started: %s", strerror(error));
		return;
	}
	fd_read_file(YAMA_SCOPE, scope, sizeof(scope));
	scope[strcspn(scope, "\n")] = '\0';
	filtered = find_filtered_pidfd_call();
	if (filtered)
		set_filtered(filtered, ret_obstacle);
	else if (strcmp(scope, "0") != 0)
		set_yama(scope, ret_obstacle);
	else if (memory_is_filtered())
		set_filtered("process_vm_readv", ret_obstacle);
	else
		set(ret_obstacle,
		    "a security module keeps the supervisor from looking into programs",
		    "SELinux allows it with 'setsebool deny_ptrace off'");
}
