#include "trap.h"

#include "../core/assign.h"
#include "../core/sctp.h"
#include "../core/settings.h"
#include "../core/translate.h"
#include "relay.h"
#include "trapped_call.h"

#include <errno.h>
#include <fcntl.h>
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
 * kernel, so its claim is held for a while (see claims.c).
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

#ifndef SO_COOKIE
#define SO_COOKIE 57 /* include/uapi/asm-generic/socket.h */
#endif

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
static bool may_bind(const struct trapped_call *trapped, uint16_t port)
{
	const struct trap *trap = trapped->trap;
	const struct rule *rule = trap->fence->rule;
	int proto, lowest = port ? port : UINT16_MAX;

	for (proto = 0; !port && rule && proto < PROTO_COUNT; proto++)
		if (range_first(rule->range[proto]) < lowest)
			lowest = range_first(rule->range[proto]);
	return trap->mirrors && (unsigned)lowest < trap->port_start &&
	       caller_binds_low(&trapped->caller);
}

/* Something that binds. Return: as the caller of with_right() has it */
typedef int bind_fn(struct trapped_call *trapped, struct assign *assign);

static int with_right(struct trapped_call *trapped, uint16_t port, bind_fn *bind,
		      struct assign *assign)
{
	bool raised = may_bind(trapped, port);
	int rc;

	if (raised)
		set_bind_right(true);
	rc = bind(trapped, assign);
	if (raised)
		set_bind_right(false);
	return rc;
}

/* ---- what is remembered ---- */

static bool is_known(const struct trapped_call *trapped)
{
	return claims_is_bound(&trapped->trap->claims, trapped->cookie);
}

static void remember(struct trapped_call *trapped)
{
	claims_note_bound(&trapped->trap->claims, trapped->cookie);
}

/* ---- the calls ---- */

static struct assign start(struct trapped_call *trapped, enum assign_call call)
{
	struct assign assign = { .call = call, .fd = trapped->fd, .len = trapped->len };

	assign.addr = trapped->address.inet;
	return assign;
}

/*
 * Has the library set the range, or who does as it does, and will the kernel
 * keep to it? Then it is the kernel's choice: to bind the socket would be another
 * way of choosing in one range, and the two do not share ports (test/platform).
 */
static bool has_range(const struct trapped_call *trapped)
{
	const struct rule *rule = trapped->trap->fence->rule;
	socklen_t len = sizeof(uint32_t), size = sizeof(int);
	uint32_t value;
	enum proto proto;
	int protocol;

	if (getsockopt(trapped->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, &len) || !value ||
	    getsockopt(trapped->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size))
		return false;
	proto = policy_proto(protocol);
	return rule && proto != PROTO_COUNT && rule->range[proto]->spans == 1 &&
	       value == engine_kernel_value(rule->range[proto]) && newsocket_keeps(rule, proto);
}

static int choose(struct trapped_call *trapped, struct assign *assign)
{
	const struct assign asked = *assign;
	int rc;

	/* where ports are to be the same each time, how long a claim is held must not matter */
	if (trapped->trap->fence->state.repeats)
		claims_wait(&trapped->trap->claims);
	rc = assign_begin(trapped->trap->fence, assign);

	/* perhaps by ports that others have only just been given, and could share with this one by now */
	if ((assign->outcome == OUTCOME_EXHAUSTED || assign->outcome == OUTCOME_FELL_BACK) &&
	    claims_wait(&trapped->trap->claims)) {
		*assign = asked;
		rc = assign_begin(trapped->trap->fence, assign);
	}
	return rc;
}

static int begin(struct trapped_call *trapped, struct assign *assign)
{
	int rc;

	if (!(assign->call == ASSIGN_BIND && addr_port(&assign->addr)) && has_range(trapped))
		return ASSIGN_GO_ON;
	rc = with_right(trapped, 0, choose, assign);
	if (rc < 0 && assign->outcome != OUTCOME_FINE)
		trapped_call_tell(trapped, assign);
	if (rc >= 0 && assign->engine == ENGINE_BIND)
		remember(trapped);
	return rc;
}

