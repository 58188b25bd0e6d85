#include "log.h"

#include "fd.h"
#include "logline.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
 * No descriptor is kept, as programs close what they do not know; so a file is
 * opened for each line, and standard error is checked to be still what it was.
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

/* Is it a mistake that the file cannot be opened, and no accident? ENXIO: a FIFO has no reader yet */
static bool is_mistake(int error)
{
	return error != -ENXIO && error != -EMFILE && error != -ENFILE && error != -ENOMEM &&
	       error != -EINTR && error != -EAGAIN;
}

/*
 * In a sticky folder that others may write to, somebody may have put a link to a
 * file of ours where the log is to be, or a FIFO to read along. So there no link
 * is followed, and what is opened has to be ours or the folder's owner's: as the
 * kernel has it, where it is told to (proc(5), protected_symlinks and others).
 */
static void write_file(struct log *log, const char *path, const char *text, size_t len)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
	int fd = fd_open(path, flags | (log->folder.shared ? O_NOFOLLOW : 0), 0644);
	bool planted = fd >= 0 && ownership_is_planted(fd, &log->folder);

	if (planted || (fd < 0 && is_mistake(fd)))
		atomic_fetch_or_explicit(&log->told, 1U << LOG_FILE_CLOSED, memory_order_relaxed);
	if (fd < 0)
		return;
	if (!planted)
		fd_write_now(fd, text, len);
	fd_close(fd);
}

static void write_syslog(const char *severity, const char *text, size_t len)
{
	static const struct sockaddr_un device = { AF_UNIX, "/dev/log" };
	struct iovec parts[] = {
		{ (void *)severity, strlen(severity) },
		{ (void *)text, len - 1 }, /* syslog wants no newline */
	};
	const struct msghdr datagram = {
		.msg_name = (void *)&device,
		.msg_namelen = sizeof(device),
		.msg_iov = parts,
		.msg_iovlen = 2,
	};
	int fd = fd_socket(AF_UNIX, SOCK_DGRAM, 0);

	if (fd < 0)
		return;
	syscall(SYS_sendmsg, fd, &datagram, MSG_DONTWAIT | MSG_NOSIGNAL);
	fd_close(fd);
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
	else if (destination->to == LOG_TO_FILE)
		write_file(log, destination->path, text, len);
	signals_release(&signals);
}

static void begin(const struct log *log, struct logline *ret_line)
{
	ret_line->record = NULL;
	ret_line->json = log->destination.json;
	ret_line->pid = log->pid ? log->pid : (int)getpid();
	ret_line->application = log->application;
	clock_gettime(CLOCK_REALTIME, &ret_line->time);
}

/*
 * A line's room is on the stack, which may be a signal handler's, so it is in
 * frames that do not stand above each other.
 */
__attribute__((noinline)) static void tell(struct log *log, const char *level, const char *message)
{
	char text[LOGLINE_MAX];
	struct logline line;

	begin(log, &line);
	write_line(log, SYSLOG_WARNING, text,
		   logline_message(&line, level, message, text, sizeof(text)));
}

void log_say(struct log *log, const char *level, const char *message)
{
	if (log->destination.to != LOG_TO_WARNINGS || strcmp(level, "info") != 0)
		tell(log, level, message);
}

/* @topic:	of enum outcome or enum log_topic */
static bool first_time(struct log *log, unsigned topic)
{
	unsigned bit = 1U << topic;

	return !(atomic_fetch_or_explicit(&log->told, bit, memory_order_relaxed) & bit);
}

static void tell_once(struct log *log, enum outcome outcome)
{
	const struct outcome_words *words = outcome_words(outcome);
	const char *message = outcome == OUTCOME_CLOSED ? log->error : words->message;
	unsigned i;

	if (outcome != OUTCOME_CLOSED && log->warnings && first_time(log, LOG_START))
		for (i = 0; i < log->warnings; i++)
			tell(log, "warning", log->warning[i]);
	if (message && first_time(log, outcome))
		tell(log, words->level, message);
}

/*
 * A log or a record that nobody writes is a mistake that only standard error can
 * tell of.
 */
__attribute__((noinline)) static void tell_lost(const struct log *log, const char *what,
						const char *path, const char *problem)
{
	char text[LOGLINE_MAX], message[512], *end = message;
	struct logline line;

	end = stpcpy(stpcpy(stpcpy(end, "the "), what), " '");
	end = mempcpy(end, path, strnlen(path, 256));
	stpcpy(stpcpy(stpcpy(end, "' "), problem), ": lines are dropped");
	begin(log, &line);
	write_stderr(log, text, logline_message(&line, "warning", message, text, sizeof(text)));
}

void log_port_kept(struct log *log)
{
	if (first_time(log, LOG_PORT_KEPT))
		tell(log, "error",
		     "a send without destination left a socket with a port outside the range, which could not "
		     "be taken back");
}

void log_address_unknown(struct log *log)
{
	if (first_time(log, LOG_ADDRESS_UNKNOWN))
		tell(log, "error",
		     "the kernel could not be asked whether an address is this machine's, so calls to it on "
		     "a port of the map fail; a program needs AF_NETLINK and a descriptor to spare");
}

void log_start(struct log *log, const char *destination)
{
	struct stat st;

	log->destination = log_destination_of(destination);
	log->stderr_fd = STDERR_FILENO;
	/* a rule that was handed over may hold anything */
	if (log->destination.to == LOG_TO_FILE && *log->destination.path != '/')
		log->destination.to = LOG_TO_NONE;
	if (log->destination.to == LOG_TO_FILE)
		ownership_folder(log->destination.path, &log->folder);
	if (fd_stat(STDERR_FILENO, &st))
		return;
	log->stderr_dev = st.st_dev;
	log->stderr_ino = st.st_ino;
}

bool log_is_on(const struct log *log)
{
	return log->destination.to > LOG_TO_NONE;
}

/* The socket's address once it has its port. Return: false where there is none */
static bool find_local(const struct log *log, const struct assign *assign, union addr *ret_local)
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

	begin(log, &line);
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

void log_assign(struct log *log, const char *call, const struct assign *assign)
{
	bool logs = log_is_on(log);
	union addr found, *local = NULL;
	int rc;

	tell_once(log, assign->outcome);
	if ((logs || log->record.path) && find_local(log, assign, &found))
		local = &found;
	if (logs)
		write_assign(log, call, assign, local);
	rc = log->record.path ? write_record(log, call, assign, local) : 0;
	if (rc && first_time(log, LOG_RECORD_LOST))
		tell_lost(log, "record", log->record.path, record_problem(rc));
	if (atomic_load_explicit(&log->told, memory_order_relaxed) & 1U << LOG_FILE_CLOSED &&
	    first_time(log, LOG_FILE_CLOSED_TOLD))
		tell_lost(log, "log", log->destination.path,
			  "cannot be opened, or is another user's");
}
