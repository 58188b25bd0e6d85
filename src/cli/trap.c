#include "trap.h"

#include "../core/assign.h"
#include "../core/sctp.h"
#include "../core/settings.h"
#include "../core/translate.h"
#include "birth.h"
#include "caller.h"
#include "filter.h"
#include "memo.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A call waits in the kernel while we look at it. We have its arguments as
 * numbers; what they point to, another thread may rewrite at any time; what the
 * descriptor means, it can hardly change without meaning to. So we take the
 * socket itself, which is the same socket for whoever holds it, and see that it
 * has its port before the kernel goes on with the call. Then it does not matter
 * what the program's memory says by then.
 *
 * A call goes on only if its socket is none that is fenced, or has its port, or
 * cannot get one by this call. Every other one we make ourselves, with the
 * address as we have read it: bind() always, as a port that the program names
 * may be a 0 by the time that the kernel looks; listen(); a connect() that ends
 * a connection or is bound to fail. None of these waits.
 *
 * A connect() may wait, so it is never ours to make. What it needs is bound
 * before, by the bind engine: the kernel engine's choice would have to be looked
 * at afterwards. Nor are we told when a shared port's connection is known to the
 * kernel, so its claim is held for a while (see memo.c).
 *
 * Where a map puts another port in the place of a call's own, no memory of the
 * program's says so, and we have to make the call: see relay.
 *
 * Where the kernel would do it all by itself, once it knows a socket's range,
 * socket() is the only call that stops: we make the socket, and hand it over.
 *
 * A port bound by hand is a socket's for good (test/platform), and a socket's
 * cookie is no other's, ever. So sockets that we have once seen bound are
 * remembered by their cookies, and their calls go on at once.
 */

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* include/uapi/linux/in.h, since Linux 6.3 */
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57 /* include/uapi/asm-generic/socket.h */
#endif

/* What becomes of a call, besides a result of 0 or -errno */
enum { GO_ON = 1, ANSWERED };

struct trap {
	int listener;
	int program;
	const struct fence *fence;
	struct log *log;
	bool births;         /* socket() alone stops */
	bool mirrors;        /* we may bind to any port, but the program perhaps not */
	unsigned port_start; /* lowest port that needs no privilege */
	bool unreachable;    /* said already */
	bool warned;         /* of what was doubtful at the start */
	const char *refusal; /* said last */
	struct birth_place here;
	struct memo memo;
};

/* One trapped call. */
struct stop {
	struct trap *trap;
	struct caller caller;
	enum filter_call call;
	bool narrow; /* 32-bit pointers */
	uint64_t id; /* of the notification */
	uint64_t argument[6];
	long value; /* what the call returns if it is answered with 0 */
	int fd;     /* the socket, here */
	uint64_t cookie;
	union {
		union addr inet;
		struct sockaddr_storage storage;
	} address; /* as read, the rest is zeros */
	socklen_t len;
};

static const char *call_name(const struct stop *stop)
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

/* ---- words ---- */

/* Lends the log the program's standard error. Return: descriptor to close, or -1 */
static int lend_stderr(struct stop *stop)
{
	const struct caller program = { .pidfd = stop->trap->program };
	struct log *log = stop->trap->log;

	log->pid = (int)caller_process(&stop->caller);
	log->stderr_fd = caller_descriptor(&stop->caller, STDERR_FILENO);
	if (log->stderr_fd < 0)
		log->stderr_fd = caller_descriptor(&program, STDERR_FILENO);
	return log->stderr_fd;
}