static int end(struct trapped_call *trapped, struct assign *assign, int error)
{
	/* it asks for a second call only after one that the kernel engine has served */
	assign_end(trapped->trap->fence, assign, &error);
	if (assign_serves(assign) || assign->outcome == OUTCOME_ESCAPED)
		trapped_call_tell(trapped, assign);
	return -error;
}

static int make_bind(struct trapped_call *trapped, struct assign *assign)
{
	int rc = syscall(SYS_bind, trapped->fd, &trapped->address, trapped->len) ? -errno : 0;

	if (!rc && addr_port(&assign->addr))
		remember(trapped);
	return rc;
}

static int make_bindx(struct trapped_call *trapped, struct assign *assign)
{
	return setsockopt(trapped->fd, IPPROTO_SCTP, SCTP_OPTION_BINDX_ADD, assign->addrs,
			  assign->addrs_size)
		       ? -errno
		       : 0;
}

/* A call that binds: made by us. */
static int serve_made(struct trapped_call *trapped, struct assign *assign, bind_fn *make)
{
	int rc = begin(trapped, assign);

	if (rc < 0)
		return rc;
	rc = rc == ASSIGN_MADE ? 0 : with_right(trapped, addr_port(&assign->addr), make, assign);
	return end(trapped, assign, -rc);
}

static int serve_bind(struct trapped_call *trapped)
{
	struct assign assign;
	uint16_t asked;
	int rc;

	if (is_known(trapped) &&
	    claims_take_interrupted_bind(&trapped->trap->claims, trapped->cookie,
					 trapped->caller.thread))
		return 0;
	rc = trapped_call_read_address(trapped, trapped->argument[1], (int)trapped->argument[2]);
	if (rc)
		return rc;
	asked = translate_bind(trapped->trap->fence, trapped->fd, &trapped->address.inet);
	assign = start(trapped, ASSIGN_BIND);
	assign.program_port = asked;
	return serve_made(trapped, &assign, make_bind);
}

static int serve_listen(struct trapped_call *trapped)
{
	struct assign assign = start(trapped, ASSIGN_LISTEN);
	int rc;

	assign.backlog = (int)trapped->argument[1];
	rc = begin(trapped, &assign);
	if (rc < 0)
		return rc;
	return end(trapped, &assign, syscall(SYS_listen, trapped->fd, assign.backlog) ? errno : 0);
}

/*
 * A UDP socket's port may be one that the kernel chose: a send without a
 * destination passes the filter and fails, but leaves the socket bound (see
 * assign_undo()). A port bound by hand survives being undone.
 *
 * Return: true if nothing is left to choose
 */
static bool is_settled(struct trapped_call *trapped)
{
	const struct fence *fence = trapped->trap->fence;
	enum assign_state state = assign_state(fence, trapped->fd);

	if (state == ASSIGN_FOREIGN_UDP) {
		assign_undo(fence, trapped->fd);
		state = assign_state(fence, trapped->fd);
		if (state != ASSIGN_NEEDY)
			remember(trapped);
	}
	return state != ASSIGN_NEEDY;
}

/* Gives the socket a port, if the call could make the kernel choose one. */
static int serve_port(struct trapped_call *trapped, struct assign *assign)
{
	int rc = begin(trapped, assign);

	if (rc < 0)
		return rc;
	if (assign->claim)
		claims_hold_claim(&trapped->trap->claims, assign->claim, trapped->cookie,
				  trapped->caller.thread, trapped->id);
	if (assign_serves(assign))
		trapped_call_tell(trapped, assign);
	return CALL_CONTINUES;
}

