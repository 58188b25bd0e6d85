#include "trapped_call.h"

#include "../core/fd.h"
#include "../core/sctp.h"
#include "../core/translate.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *call_name(const struct trapped_call *trapped)
{
	static const char *const names[] = {
		[FILTER_BIND] = "bind",
		[FILTER_CONNECT] = "connect",
		[FILTER_LISTEN] = "listen",
		[FILTER_SENDTO] = "sendto",
		[FILTER_SENDMSG] = "sendmsg",
		[FILTER_SENDMMSG] = "sendmmsg",
		[FILTER_SETSOCKOPT] = "sctp_connectx",
		[FILTER_GETSOCKOPT] = "sctp_connectx",
		[FILTER_GETSOCKNAME] = "bind",
		[FILTER_EPOLL_CTL] = "epoll_ctl",
	};

	return trapped->argument[2] == SCTP_OPTION_BINDX_ADD && trapped->call == FILTER_SETSOCKOPT
		       ? "sctp_bindx"
		       : names[trapped->call];
}

/* Of a program that nobody may look into: opens a terminal or a pipe anew. Return: descriptor, -errno */
static int open_errors(const struct tree *tree)
{
	char path[64];

	if (tree->errors >= 0 && !(fcntl(tree->errors, F_GETFL) & O_PATH))
		return fcntl(tree->errors, F_DUPFD_CLOEXEC, 3);
	snprintf(path, sizeof(path), "/dev/fd/%d", tree->errors);
	return fd_open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY, 0);
}

/* Is this what the program's standard error was at the start? Otherwise closes it. */
static bool is_errors(const struct log *log, int fd)
{
	struct stat st;

	if (fd >= 0 && !fd_stat(fd, &st) && st.st_dev == log->stderr_dev &&
	    st.st_ino == log->stderr_ino)
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}

/* Return: the program's standard error; -EBADF if it has none, or has led it elsewhere; -errno */
static int find_errors(const struct trapped_call *trapped)
{
	const struct caller program = { .pidfd = trapped->tree->program, .listener = -1 };
	const struct log *log = trapped->log->log;
	int fd = caller_descriptor(&trapped->caller, STDERR_FILENO);

	/* what it has led elsewhere is not led back */
	if (fd >= 0)
		return is_errors(log, fd) ? fd : -EBADF;
	rights_look(&trapped->caller);
	fd = caller_stderr_path(&trapped->caller);
	rights_look_away();
	if (fd >= 0 && !is_errors(log, fd))
		return -EBADF;
	if (fd >= 0)
		close(fd);
	fd = caller_descriptor(&program, STDERR_FILENO);
	if (is_errors(log, fd))
		return fd;
	return log->stderr_ino ? open_errors(trapped->tree) : -EBADF;
}

/*
 * A line about the caller. @line: what it says. What stands in the place of its standard error may keep this thread for ever.
 *
 * Return: false if the line has nowhere to go, as the caller has led its standard error elsewhere
 */
static bool write_about_caller(struct trapped_call *trapped, struct run_log_line line)
{
	line.pid = (int)caller_process(&trapped->caller);
	line.errors = find_errors(trapped);
	run_log_write(trapped->log, &line);
	return !run_log_is_lost(trapped->log, line.errors);
}

static void write_assign(struct log *log, const struct run_log_line *line)
{
	log_assign(log, line->call, &line->assign,
		   line->local.sa.sa_family == AF_UNSPEC ? NULL : &line->local);
}

void trapped_call_report(struct trapped_call *trapped, const struct assign *assign)
{
	const struct log *log = trapped->log->log;
	struct run_log_line line = { .write = write_assign };

	assign_count(trapped->fence, assign);
	if (!log_is_on(log) && !log->record.path && assign->outcome == OUTCOME_FINE &&
	    (!log->warnings || atomic_exchange(&trapped->log->warned, true)))
		return;
	line.call = call_name(trapped);
	line.assign = *assign;
	line.assign.addrs = NULL;
	if (!log_local(log, assign, &line.local))
		line.local.sa.sa_family = AF_UNSPEC;
	if (!write_about_caller(trapped, line) && assign->outcome == OUTCOME_FINE)
		trapped->log->warned = false;
}

static void write_mptcp(struct log *log, const struct run_log_line *line)
{
	log_mptcp(log, line->becomes);
}

void trapped_call_report_mptcp(struct trapped_call *trapped, enum mptcp becomes)
{
	write_about_caller(trapped,
			   (struct run_log_line){ .write = write_mptcp, .becomes = becomes });
}