static void take_back(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void tell(struct stop *stop, const struct assign *assign)
{
	const struct log *log = stop->trap->log;
	int fd;

	if (!(log->destination && strcmp(log->destination, "none")) && !log->record.path &&
	    (!log->warnings || stop->trap->warned) && !assign_speaks(assign) && !assign->system)
		return;
	stop->trap->warned = true;
	fd = lend_stderr(stop);
	log_assign(stop->trap->log, call_name(stop), assign);
	take_back(fd);
}

/* The program cannot be looked into. Return: what its call fails with */
static int unreachable(struct stop *stop)
{
	int fd;

	if (!stop->trap->unreachable) {
		stop->trap->unreachable = true;
		fd = lend_stderr(stop);
		log_say(stop->trap->log, "error",
			"the supervisor may not look into this process (see ptrace(2) on access), so its "
			"calls that need a port fail");
		take_back(fd);
	}
	return -EACCES;
}

/* ---- rights ---- */

/*
 * To bind to a port below the unprivileged ones is a right of whoever makes the
 * call, and that is us. So we have it only as long as the program has it.
 */
static void set_bind_right(bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data))
		return;
	if (on)
		data[0].effective |= 1U << CAP_NET_BIND_SERVICE;
	else
		data[0].effective &= ~(1U << CAP_NET_BIND_SERVICE);
	syscall(SYS_capset, &head, data);
}

/* @port: the one that is to be bound to, 0 for any of the ranges */
static bool may_bind(const struct stop *stop, uint16_t port)
{
	const struct trap *trap = stop->trap;
	const struct rule *rule = trap->fence->rule;
	int proto, lowest = port ? port : UINT16_MAX;

	for (proto = 0; !port && rule && proto < PROTO_COUNT; proto++)
		if (range_first(rule->range[proto]) < lowest)
			lowest = range_first(rule->range[proto]);
	return trap->mirrors && (unsigned)lowest < trap->port_start &&
	       caller_binds_low(&stop->caller);
}

/* Something that binds. Return: as the caller of with_right() has it */
typedef int bind_fn(struct stop *stop, struct assign *assign);

static int with_right(struct stop *stop, uint16_t port, bind_fn *bind, struct assign *assign)
{
	bool raised = may_bind(stop, port);
	int rc;

	if (raised)
		set_bind_right(true);
	rc = bind(stop, assign);
	if (raised)
		set_bind_right(false);
	return rc;
}

/* ---- what is remembered ---- */

static bool is_known(const struct stop *stop)
{
	return memo_is_bound(&stop->trap->memo, stop->cookie);
}

static void remember(struct stop *stop)
{
	memo_note_bound(&stop->trap->memo, stop->cookie);
}

/* ---- the calls ---- */

/* Return: 0; -EFAULT, or -EACCES if we may not read there */
static int read_memory(struct stop *stop, uint64_t address, void *ret_data, size_t size)
{
	int rc = caller_read(&stop->caller, address, ret_data, size);

	return rc == -EPERM ? unreachable(stop) : rc;
}

/* As the kernel does it (net/socket.c, move_addr_to_kernel). Return: 0 or -errno */
static int read_address(struct stop *stop, uint64_t address, int len)
{
	int rc = 0;

	if (len < 0 || len > (int)sizeof(stop->address))
		return -EINVAL;
	memset(&stop->address, 0, sizeof(stop->address));
	if (len)
		rc = read_memory(stop, address, &stop->address, (size_t)len);
	stop->len = (socklen_t)len;
	return rc;
}

static struct assign start(struct stop *stop, enum assign_call call)
{
	struct assign assign = { .call = call, .fd = stop->fd, .len = stop->len };

	assign.addr = stop->address.inet;
	return assign;
}

