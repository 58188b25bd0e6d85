#include "log.h"

#include "fd.h"
#include "logline.h"
#include "ownership.h"
#include "signals.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * We keep no descriptor, as programs close descriptors that they do not know. So each
 * line opens the file anew, and we check that standard error is still the same file.
 */

/* Facility daemon; severities of syslog(3) */
#define SYSLOG_INFO "<30>"
#define SYSLOG_WARNING "<28>"

static void write_stderr(const struct log *log, const char *text, size_t len)
{
	struct stat st;

	if (!fd_stat(log->stderr_fd, &st) && st.st_dev == log->stderr_dev &&
	    st.st_ino == log->stderr_ino)
		fd_write_now(log->stderr_fd, text, len);
}

/* Is this error a mistake of the user, not a passing state? ENXIO: a FIFO has no reader yet */
static bool is_open_mistake(int error)
{
	return error != -ENXIO && error != -EMFILE && error != -ENFILE && error != -ENOMEM &&
	       error != -EINTR && error != -EAGAIN;
}

/*
 * Where others can change the path, somebody may have put a link to a file of
 * ours where the log is to be, or a FIFO to read along. So there each line has
 * the whole path judged.
 */
int log_open(const struct log *log)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
	const char *path = log->destination.path;
	bool safe;

	return log->safe ? ownership_make_file(AT_FDCWD, path, flags, 0644)
			 : ownership_open(path, flags, 0644, &safe);
}

static void write_file(struct log *log, const char *text, size_t len)
{
	int fd = log->file ? log->file : log_open(log);

	if (fd < 0 && is_open_mistake(fd))
		atomic_fetch_or_explicit(&log->told, 1U << LOG_FILE_CLOSED, memory_order_relaxed);
	if (fd < 0)
		return;
	fd_write_now(fd, text, len);
	if (fd != log->file)
		fd_close(fd);
}

/* Return: 0, -errno */
static int write_datagram(const struct sockaddr_un *to, const char *head, const char *text,
			  size_t len)
{
	struct iovec parts[] = {
		{ (void *)head, strlen(head) },
		{ (void *)text, len },
	};
	const struct msghdr datagram = {
		.msg_name = (void *)to,
		.msg_namelen = sizeof(*to),
		.msg_iov = parts,
		.msg_iovlen = 2,
	};
	int fd = fd_socket(AF_UNIX, SOCK_DGRAM, 0), rc;

	if (fd < 0)
		return fd;
	rc = syscall(SYS_sendmsg, fd, &datagram, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
	fd_close(fd);
	return rc;
}

static void write_syslog(const char *severity, const char *text, size_t len)
{
	static const struct sockaddr_un device = { AF_UNIX, "/dev/log" };

	/* syslog wants no newline */
	write_datagram(&device, severity, text, len - 1);
}

static void write_journal(struct log *log, const char *text, size_t len)
{
	static const struct sockaddr_un journal = { AF_UNIX, LOG_DESTINATION_JOURNAL };
	const int rc = write_datagram(&journal, "", text, len);

	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -EACCES)
		atomic_fetch_or_explicit(&log->told, 1U << LOG_FILE_CLOSED, memory_order_relaxed);
}

static void write_line(struct log *log, const char *severity, const char *text, size_t len)
{
	const struct log_destination *destination = &log->destination;
	struct signals signals;

	if (destination->to == LOG_TO_WARNINGS || destination->to == LOG_TO_STDERR) {
		write_stderr(log, text, len);
		return;
	}
	signals_hold(&signals);
	if (destination->to == LOG_TO_SYSLOG)
		write_syslog(severity, text, len);
	else if (destination->to == LOG_TO_JOURNAL)
		write_journal(log, text, len);
	else if (destination->to == LOG_TO_FILE)
		write_file(log, text, len);
	signals_release(&signals);
}

static void start_line(const struct log *log, struct logline *ret_line)
{
	ret_line->record = NULL;
	ret_line->json = log->destination.json;
	ret_line->journal = log->destination.to == LOG_TO_JOURNAL;
	ret_line->pid = log->pid ? log->pid : (int)getpid();
	ret_line->application = log->application;
	clock_gettime(CLOCK_REALTIME, &ret_line->time);
}

