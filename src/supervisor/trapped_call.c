#include "trapped_call.h"

#include "../core/sctp.h"
#include "../core/translate.h"

#include <errno.h>
#include <limits.h>
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
	};

	return trapped->argument[2] == SCTP_OPTION_BINDX_ADD && trapped->call == FILTER_SETSOCKOPT
		       ? "sctp_bindx"
		       : names[trapped->call];
}

int trapped_call_lend_stderr(struct trapped_call *trapped)
{
	const struct caller program = { .pidfd = trapped->trap->program };
	struct log *log = trapped->trap->log;

	log->pid = (int)caller_process(&trapped->caller);
	log->stderr_fd = caller_descriptor(&trapped->caller, STDERR_FILENO);
	if (log->stderr_fd < 0)
		log->stderr_fd = caller_descriptor(&program, STDERR_FILENO);
	return log->stderr_fd;
}

void trapped_call_take_back(int fd)
{
	if (fd >= 0)
		close(fd);
}

void trapped_call_tell(struct trapped_call *trapped, const struct assign *assign)
{
	const struct log *log = trapped->trap->log;
	int fd;

	if (!log_is_on(log) && !log->record.path && (!log->warnings || trapped->trap->warned) &&
	    assign->outcome == OUTCOME_FINE)
		return;
	trapped->trap->warned = true;
	fd = trapped_call_lend_stderr(trapped);
	log_assign(trapped->trap->log, call_name(trapped), assign);
	trapped_call_take_back(fd);
}

int trapped_call_unreachable(struct trapped_call *trapped)
{
	int fd;

	if (!trapped->trap->unreachable) {
		trapped->trap->unreachable = true;
		fd = trapped_call_lend_stderr(trapped);
		log_say(trapped->trap->log, "error",
			"the supervisor may not look into this process (see ptrace(2) on access), so its "
			"calls that need a port fail");
		trapped_call_take_back(fd);
	}
	return -EACCES;
}

int trapped_call_read_memory(struct trapped_call *trapped, uint64_t address, void *ret_data,
			     size_t size)
{
	int rc = caller_read(&trapped->caller, address, ret_data, size);

	return rc == -EPERM ? trapped_call_unreachable(trapped) : rc;
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
	int rc = translate_to(trapped->trap->fence, trapped->fd, &trapped->address.inet), fd;

	if (rc < 0) {
		fd = trapped_call_lend_stderr(trapped);
		log_address_unknown(trapped->trap->log);
		trapped_call_take_back(fd);
	}
	return rc;
}

int trapped_call_read_destination(struct trapped_call *trapped)
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
	uint64_t name = trapped->argument[4], header = trapped->argument[1];
	uint32_t len = (uint32_t)trapped->argument[5];
	int rc;

	memset(&trapped->address, 0, sizeof(trapped->address));
	if (trapped->call != FILTER_SENDTO) {
		rc = trapped_call_read_memory(trapped, header, &head, trapped->narrow ? 8 : 12);
		if (rc)
			return rc;
		name = trapped->narrow ? head.narrow.name : head.wide.name;
		len = trapped->narrow ? head.narrow.len : head.wide.len;
		/* a negative one is refused, too long a one cut (net/socket.c, __copy_msghdr) */
		if (len > sizeof(trapped->address) && len <= INT_MAX)
			len = sizeof(trapped->address);
	}
	/* no address is one of no length, whatever is said of it */
	rc = trapped_call_read_address(trapped, name, name ? (int)len : 0);
	if (!rc)
		rc = trapped_call_translate(trapped);
	if (rc < 0)
		memset(&trapped->address, 0, sizeof(trapped->address));
	return rc < 0 ? rc : 0;
}
