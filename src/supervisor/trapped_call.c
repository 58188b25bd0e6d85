#include "trapped_call.h"

#include "../core/fd.h"
#include "../core/sctp.h"
#include "../core/translate.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/* Of a program that nobody may look into: opens a file, a terminal or a pipe anew. Return: descriptor, -errno */
static int open_errors(const struct tree *tree)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/fd/%d", tree->errors);
	return fd_open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY, 0);
}

/*
 * Lends the log the program's standard error, and the right to a file of another
 * user's. One thread at a time may write a line. Return: for end_line()
 */
static int begin_line(struct trapped_call *trapped)
{
	const struct caller program = { .pidfd = trapped->tree->program, .listener = -1 };
	struct log *log = trapped->tree->log;

	log->pid = (int)caller_process(&trapped->caller);
	log->stderr_fd = caller_stderr(&trapped->caller);
	if (log->stderr_fd < 0)
		log->stderr_fd = caller_descriptor(&program, STDERR_FILENO);
	if (log->stderr_fd < 0)
		log->stderr_fd = open_errors(trapped->tree);
	rights_use(CAP_DAC_OVERRIDE);
	return log->stderr_fd;
}

static void end_line(int fd)
{
	rights_leave(CAP_DAC_OVERRIDE);
	if (fd >= 0)
		close(fd);
}

void trapped_call_report(struct trapped_call *trapped, const struct assign *assign)
{
	struct tree *tree = trapped->tree;
	const struct log *log = tree->log;
	int fd;

	pthread_mutex_lock(&tree->log_lock);
	if (log_is_on(log) || log->record.path || (log->warnings && !tree->warned) ||
	    assign->outcome != OUTCOME_FINE) {
		tree->warned = true;
		fd = begin_line(trapped);
		log_assign(tree->log, call_name(trapped), assign);
		end_line(fd);
	}
	pthread_mutex_unlock(&tree->log_lock);
}

void trapped_call_report_mptcp(struct trapped_call *trapped, enum mptcp becomes)
{
	struct tree *tree = trapped->tree;
	int fd;

	pthread_mutex_lock(&tree->log_lock);
	fd = begin_line(trapped);
	log_mptcp(tree->log, becomes);
	end_line(fd);
	pthread_mutex_unlock(&tree->log_lock);
}

void trapped_call_named(struct trapped_call *trapped, const struct assign *assign)
{
	struct tree *tree = trapped->tree;
	int fd;

	pthread_mutex_lock(&tree->log_lock);
	if (log_is_on(tree->log) || tree->log->verbose) {
		fd = begin_line(trapped);
		log_named_outside(tree->log, tree->fence->rule, assign);
		end_line(fd);
	}
	pthread_mutex_unlock(&tree->log_lock);
}

/* With the lock held */
static void write_error(struct trapped_call *trapped, const char *text)
{
	int fd = begin_line(trapped);

	log_say(trapped->tree->log, "error", text);
	end_line(fd);
}

int trapped_call_refuse(struct trapped_call *trapped, const char *why)
{
	struct tree *tree = trapped->tree;

	pthread_mutex_lock(&tree->log_lock);
	if (tree->refusal != why) {
		tree->refusal = why;
		write_error(trapped, why);
	}
	pthread_mutex_unlock(&tree->log_lock);
	return -EACCES;
}

int trapped_call_unreachable(struct trapped_call *trapped)
{
	struct tree *tree = trapped->tree;

	pthread_mutex_lock(&tree->log_lock);
	if (!tree->unreachable) {
		tree->unreachable = true;
		write_error(
			trapped,
			"the supervisor may not look into this process (see ptrace(2) on access), so its "
			"calls that need a port fail");
	}
	pthread_mutex_unlock(&tree->log_lock);
	return -EACCES;
}

int trapped_call_read_memory(struct trapped_call *trapped, uint64_t address, void *ret_data,
			     size_t size)
{
	int rc = caller_read(&trapped->caller, address, ret_data, size);

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
	struct tree *tree = trapped->tree;
	int rc = translate_to(tree->fence, trapped->fd, &trapped->address.inet), fd;

	if (rc < 0) {
		pthread_mutex_lock(&tree->log_lock);
		fd = begin_line(trapped);
		log_address_unknown(tree->log);
		end_line(fd);
		pthread_mutex_unlock(&tree->log_lock);
	}
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