static int serve_connect(struct trapped_call *trapped)
{
	struct assign assign;
	int rc;

	rc = trapped_call_read_address(trapped, trapped->argument[1], (int)trapped->argument[2]);
	if (rc)
		return rc;
	if (trapped->len < sizeof(sa_family_t) || trapped->address.inet.sa.sa_family == AF_UNSPEC)
		return syscall(SYS_connect, trapped->fd, &trapped->address, trapped->len) ? -errno
											  : 0;
	rc = trapped_call_translate(trapped);
	if (rc < 0)
		return rc;
	if ((trapped_call_is_udp(trapped) && is_settled(trapped)) || has_range(trapped))
		return CALL_CONTINUES;
	assign = start(trapped, ASSIGN_CONNECT);
	rc = serve_port(trapped, &assign);
	if (rc != CALL_CONTINUES || assign.outcome == OUTCOME_FELL_BACK ||
	    assign_has_port(trapped->trap->fence, trapped->fd))
		return rc;
	/* it fails, before a port is chosen */
	return syscall(SYS_connect, trapped->fd, &trapped->address, trapped->len) ? -errno : 0;
}

/* Over TCP, one that connects, and that the kernel refuses for its address */
static int refuse_send(struct trapped_call *trapped, int flags)
{
	ssize_t n = sendto(trapped->fd, "", 0, flags | MSG_DONTWAIT | MSG_NOSIGNAL,
			   (const struct sockaddr *)&trapped->address.storage, trapped->len);

	return n < 0 ? -errno : 0;
}