static bool is_udp(const struct stop *stop)
{
	socklen_t len = sizeof(int);
	int type = -1;

	return !getsockopt(stop->fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM;
}

/*
 * Has the library set the range, or who does as it does, and will the kernel
 * keep to it? Then it is the kernel's choice: to bind the socket would be another
 * way of choosing in one range, and the two do not share ports (test/platform).
 */
static bool has_range(const struct stop *stop)
{
	const struct rule *rule = stop->trap->fence->rule;
	socklen_t len = sizeof(uint32_t), size = sizeof(int);
	uint32_t value;
	enum proto proto;
	int protocol;

	if (getsockopt(stop->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, &len) || !value ||
	    getsockopt(stop->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size))
		return false;
	proto = policy_proto(protocol);
	return rule && proto != PROTO_COUNT && rule->range[proto]->spans == 1 &&
	       value == ((uint32_t)range_last(rule->range[proto]) << 16 |
			 range_first(rule->range[proto])) &&
	       birth_keeps(rule, proto);
}

static int choose(struct stop *stop, struct assign *assign)
{
	const struct assign asked = *assign;
	int rc;

	/* where ports are to be the same each time, how long a claim is held must not matter */
	if (stop->trap->fence->cursor.repeats)
		memo_wait(&stop->trap->memo);
	rc = assign_begin(stop->trap->fence, assign);

	/* perhaps by ports that others have only just been given, and could share with this one by now */
	if (assign->exhausted && memo_wait(&stop->trap->memo)) {
		*assign = asked;
		rc = assign_begin(stop->trap->fence, assign);
	}
	return rc;
}

static int begin(struct stop *stop, struct assign *assign)
{
	int rc;

	if (!(assign->call == ASSIGN_BIND && addr_port(&assign->addr)) && has_range(stop))
		return ASSIGN_GO_ON;
	rc = with_right(stop, 0, choose, assign);
	if (rc < 0 && assign_speaks(assign))
		tell(stop, assign);
	if (rc >= 0 && assign->engine == ENGINE_BIND)
		remember(stop);
	return rc;
}

static int end(struct stop *stop, struct assign *assign, int error)
{
	/* it asks for a second call only after one that the kernel engine has served */
	assign_end(stop->trap->fence, assign, &error);
	if (assign_serves(assign) || assign->escaped)
		tell(stop, assign);
	return -error;
}

static int make_bind(struct stop *stop, struct assign *assign)
{
	int rc = syscall(SYS_bind, stop->fd, &stop->address, stop->len) ? -errno : 0;

	if (!rc && addr_port(&assign->addr))
		remember(stop);
	return rc;
}

static int make_bindx(struct stop *stop, struct assign *assign)
{
	return setsockopt(stop->fd, IPPROTO_SCTP, SCTP_OPTION_BINDX_ADD, assign->addrs,
			  assign->addrs_size)
		       ? -errno
		       : 0;
}

/* A call that binds: made by us. */
static int serve_made(struct stop *stop, struct assign *assign, bind_fn *make)
{
	int rc = begin(stop, assign);

	if (rc < 0)
		return rc;
	rc = rc == ASSIGN_MADE ? 0 : with_right(stop, addr_port(&assign->addr), make, assign);
	return end(stop, assign, -rc);
}

static int serve_bind(struct stop *stop)
{
	struct assign assign;
	uint16_t asked;
	int rc;

	if (is_known(stop) &&
	    memo_take_untold(&stop->trap->memo, stop->cookie, stop->caller.thread))
		return 0;
	rc = read_address(stop, stop->argument[1], (int)stop->argument[2]);
	if (rc)
		return rc;
	asked = translate_bind(stop->trap->fence, stop->fd, &stop->address.inet);
	assign = start(stop, ASSIGN_BIND);
	assign.asked = asked;
	return serve_made(stop, &assign, make_bind);
}

static int serve_listen(struct stop *stop)
{
	struct assign assign = start(stop, ASSIGN_LISTEN);
	int rc;

	assign.backlog = (int)stop->argument[1];
	rc = begin(stop, &assign);
	if (rc < 0)
		return rc;
	return end(stop, &assign, syscall(SYS_listen, stop->fd, assign.backlog) ? errno : 0);
}

/*
 * A UDP socket's port may be one that the kernel chose: a send without a
 * destination passes the filter and fails, but leaves the socket bound (see
 * assign_undo()). A port bound by hand survives being undone.
 *
 * Return: true if nothing is left to choose
 */
static bool is_settled(struct stop *stop)
{
	const struct fence *fence = stop->trap->fence;
	enum assign_state state = assign_state(fence, stop->fd);

	if (state == ASSIGN_FOREIGN_UDP) {
		assign_undo(fence, stop->fd);
		state = assign_state(fence, stop->fd);
		if (state != ASSIGN_NEEDY)
			remember(stop);
	}
	return state != ASSIGN_NEEDY;
}

/* Puts the port in the destination that the map has in its place. Return: as translate_to() */
static int find_mapped(struct stop *stop)
{
	int rc = translate_to(stop->trap->fence, stop->fd, &stop->address.inet), fd;

	if (rc < 0) {
		fd = lend_stderr(stop);
		log_strange(stop->trap->log);
		take_back(fd);
	}
	return rc;
}

/* Gives the socket a port, if the call could make the kernel choose one. */
static int serve_port(struct stop *stop, struct assign *assign)
{
	int rc = begin(stop, assign);

	if (rc < 0)
		return rc;
	if (assign->claim)
		memo_hold_claim(&stop->trap->memo, assign->claim, stop->cookie, stop->caller.thread,
				stop->id);
	if (assign_serves(assign))
		tell(stop, assign);
	return GO_ON;
}

static int serve_connect(struct stop *stop)
{
	struct assign assign;
	int rc;

	rc = read_address(stop, stop->argument[1], (int)stop->argument[2]);
	if (rc)
		return rc;
	if (stop->len < sizeof(sa_family_t) || stop->address.inet.sa.sa_family == AF_UNSPEC)
		return syscall(SYS_connect, stop->fd, &stop->address, stop->len) ? -errno : 0;
	rc = find_mapped(stop);
	if (rc < 0)
		return rc;
	if ((is_udp(stop) && is_settled(stop)) || has_range(stop))
		return GO_ON;
	assign = start(stop, ASSIGN_CONNECT);
	rc = serve_port(stop, &assign);
	if (rc != GO_ON || assign.system || assign_settled(stop->trap->fence, stop->fd))
		return rc;
	/* it fails, before a port is chosen */
	return syscall(SYS_connect, stop->fd, &stop->address, stop->len) ? -errno : 0;
}

/* Where a message goes to. Return: 0; -errno if that cannot be read, and it is zeros */
static int read_destination(struct stop *stop)
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
		rc = read_memory(stop, header, &head, stop->narrow ? 8 : 12);
		if (rc)
			return rc;
		name = stop->narrow ? head.narrow.name : head.wide.name;
		len = stop->narrow ? head.narrow.len : head.wide.len;
		/* a negative one is refused, too long a one cut (net/socket.c, __copy_msghdr) */
		if (len > sizeof(stop->address) && len <= INT_MAX)
			len = sizeof(stop->address);
	}
	/* no address is one of no length, whatever is said of it */
	rc = read_address(stop, name, name ? (int)len : 0);
	if (!rc)
		rc = find_mapped(stop);
	if (rc < 0)
		memset(&stop->address, 0, sizeof(stop->address));
	return rc < 0 ? rc : 0;
}