/*
 * A line takes 2 KiB of stack, which may be a signal handler's. So the functions with
 * a line are not inlined, and none of them calls another.
 */
__attribute__((noinline)) static void write_message(struct log *log, const char *level,
						    const char *message)
{
	char text[LOGLINE_MAX];
	struct logline line;

	start_line(log, &line);
	write_line(log, SYSLOG_WARNING, text,
		   logline_message(&line, level, message, text, sizeof(text)));
}

void log_say(struct log *log, const char *level, const char *message)
{
	if (log->destination.to != LOG_TO_WARNINGS || strcmp(level, "info") != 0)
		write_message(log, level, message);
}

/* @topic:	of enum outcome or enum log_topic */
static bool first_time(struct log *log, unsigned topic)
{
	unsigned bit = 1U << topic;

	return !(atomic_fetch_or_explicit(&log->told, bit, memory_order_relaxed) & bit);
}

static void write_message_once(struct log *log, enum outcome outcome)
{
	const struct outcome_words *words = outcome_words(outcome);
	const char *message = outcome == OUTCOME_CLOSED ? log->error : words->message;
	unsigned i;

	if (outcome != OUTCOME_CLOSED && log->warnings && first_time(log, LOG_START))
		for (i = 0; i < log->warnings; i++)
			write_message(log, "warning", log->warning[i]);
	if (message && first_time(log, outcome))
		write_message(log, words->level, message);
}

/* Says on standard error, the only place left, that the log or the record cannot be written. */
__attribute__((noinline)) static void write_lost(const struct log *log, const char *what,
						 const char *path, const char *problem)
{
	char text[LOGLINE_MAX], message[512], *end = message;
	struct logline line;

	end = stpcpy(stpcpy(stpcpy(end, "the "), what), " '");
	end = mempcpy(end, path, strnlen(path, 256));
	stpcpy(stpcpy(stpcpy(end, "' "), problem), ": lines are dropped");
	start_line(log, &line);
	line.journal = false;
	write_stderr(log, text, logline_message(&line, "warning", message, text, sizeof(text)));
}

void log_port_kept(struct log *log)
{
	if (first_time(log, LOG_PORT_KEPT))
		write_message(
			log, "error",
			"a send without destination left a socket with a port outside the range, which could not "
			"be taken back");
}

/* Did the program name a port that lies outside the range, and needs no right? */
static bool names_outside(const struct rule *rule, const struct assign *assign)
{
	const sa_family_t family = assign->addr.sa.sa_family;
	const uint16_t port = addr_port(&assign->addr);
	int proto;

	if (!rule || rule->bind != BIND_ALLOW || assign->program_port || port < IPPORT_RESERVED ||
	    (family != AF_INET && family != AF_INET6))
		return false;
	/* the socket is not looked at, so its protocol is not known */
	for (proto = 0; proto < PROTO_COUNT; proto++)
		if (policy_holds(rule, (enum proto)proto, port))
			return false;
	return true;
}

void log_named_outside(struct log *log, const struct rule *rule, const struct assign *assign)
{
	char text[160], *end;

	if (!(log_is_on(log) || log->verbose) || !names_outside(rule, assign) ||
	    !first_time(log, LOG_NAMED_OUTSIDE))
		return;
	end = stpcpy(text,
		     "the program names ports outside the range, as 'bind = allow' lets it, port ");
	end = text_put_number(end, addr_port(&assign->addr), 1);
	stpcpy(end, " first; 'bind = move' gives it others");
	write_message(log, "info", text);
}

void log_address_unknown(struct log *log)
{
	if (first_time(log, LOG_ADDRESS_UNKNOWN))
		write_message(
			log, "error",
			"the kernel could not be asked whether an address is this machine's, so calls to it on "
			"a port of the map fail; this takes AF_NETLINK, a descriptor to spare, and a supervisor in the "
			"same network namespace");
}

