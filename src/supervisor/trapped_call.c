#include "trapped_call.h"

#include "../core/sctp.h"
#include "../core/translate.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const char *call_name(const struct trapped_call *stop)
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
	};

	return stop->argument[2] == SCTP_OPTION_BINDX_ADD && stop->call == FILTER_SETSOCKOPT
		       ? "sctp_bindx"
		       : names[stop->call];
}

int trapped_call_lend_stderr(struct trapped_call *stop)
{
	const struct caller program = { .pidfd = stop->trap->program };
	struct log *log = stop->trap->log;

	log->pid = (int)caller_process(&stop->caller);
	log->stderr_fd = caller_descriptor(&stop->caller, STDERR_FILENO);
	if (log->stderr_fd < 0)
		log->stderr_fd = caller_descriptor(&program, STDERR_FILENO);
	return log->stderr_fd;
}

void trapped_call_take_back(int fd)
{
	if (fd >= 0)
		close(fd);
}

void trapped_call_tell(struct trapped_call *stop, const struct assign *assign)
{
	const struct log *log = stop->trap->log;
	int fd;

	if (!(log->destination && strcmp(log->destination, "none")) && !log->record.path &&
	    (!log->warnings || stop->trap->warned) && !assign_speaks(assign) && !assign->system)
		return;
	stop->trap->warned = true;
	fd = trapped_call_lend_stderr(stop);
	log_assign(stop->trap->log, call_name(stop), assign);
	trapped_call_take_back(fd);
}

int trapped_call_unreachable(struct trapped_call *stop)
{
	int fd;

	if (!stop->trap->unreachable) {
		stop->trap->unreachable = true;
		fd = trapped_call_lend_stderr(stop);
		log_say(stop->trap->log, "error",
			"the supervisor may not look into this process (see ptrace(2) on access), so its "
			"calls that need a port fail");
		trapped_call_take_back(fd);
	}
	return -EACCES;
}

int trapped_call_read_memory(struct trapped_call *stop, uint64_t address, void *ret_data,
			     size_t size)
{
	int rc = caller_read(&stop->caller, address, ret_data, size);

	return rc == -EPERM ? trapped_call_unreachable(stop) : rc;
}

int trapped_call_read_address(struct trapped_call *stop, uint64_t address, int len)
{
	int rc = 0;

	if (len < 0 || len > (int)sizeof(stop->address))
		return -EINVAL;
	memset(&stop->address, 0, sizeof(stop->address));
	if (len)
		rc = trapped_call_read_memory(stop, address, &stop->address, (size_t)len);
	stop->len = (socklen_t)len;
	return rc;
}

bool trapped_call_is_udp(const struct trapped_call *stop)
{
	socklen_t len = sizeof(int);
	int type = -1;

	return !getsockopt(stop->fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM;
}

int trapped_call_translate(struct trapped_call *stop)
{
	int rc = translate_to(stop->trap->fence, stop->fd, &stop->address.inet), fd;

	if (rc < 0) {
		fd = trapped_call_lend_stderr(stop);
		log_strange(stop->trap->log);
		trapped_call_take_back(fd);
	}
	return rc;
}

int trapped_call_read_destination(struct trapped_call *stop)
{
	union {
		struct {
			uint32_t name;
			uint32_t len;
		} narrow;
		struct {
			uint64_t name;
			uint32_t len;
		} wide;
	} head;
	uint64_t name = stop->argument[4], header = stop->argument[1];
	uint32_t len = (uint32_t)stop->argument[5];
	int rc;

	memset(&stop->address, 0, sizeof(stop->address));
	if (stop->call != FILTER_SENDTO) {
		rc = trapped_call_read_memory(stop, header, &head, stop->narrow ? 8 : 12);
		if (rc)
			return rc;
		name = stop->narrow ? head.narrow.name : head.wide.name;
		len = stop->narrow ? head.narrow.len : head.wide.len;
		/* a negative one is refused, too long a one cut (net/socket.c, __copy_msghdr) */
		if (len > sizeof(stop->address) && len <= INT_MAX)
			len = sizeof(stop->address);
	}
	/* no address is one of no length, whatever is said of it */
	rc = trapped_call_read_address(stop, name, name ? (int)len : 0);
	if (!rc)
		rc = trapped_call_translate(stop);
	if (rc < 0)
		memset(&stop->address, 0, sizeof(stop->address));
	return rc < 0 ? rc : 0;
}