/* Over TCP, one that connects, and that the kernel refuses for its address */
static int refuse_send(struct stop *stop, int flags)
{
	ssize_t n = sendto(stop->fd, "", 0, flags | MSG_DONTWAIT | MSG_NOSIGNAL,
			   (const struct sockaddr *)&stop->address.storage, stop->len);

	return n < 0 ? -errno : 0;
}

/* The socket's own family; 0 if it cannot be told */
static int find_domain(const struct stop *stop)
{
	socklen_t len = sizeof(int);
	int domain = 0;

	return getsockopt(stop->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ? 0 : domain;
}

/*
 * Gives the socket a port, although the address is none now: the memory may say
 * something else by the time that the kernel looks.
 */
static int serve_anyway(struct stop *stop, struct assign *assign)
{
	if (!addr_port(&assign->addr))
		assign->len = addr_wildcard(&assign->addr, find_domain(stop));
	return serve_port(stop, assign);
}

static int serve_send(struct stop *stop)
{
	int flags = (int)stop->argument[stop->call == FILTER_SENDMSG ? 2 : 3], rc;
	struct assign assign;

	if (is_udp(stop) ? is_settled(stop)
			 : !(flags & MSG_FASTOPEN) && assign_settled(stop->trap->fence, stop->fd))
		return GO_ON;
	if (has_range(stop))
		return GO_ON;
	rc = read_destination(stop);
	assign = start(stop, ASSIGN_SEND);
	assign.fast_open = flags & MSG_FASTOPEN;
	if (!assign.fast_open)
		return is_udp(stop) ? serve_port(stop, &assign) : serve_anyway(stop, &assign);
	if (!rc)
		rc = serve_port(stop, &assign);
	/* whatever the memory says by then, the socket has its port, or nothing gives it one */
	if (rc != GO_ON || assign.system || assign_settled(stop->trap->fence, stop->fd))
		return rc;
	return refuse_send(stop, flags);
}

/* sctp_bindx() */
static int serve_bindx(struct stop *stop)
{
	static char addrs[SCTP_ADDRS_MAX];
	struct assign assign = { .call = ASSIGN_BIND, .fd = stop->fd, .sctp = true };
	int size = (int)stop->argument[4], rc;

	if (size <= 0 || size > (int)sizeof(addrs))
		return -EINVAL;
	rc = read_memory(stop, stop->argument[3], addrs, (size_t)size);
	if (rc)
		return rc;
	assign.addrs = addrs;
	assign.addrs_size = (socklen_t)size;
	assign.len = (socklen_t)size < sizeof(assign.addr) ? (socklen_t)size : sizeof(assign.addr);
	memcpy(&assign.addr, addrs, assign.len);
	return serve_made(stop, &assign, make_bindx);
}

static int serve_connectx(struct stop *stop)
{
	struct assign assign;

	if (assign_settled(stop->trap->fence, stop->fd))
		return GO_ON;
	memset(&stop->address, 0, sizeof(stop->address));
	assign = start(stop, ASSIGN_CONNECT);
	assign.sctp = true;
	return serve_anyway(stop, &assign);
}

/* Of an array of arguments in memory, the filter could not see the level and the option. */
static int serve_option(struct stop *stop)
{
	bool set = stop->call == FILTER_SETSOCKOPT;
	int level = (int)stop->argument[1], option = (int)stop->argument[2];

	if (stop->trap->births)
		return set && level == IPPROTO_IP && option == IP_LOCAL_PORT_RANGE ? -ENOPROTOOPT
										   : GO_ON;
	if (level != IPPROTO_SCTP)
		return GO_ON;
	if (set && option == SCTP_OPTION_BINDX_ADD)
		return serve_bindx(stop);
	if (set ? option == SCTP_OPTION_CONNECTX || option == SCTP_OPTION_CONNECTX_OLD
		: option == SCTP_OPTION_CONNECTX3)
		return serve_connectx(stop);
	return GO_ON;
}

/* ---- under a map ---- */

static int relay_mapped_connect(struct stop *stop)
{
	int rc = read_address(stop, stop->argument[1], (int)stop->argument[2]);

	if (!rc)
		rc = find_mapped(stop);
	if (rc <= 0)
		return rc ? rc : GO_ON;
	rc = relay_connect(&stop->caller, stop->trap->listener, stop->id, stop->fd,
			   &stop->address.inet,
			   stop->len < sizeof(union addr) ? stop->len : sizeof(union addr));
	return rc == RELAY_LATER ? ANSWERED : rc;
}

/*
 * Where a message goes to, as read_destination(). What cannot be read, the
 * kernel refuses, or does not look at.
 *
 * Return: 1 if the map has another port for it, 0; -errno as translate_to()
 */
static int is_mapped(struct stop *stop)
{
	const struct rule *rule = stop->trap->fence->rule;
	int rc = read_destination(stop);

	if (rc)
		return rc == -EFAULT || rc == -EINVAL ? 0 : rc;
	return map_asked(rule->map, addr_port(&stop->address.inet)) && stop->len;
}

/* Sends the message that the arguments show, to the address as read. Return: 0, or -errno */
static int relay_mapped_send(struct stop *stop, int flags)
{
	bool plain = stop->call == FILTER_SENDTO;
	const struct relay_message message = {
		.data = stop->argument[1],
		.size = stop->argument[2],
		.header = plain ? 0 : stop->argument[1],
		.narrow = stop->narrow,
		.flags = flags,
	};
	const union addr *to = stop->len ? &stop->address.inet : NULL;
	long n = relay_send(&stop->caller, stop->fd, &message, to,
			    stop->len < sizeof(*to) ? stop->len : sizeof(*to));

	stop->value = n;
	return n < 0 ? (int)n : 0;
}

/*
 * Of several messages, if any of them is mapped, the first is sent: the program
 * comes again for the others, as the kernel may have sent no more either.
 */
static int relay_mapped_batch(struct stop *stop, int flags)
{
	const uint64_t first = stop->argument[1], size = stop->narrow ? 32 : 64;
	uint64_t count = stop->argument[2] < 1024 ? stop->argument[2] : 1024, i;
	uint32_t sent;
	int rc = 0;

	for (i = 0; !rc && i < count; i++) {
		stop->argument[1] = first + i * size;
		rc = is_mapped(stop);
	}
	stop->argument[1] = first;
	if (!rc)
		return GO_ON;
	rc = read_destination(stop);
	if (!rc)
		rc = relay_mapped_send(stop, flags);
	if (rc)
		return rc;
	sent = (uint32_t)stop->value;
	stop->value = 1;
	/* behind the header (sendmmsg(2)) */
	return caller_write(&stop->caller, first + (stop->narrow ? 28 : 56), &sent, sizeof(sent));
}

/* Makes a call that would go on, if its destination is another one. */
static int relay_mapped(struct stop *stop)
{
	int flags = (int)stop->argument[stop->call == FILTER_SENDMSG ? 2 : 3], protocol = 0, rc;
	socklen_t len = sizeof(protocol);

	if (stop->call == FILTER_CONNECT)
		return relay_mapped_connect(stop);
	if (stop->call != FILTER_SENDTO && stop->call != FILTER_SENDMSG &&
	    stop->call != FILTER_SENDMMSG)
		return GO_ON;
	getsockopt(stop->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	/* over TCP there is a destination only for who connects by a send, which a server may refuse, too */
	if (policy_proto(protocol) == PROTO_TCP)
		return flags & MSG_FASTOPEN && is_mapped(stop) ? -EOPNOTSUPP : GO_ON;
	if (stop->call == FILTER_SENDMMSG)
		return relay_mapped_batch(stop, flags);
	rc = is_mapped(stop);
	if (rc)
		return rc < 0 ? rc : relay_mapped_send(stop, flags);
	return GO_ON;
}

static int serve_call(struct stop *stop)
{
	if (stop->call == FILTER_BIND)
		return serve_bind(stop);
	if (is_known(stop))
		return GO_ON;
	switch (stop->call) {
	case FILTER_CONNECT:
		return serve_connect(stop);
	case FILTER_LISTEN:
		return serve_listen(stop);
	case FILTER_SETSOCKOPT:
	case FILTER_GETSOCKOPT:
		return serve_option(stop);
	default:
		return serve_send(stop);
	}
}

static int serve_socket(struct stop *stop)
{
	const struct rule *rule = stop->trap->fence->rule;
	socklen_t len = sizeof(int);
	int domain, rc;

	if (getsockopt(stop->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return -errno;
	if (domain != AF_INET && domain != AF_INET6)
		return GO_ON;
	len = sizeof(stop->cookie);
	if (getsockopt(stop->fd, SOL_SOCKET, SO_COOKIE, &stop->cookie, &len))
		stop->cookie = 0;
	memo_hear(&stop->trap->memo, stop->cookie, stop->caller.thread, stop->id);
	rc = serve_call(stop);
	return rc == GO_ON && rule && rule->map ? relay_mapped(stop) : rc;
}

/* Says once why no socket is made. Return: what the call fails with */
static int refuse_birth(struct stop *stop, const char *why)
{
	char text[256];
	int fd;

	if (stop->trap->refusal != why) {
		stop->trap->refusal = why;
		snprintf(text, sizeof(text), "no socket is made: %s; use '--via both'", why);
		fd = lend_stderr(stop);
		log_say(stop->trap->log, "error", text);
		take_back(fd);
	}
	return -EACCES;
}

static bool is_valid(const struct trap *trap, uint64_t id)
{
	return !ioctl(trap->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

/* Makes the socket that the call asks for. It is the call's answer. */
static int serve_birth(struct stop *stop)
{
	int type = (int)stop->argument[1];
	struct seccomp_notif_addfd add = {
		.id = stop->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.newfd_flags = type & SOCK_CLOEXEC ? O_CLOEXEC : 0,
	};
	const char *why;
	int fd, rc;

	fd = birth_make(stop->trap->fence->rule, &stop->trap->here, stop->caller.thread,
			(int)stop->argument[0], type, (int)stop->argument[2], &why);
	if (fd == -EPROTOTYPE)
		return GO_ON;
	/* of one that was killed, nothing is true any more */
	if (fd == -EACCES)
		return is_valid(stop->trap, stop->id) ? refuse_birth(stop, why) : -ESRCH;
	if (fd < 0)
		return fd;
	add.srcfd = (uint32_t)fd;
	/* the program's table may be full */
	rc = ioctl(stop->trap->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : ANSWERED;
	close(fd);
	return rc;
}

/* socketcall(2) has its arguments in memory. */
static int unfold(struct stop *stop)
{
	uint32_t argument[6];
	int i, rc;

	stop->call = filter_socketcall(stop->argument[0]);
	/* the longest of them ends where the kernel would stop reading, or the page after it */
	rc = read_memory(stop, stop->argument[1], argument, sizeof(argument));
	if (rc)
		rc = read_memory(stop, stop->argument[1], argument, 3 * sizeof(argument[0]));
	for (i = 0; i < 6; i++)
		stop->argument[i] = argument[i];
	return rc;
}

/* Return: GO_ON, or what the call returns */
static int decide(struct stop *stop)
{
	int rc = 0;

	if (stop->call == FILTER_SOCKETCALL)
		rc = unfold(stop);
	if (rc)
		return rc;
	if (stop->call == FILTER_SOCKET)
		return is_valid(stop->trap, stop->id) ? serve_birth(stop) : -ESRCH;
	stop->fd = caller_descriptor(&stop->caller, (int)stop->argument[0]);
	if (stop->fd == -EPERM)
		return unreachable(stop);
	if (stop->fd < 0)
		return stop->fd;
	/* else the number was another's by then */
	rc = is_valid(stop->trap, stop->id) ? serve_socket(stop) : -ESRCH;
	close(stop->fd);
	return rc;
}

static void answer(struct trap *trap, const struct seccomp_notif *notif)
{
	struct seccomp_notif_resp answer = { .id = notif->id };
	struct stop stop = {
		.trap = trap,
		.id = notif->id,
		.call = filter_call(notif->data.arch, notif->data.nr),
		.narrow = filter_is_narrow(notif->data.arch),
	};
	int rc, i;

	for (i = 0; i < 6; i++)
		stop.argument[i] = notif->data.args[i];
	rc = caller_open((pid_t)notif->pid, &stop.caller);
	if (!rc) {
		rc = decide(&stop);
		caller_close(&stop.caller);
	}
	if (rc == ANSWERED)
		return;
	if (rc == GO_ON)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.error = rc;
	if (!rc)
		answer.val = stop.value;
	if (!ioctl(trap->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) || errno != ENOENT)
		return;
	/* it was interrupted; the kernel makes it again */
	if (stop.call == FILTER_BIND && !rc)
		memo_note_untold(&trap->memo, stop.cookie, (pid_t)notif->pid);
}

void trap_serve(int listener, bool births, const struct fence *fence, struct log *log, int program)
{
	static struct trap trap;
	static struct fence own;
	struct pollfd poll_listener = { .fd = listener, .events = POLLIN };
	struct seccomp_notif_sizes sizes = { 0 };
	union {
		struct seccomp_notif notif;
		char room[1024];
	} heard;

	trap.listener = listener;
	trap.memo.listener = listener;
	trap.memo.cursor = &fence->cursor;
	trap.program = program;
	own = *fence;
	own.cursor.held = &trap.memo.claims;
	trap.fence = &own;
	trap.log = log;
	trap.births = births;
	if (births)
		birth_look(getpid(), &trap.here);
	trap.mirrors = settings_port_start() == 0;
	set_bind_right(false);
	trap.port_start = settings_port_start();
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) ||
	    sizes.seccomp_notif > sizeof(heard))
		return;
	for (;;) {
		int n = poll(&poll_listener, 1, trap.memo.claims.count ? MEMO_TIDY_MS : -1);

		memo_tidy(&trap.memo);
		if (n < 0 && errno != EINTR)
			return;
		if (n <= 0)
			continue;
		if (!(poll_listener.revents & POLLIN)) {
			memo_end(&trap.memo);
			return;
		}
		/* the kernel wants it zeroed */
		memset(&heard, 0, sizeof(heard));
		if (!ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &heard))
			answer(&trap, &heard.notif);
	}
}