static void write_named_outside(struct log *log, const struct run_log_line *line)
{
	log_named_outside(log, line->rule, &line->assign);
}

void trapped_call_named(struct trapped_call *trapped, const struct assign *assign)
{
	if (!log_is_on(trapped->log->log) && !trapped->log->log->verbose)
		return;
	write_about_caller(trapped, (struct run_log_line){ .write = write_named_outside,
							   .assign = *assign,
							   .rule = trapped->fence->rule });
}

/*
 * A socket is not opened anew, nor is another user's pipe or terminal. So if that is the standard error of a
 * program that nobody may look into, the line goes to syslog, which needs no right and never waits.
 */
static void write_error(struct log *log, const struct run_log_line *line)
{
	struct log syslog = { .destination = log->destination,
			      .application = log->application,
			      .pid = log->pid };

	syslog.destination.to = LOG_TO_SYSLOG;
	if (line->errors < 0 && line->errors != -EBADF && log->destination.to <= LOG_TO_STDERR)
		log = &syslog;
	log_say(log, "error", line->text);
}

static bool say_error(struct trapped_call *trapped, const char *text)
{
	return write_about_caller(trapped,
				  (struct run_log_line){ .write = write_error, .text = text });
}

static void write_address_unknown(struct log *log, const struct run_log_line *line)
{
	(void)line;
	log_address_unknown(log);
}

int trapped_call_refuse(struct trapped_call *trapped, const char *why)
{
	/* what has gone nowhere is said once more */
	if (atomic_exchange(&trapped->log->refusal, why) != why && !say_error(trapped, why))
		trapped->log->refusal = NULL;
	return -EACCES;
}

int trapped_call_unreachable(struct trapped_call *trapped)
{
	static const char text[] =
		"the supervisor may not look into this process (see ptrace(2) on access), so its "
		"calls that need a port fail";

	if (!atomic_exchange(&trapped->log->unreachable, true) && !say_error(trapped, text))
		trapped->log->unreachable = false;
	return -EACCES;
}

int trapped_call_read_memory(struct trapped_call *trapped, uint64_t address, void *ret_data,
			     size_t size)
{
	int rc = rights_read(&trapped->caller, address, ret_data, size);

	return rc == -EPERM && !trapped->tree->born ? trapped_call_unreachable(trapped) : rc;
}

int trapped_call_read_address(struct trapped_call *trapped, uint64_t address, int len)
{
	int rc = 0;

	if (len < 0 || len > (int)sizeof(trapped->address))
		return -EINVAL;
	memset(&trapped->address, 0, sizeof(trapped->address));
	if (len)
		rc = trapped_call_read_memory(trapped, address, &trapped->address, (size_t)len);
	trapped->len = (socklen_t)len;
	return rc;
}

bool trapped_call_is_udp(const struct trapped_call *trapped)
{
	socklen_t len = sizeof(int);
	int type = -1;

	return !getsockopt(trapped->fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM;
}

int trapped_call_translate(struct trapped_call *trapped)
{
	int rc = translate_to(trapped->fence, trapped->fd, &trapped->address.inet);

	if (rc < 0)
		write_about_caller(trapped,
				   (struct run_log_line){ .write = write_address_unknown });
	return rc;
}

int trapped_call_read_destination(struct trapped_call *trapped)
{
	union {
		struct {
			uint32_t name;
			uint32_t len;
		} pointers32;
		struct {
			uint64_t name;
			uint32_t len;
		} pointers64;
	} head;
	uint64_t name = trapped->argument[4], header = trapped->argument[1];
	uint32_t len = (uint32_t)trapped->argument[5];
	int rc;

	memset(&trapped->address, 0, sizeof(trapped->address));
	if (trapped->call != FILTER_SENDTO) {
		rc = trapped_call_read_memory(trapped, header, &head,
					      trapped->has_32bit_pointers ? 8 : 12);
		if (rc)
			return rc;
		name = trapped->has_32bit_pointers ? head.pointers32.name : head.pointers64.name;
		len = trapped->has_32bit_pointers ? head.pointers32.len : head.pointers64.len;
		/* a negative one is refused, too long a one cut (net/socket.c, __copy_msghdr) */
		if (len > sizeof(trapped->address) && len <= INT_MAX)
			len = sizeof(trapped->address);
	}
	/* a null pointer is an address of no length, whatever the length says */
	rc = trapped_call_read_address(trapped, name, name ? (int)len : 0);
	if (!rc)
		rc = trapped_call_translate(trapped);
	if (rc < 0)
		memset(&trapped->address, 0, sizeof(trapped->address));
	return rc < 0 ? rc : 0;
}