void log_mptcp(struct log *log, enum mptcp mptcp)
{
	if (mptcp != MPTCP_ALLOW && first_time(log, LOG_MPTCP))
		write_message(
			log, "warning",
			mptcp == MPTCP_TCP
				? "mptcp sockets are made plain tcp, as the kernel would let "
				  "further subflows leave the range; use 'mptcp = allow' to let it"
				: "mptcp sockets are refused, as the kernel would let further "
				  "subflows leave the range; use 'mptcp = allow' to let it");
}

void log_start(struct log *log, const char *destination)
{
	struct stat st;
	int fd;

	log->destination = log_destination_of(destination);
	log->stderr_fd = STDERR_FILENO;
	/* a rule that was handed over may hold anything */
	if (log->destination.to == LOG_TO_FILE && *log->destination.path != '/')
		log->destination.to = LOG_TO_NONE;
	if (log->destination.to == LOG_TO_FILE) {
		fd = ownership_open(log->destination.path, O_PATH, 0, &log->safe);
		if (fd >= 0)
			fd_close(fd);
	}
	if (fd_stat(STDERR_FILENO, &st))
		return;
	log->stderr_dev = st.st_dev;
	log->stderr_ino = st.st_ino;
}

bool log_is_on(const struct log *log)
{
	return log->destination.to > LOG_TO_NONE;
}

/* Finds the socket's address, if it has been assigned a port. Return: false if not */
static bool find_assigned(const struct log *log, const struct assign *assign, union addr *ret_local)
{
	socklen_t len = sizeof(*ret_local);

	if (!assign->port || log->calls->getsockname(assign->fd, &ret_local->sa, &len))
		return false;
	return addr_port(ret_local) != 0;
}

__attribute__((noinline)) static void write_assign(struct log *log, const char *call,
						   const struct assign *assign,
						   const union addr *local)
{
	char text[LOGLINE_MAX];
	struct logline line;
	size_t len;

	start_line(log, &line);
	len = logline_assign(&line, call, assign, local, text, sizeof(text));
	write_line(log, local ? SYSLOG_INFO : SYSLOG_WARNING, text, len);
}

static const char *record_problem(int error)
{
	switch (error) {
	case -EBADMSG:
		return "holds what is no record, or is damaged";
	case -EINVAL:
	case -ELOOP:
		return "is no regular file any more";
	case -EBUSY:
		return "stays locked by another process";
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return "cannot grow";
	default:
		return "cannot be opened";
	}
}

/* Return: 0, -errno if the line is lost */
__attribute__((noinline)) static int write_record(struct log *log, const char *call,
						  const struct assign *assign,
						  const union addr *local)
{
	const struct logline line = { .record = &log->record.block };
	char text[RECORD_LINE_MAX];
	size_t len = logline_assign(&line, call, assign, local, text, sizeof(text));
	bool lost = atomic_load_explicit(&log->told, memory_order_relaxed) & 1U << LOG_RECORD_LOST;

	return record_add(&log->record, text, len, local ? addr_port(local) : 0, lost);
}

const union addr *log_local(const struct log *log, const struct assign *assign,
			    union addr *ret_local)
{
	bool wanted = log_is_on(log) || log->record.path;

	return wanted && find_assigned(log, assign, ret_local) ? ret_local : NULL;
}

void log_assign(struct log *log, const char *call, const struct assign *assign,
		const union addr *local)
{
	int rc;

	write_message_once(log, assign->outcome);
	if (log_is_on(log))
		write_assign(log, call, assign, local);
	rc = log->record.path ? write_record(log, call, assign, local) : 0;
	if (rc && first_time(log, LOG_RECORD_LOST))
		write_lost(log, "record", log->record.path, record_problem(rc));
	if (atomic_load_explicit(&log->told, memory_order_relaxed) & 1U << LOG_FILE_CLOSED &&
	    first_time(log, LOG_FILE_CLOSED_TOLD))
		write_lost(log, "log", log->destination.path,
			   "cannot be opened, or is another user's");
}