/* The socket's own family; 0 if it cannot be told */
static int find_domain(const struct trapped_call *trapped)
{
	socklen_t len = sizeof(int);
	int domain = 0;

	return getsockopt(trapped->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ? 0 : domain;
}

/*
 * Gives the socket a port, although the address is none now: the memory may say
 * something else by the time that the kernel looks.
 */
static int serve_anyway(struct trapped_call *trapped, struct assign *assign)
{
	if (!addr_port(&assign->addr))
		assign->len = addr_wildcard(&assign->addr, find_domain(trapped));
	return serve_port(trapped, assign);
}

static int serve_send(struct trapped_call *trapped)
{
	int flags = (int)trapped->argument[trapped->call == FILTER_SENDMSG ? 2 : 3], rc;
	struct assign assign;

	if (trapped_call_is_udp(trapped)
		    ? is_settled(trapped)
		    : !(flags & MSG_FASTOPEN) && assign_has_port(trapped->trap->fence, trapped->fd))
		return CALL_CONTINUES;
	if (has_range(trapped))
		return CALL_CONTINUES;
	rc = trapped_call_read_destination(trapped);
	assign = start(trapped, ASSIGN_SEND);
	assign.fast_open = flags & MSG_FASTOPEN;
	if (!assign.fast_open)
		return trapped_call_is_udp(trapped) ? serve_port(trapped, &assign)
						    : serve_anyway(trapped, &assign);
	if (!rc)
		rc = serve_port(trapped, &assign);
	/* whatever the memory says by then, the socket has its port, or nothing gives it one */
	if (rc != CALL_CONTINUES || assign.outcome == OUTCOME_FELL_BACK ||
	    assign_has_port(trapped->trap->fence, trapped->fd))
		return rc;
	return refuse_send(trapped, flags);
}

/* sctp_bindx() */
static int serve_bindx(struct trapped_call *trapped)
{
	static char addrs[SCTP_ADDRS_MAX];
	struct assign assign = { .call = ASSIGN_BIND, .fd = trapped->fd, .sctp = true };
	int size = (int)trapped->argument[4], rc;

	if (size <= 0 || size > (int)sizeof(addrs))
		return -EINVAL;
	rc = trapped_call_read_memory(trapped, trapped->argument[3], addrs, (size_t)size);
	if (rc)
		return rc;
	assign.addrs = addrs;
	assign.addrs_size = (socklen_t)size;
	assign.len = (socklen_t)size < sizeof(assign.addr) ? (socklen_t)size : sizeof(assign.addr);
	memcpy(&assign.addr, addrs, assign.len);
	return serve_made(trapped, &assign, make_bindx);
}

static int serve_connectx(struct trapped_call *trapped)
{
	struct assign assign;

	if (assign_has_port(trapped->trap->fence, trapped->fd))
		return CALL_CONTINUES;
	memset(&trapped->address, 0, sizeof(trapped->address));
	assign = start(trapped, ASSIGN_CONNECT);
	assign.sctp = true;
	return serve_anyway(trapped, &assign);
}

/* Of an array of arguments in memory, the filter could not see the level and the option. */
static int serve_option(struct trapped_call *trapped)
{
	bool set = trapped->call == FILTER_SETSOCKOPT;
	int level = (int)trapped->argument[1], option = (int)trapped->argument[2];

	if (trapped->trap->only_socket)
		return set && level == IPPROTO_IP && option == IP_LOCAL_PORT_RANGE ? -ENOPROTOOPT
										   : CALL_CONTINUES;
	if (level != IPPROTO_SCTP)
		return CALL_CONTINUES;
	if (set && option == SCTP_OPTION_BINDX_ADD)
		return serve_bindx(trapped);
	if (set ? option == SCTP_OPTION_CONNECTX || option == SCTP_OPTION_CONNECTX_OLD
		: option == SCTP_OPTION_CONNECTX3)
		return serve_connectx(trapped);
	return CALL_CONTINUES;
}

static int serve_call(struct trapped_call *trapped)
{
	if (trapped->call == FILTER_BIND)
		return serve_bind(trapped);
	if (is_known(trapped))
		return CALL_CONTINUES;
	switch (trapped->call) {
	case FILTER_CONNECT:
		return serve_connect(trapped);
	case FILTER_LISTEN:
		return serve_listen(trapped);
	case FILTER_SETSOCKOPT:
	case FILTER_GETSOCKOPT:
		return serve_option(trapped);
	default:
		return serve_send(trapped);
	}
}

static int serve_socket(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->trap->fence->rule;
	socklen_t len = sizeof(int);
	int domain, rc;

	if (getsockopt(trapped->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return -errno;
	if (domain != AF_INET && domain != AF_INET6)
		return CALL_CONTINUES;
	len = sizeof(trapped->cookie);
	if (getsockopt(trapped->fd, SOL_SOCKET, SO_COOKIE, &trapped->cookie, &len))
		trapped->cookie = 0;
	claims_thread_moved_on(&trapped->trap->claims, trapped->cookie, trapped->caller.thread,
			       trapped->id);
	rc = serve_call(trapped);
	return rc == CALL_CONTINUES && rule && rule->map ? relay_call(trapped) : rc;
}

/* Says once why no socket is made. Return: what the call fails with */
static int refuse_birth(struct trapped_call *trapped, const char *why)
{
	char text[256];
	int fd;

	if (trapped->trap->refusal != why) {
		trapped->trap->refusal = why;
		snprintf(text, sizeof(text), "no socket is made: %s; use '--via both'", why);
		fd = trapped_call_lend_stderr(trapped);
		log_say(trapped->trap->log, "error", text);
		trapped_call_take_back(fd);
	}
	return -EACCES;
}

static bool is_valid(const struct trap *trap, uint64_t id)
{
	return !ioctl(trap->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

/* Makes the socket that the call asks for. It is the call's answer. */
static int serve_birth(struct trapped_call *trapped)
{
	int type = (int)trapped->argument[1];
	struct seccomp_notif_addfd add = {
		.id = trapped->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.newfd_flags = type & SOCK_CLOEXEC ? O_CLOEXEC : 0,
	};
	const char *why;
	int fd, rc;

	fd = newsocket_make(trapped->trap->fence->rule, &trapped->trap->here,
			    trapped->caller.thread, (int)trapped->argument[0], type,
			    (int)trapped->argument[2], &why);
	if (fd == -EPROTOTYPE)
		return CALL_CONTINUES;
	/* of one that was killed, nothing is true any more */
	if (fd == -EACCES)
		return is_valid(trapped->trap, trapped->id) ? refuse_birth(trapped, why) : -ESRCH;
	if (fd < 0)
		return fd;
	add.srcfd = (uint32_t)fd;
	/* the program's table may be full */
	rc = ioctl(trapped->trap->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno
										 : CALL_ANSWERED;
	close(fd);
	return rc;
}

/* socketcall(2) has its arguments in memory. */
static int unfold(struct trapped_call *trapped)
{
	uint32_t argument[6];
	int i, rc;

	trapped->call = filter_socketcall(trapped->argument[0]);
	/* the longest of them ends where the kernel would stop reading, or the page after it */
	rc = trapped_call_read_memory(trapped, trapped->argument[1], argument, sizeof(argument));
	if (rc)
		rc = trapped_call_read_memory(trapped, trapped->argument[1], argument,
					      3 * sizeof(argument[0]));
	for (i = 0; i < 6; i++)
		trapped->argument[i] = argument[i];
	return rc;
}

/* Return: CALL_CONTINUES, or what the call returns */
static int decide(struct trapped_call *trapped)
{
	int rc = 0;

	if (trapped->call == FILTER_SOCKETCALL)
		rc = unfold(trapped);
	if (rc)
		return rc;
	if (trapped->call == FILTER_SOCKET)
		return is_valid(trapped->trap, trapped->id) ? serve_birth(trapped) : -ESRCH;
	trapped->fd = caller_descriptor(&trapped->caller, (int)trapped->argument[0]);
	if (trapped->fd == -EPERM)
		return trapped_call_unreachable(trapped);
	if (trapped->fd < 0)
		return trapped->fd;
	/* else the number was another's by then */
	rc = is_valid(trapped->trap, trapped->id) ? serve_socket(trapped) : -ESRCH;
	close(trapped->fd);
	return rc;
}

static void answer(struct trap *trap, const struct seccomp_notif *notif)
{
	struct seccomp_notif_resp answer = { .id = notif->id };
	struct trapped_call trapped = {
		.trap = trap,
		.id = notif->id,
		.call = filter_call(notif->data.arch, notif->data.nr),
		.narrow = filter_is_narrow(notif->data.arch),
	};
	int rc, i;

	for (i = 0; i < 6; i++)
		trapped.argument[i] = notif->data.args[i];
	rc = caller_open((pid_t)notif->pid, &trapped.caller);
	if (!rc) {
		rc = decide(&trapped);
		caller_close(&trapped.caller);
	}
	if (rc == CALL_ANSWERED)
		return;
	if (rc == CALL_CONTINUES)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.error = rc;
	if (!rc)
		answer.val = trapped.value;
	if (!ioctl(trap->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) || errno != ENOENT)
		return;
	/* it was interrupted; the kernel makes it again */
	if (trapped.call == FILTER_BIND && !rc)
		claims_note_interrupted_bind(&trap->claims, trapped.cookie, (pid_t)notif->pid);
}

void trap_serve(int listener, bool only_socket, const struct fence *fence, struct log *log,
		int program)
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
	trap.claims.listener = listener;
	trap.claims.state = &fence->state;
	trap.program = program;
	own = *fence;
	own.state.own_claims = &trap.claims.claims;
	trap.fence = &own;
	trap.log = log;
	trap.only_socket = only_socket;
	if (only_socket)
		newsocket_look(getpid(), &trap.here);
	trap.mirrors = settings_port_start() == 0;
	set_bind_right(false);
	trap.port_start = settings_port_start();
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) ||
	    sizes.seccomp_notif > sizeof(heard))
		return;
	for (;;) {
		int n = poll(&poll_listener, 1, trap.claims.claims.count ? CLAIMS_TIDY_MS : -1);

		claims_tidy(&trap.claims);
		if (n < 0 && errno != EINTR)
			return;
		if (n <= 0)
			continue;
		if (!(poll_listener.revents & POLLIN)) {
			claims_end(&trap.claims);
			return;
		}
		/* the kernel wants it zeroed */
		memset(&heard, 0, sizeof(heard));
		if (!ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &heard))
			answer(&trap, &heard.notif);
	}
}
