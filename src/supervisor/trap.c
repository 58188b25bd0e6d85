#include "trap.h"

#include "../core/assign.h"
#include "../core/handover.h"
#include "../core/move.h"
#include "../core/mptcp.h"
#include "../core/sctp.h"
#include "../core/settings.h"
#include "../core/translate.h"
#include "newsocket.h"
#include "relay.h"
#include "reserve.h"
#include "rights.h"
#include "trapped_call.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
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
 * We let a call continue only if its socket is not ours to fence, already has a
 * port, or cannot get one from this call. We make every other one ourselves, with
 * the address as we have read it: a bind(), as a port that the program names may be
 * 0 by the time that the kernel looks; a connect() that ends a connection or is bound
 * to fail. We make it without any right of ours (rights.c), and where a right has a
 * say in a bind() to a named port, that continues, too: see let_kernel_bind().
 *
 * Any of these may wait for the caller's pleasure, in its memory or for its socket's
 * lock. So several threads can serve at a time (workers.c).
 *
 * A connect() may wait, so it is never ours to make. What it needs is bound
 * before, by the bind engine: the kernel engine's choice would have to be looked
 * at afterwards. Nor are we told when a shared port's connection is known to the
 * kernel, so its claim is held for a while (see claims.c).
 *
 * Where a map puts another port in the place of a call's own, no memory of the
 * program's says so, and we have to make the call: see relay.
 *
 * Where we may look into nobody, we make the sockets (born.c), and find the duplicate
 * of the one that a call is about. What then needs an address that cannot be read does
 * without: a bind() goes on without a choice of the kernel's (serve_unread_bind), and
 * what could choose a port gets one whatever it says. A rule that has to know the
 * address refuses the call.
 *
 * A port bound by hand is a socket's for good (test/platform), and a socket's
 * cookie is no other's, ever. So sockets that we have once seen bound are
 * remembered by their cookies, and their calls go on at once.
 */

#define NOTIFICATION_MAX 1024 /* it may grow (seccomp_unotify(2)) */

#ifndef SO_COOKIE
#define SO_COOKIE 57 /* include/uapi/asm-generic/socket.h */
#endif

/* ---- rights ---- */

/* A step that binds; its result is passed through. */
typedef int bind_fn(struct trapped_call *trapped, struct assign *assign);

/*
 * Binds without any right of ours. If the kernel refuses that for want of one, and
 * the caller has it, binds once more with it.
 *
 * @low: the port is below the unprivileged ones as we know them, so the first try would be in vain
 */
static int bind_as_caller(struct trapped_call *trapped, bool low, bind_fn *bind,
			  struct assign *assign)
{
	const struct assign untouched = *assign;
	int rc = -EACCES;

	if (!low)
		rc = bind(trapped, assign);
	if (rc != -EACCES ||
	    !rights_caller_has(&trapped->caller, trapped->fd, CAP_NET_BIND_SERVICE))
		return rc == -EACCES && low ? bind(trapped, assign) : rc;
	*assign = untouched;
	rights_use(CAP_NET_BIND_SERVICE);
	rc = bind(trapped, assign);
	rights_leave(CAP_NET_BIND_SERVICE);
	return rc;
}

/* The lowest port of all ranges */
static unsigned lowest_port(const struct rule *rule)
{
	unsigned lowest = UINT16_MAX;
	int proto;

	for (proto = 0; rule && proto < PROTO_COUNT; proto++)
		if (range_first(rule->range[proto]) < lowest)
			lowest = range_first(rule->range[proto]);
	return lowest;
}

/* May the caller be under rules that a call of ours would pass by? */
static bool is_confined(struct trapped_call *trapped)
{
	return confinement_holds(&trapped->tree->confinement, &trapped->caller,
				 trapped_call_is_udp(trapped));
}

static int set_option(const struct trapped_call *trapped, int level, int option, int value)
{
	return setsockopt(trapped->fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Return: 0, -errno */
static int get_option(const struct trapped_call *trapped, int level, int option, int *ret_value)
{
	socklen_t len = sizeof(*ret_value);

	return getsockopt(trapped->fd, level, option, ret_value, &len) ? -errno : 0;
}

/*
 * The mark of a socket that has got IP_BIND_ADDRESS_NO_PORT from us. The socket carries it, so
 * that it is never lost, in an option that means nothing to it: SO_NOFCS is for packet sockets
 * (net/packet/af_packet.c). MPTCP takes that one without keeping it (net/mptcp/sockopt.c), so
 * there it is SO_INCOMING_CPU, which is -1 at first; no other negative number is of use.
 */
struct unported_mark {
	int option, off, on;
};

/* Return: NULL if a socket has no room for it */
static const struct unported_mark *find_mark(const struct trapped_call *trapped, bool *ret_on)
{
	static const struct unported_mark plain = { SO_NOFCS, 0, 1 },
					  mptcp = { SO_INCOMING_CPU, -1, -24 };
	const struct unported_mark *mark = &plain;
	int protocol, value;

	if (!get_option(trapped, SOL_SOCKET, SO_PROTOCOL, &protocol) && protocol == IPPROTO_MPTCP)
		mark = &mptcp;
	if (get_option(trapped, SOL_SOCKET, mark->option, &value) ||
	    (value != mark->off && value != mark->on))
		return NULL;
	*ret_on = value == mark->on;
	return mark;
}

/*
 * Lets a bind() to a port that the program names go on, so that the kernel decides
 * it by all of the caller's credentials. By the time that the kernel looks, another
 * thread may have made the port 0: then the option keeps the kernel from choosing
 * one. SCTP does not know the option (net/sctp/socket.c, sctp_do_bind). A socket that is
 * none of the fenced kinds has no port to choose.
 *
 * Return: CALL_CONTINUES; -EOPNOTSUPP where the kernel could choose a port
 */
static int let_kernel_bind(struct trapped_call *trapped)
{
	const struct unported_mark *mark;
	int protocol, before;
	bool on;

	if (get_option(trapped, SOL_SOCKET, SO_PROTOCOL, &protocol) ||
	    policy_proto(protocol) == PROTO_SCTP ||
	    get_option(trapped, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &before))
		return -EOPNOTSUPP;
	if (before || policy_proto(protocol) == PROTO_COUNT)
		return CALL_CONTINUES;
	mark = find_mark(trapped, &on);
	if (!mark || set_option(trapped, SOL_SOCKET, mark->option, mark->on) ||
	    set_option(trapped, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1))
		return -EOPNOTSUPP;
	return CALL_CONTINUES;
}

/* Return: the mark of a socket that has the option from let_kernel_bind(), else NULL */
static const struct unported_mark *find_unported(const struct trapped_call *trapped)
{
	const struct unported_mark *mark;
	int no_port;
	bool on;

	if (get_option(trapped, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &no_port) || !no_port)
		return NULL;
	mark = find_mark(trapped, &on);
	return mark && on ? mark : NULL;
}

/*
 * Takes the option back. If that bind() has not got as far yet, the kernel could choose a port by then. So the
 * socket has its port already, or the rule lets the kernel choose.
 */
static void forget_kernel_bind(const struct trapped_call *trapped)
{
	const struct unported_mark *mark = find_unported(trapped);

	if (!mark)
		return;
	set_option(trapped, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0);
	set_option(trapped, SOL_SOCKET, mark->option, mark->off);
}

static int refuse_confined(struct trapped_call *trapped)
{
	return trapped_call_refuse(
		trapped, "this process may be under Landlock rules or a security label that the "
			 "supervisor is not under, so no port is chosen or mapped for it");
}

/* ---- what is remembered ---- */

static bool is_known(const struct trapped_call *trapped)
{
	return claims_is_bound(&trapped->tree->claims, trapped->cookie);
}

static void remember(struct trapped_call *trapped)
{
	claims_note_bound(&trapped->tree->claims, trapped->cookie);
}

/* ---- the calls ---- */

static struct assign new_assign(struct trapped_call *trapped, enum assign_call call)
{
	struct assign assign = { .call = call, .fd = trapped->fd, .len = trapped->len };

	assign.addr = trapped->address.inet;
	return assign;
}

/*
 * Has the library, or a program that does the same, set the range on this socket, and
 * will the kernel keep to it? Then the kernel chooses: to bind the socket would be
 * another way of choosing in one range, and the two do not share ports (test/platform).
 */
static bool has_range(const struct trapped_call *trapped)
{
	const struct rule *rule = trapped->fence->rule;
	socklen_t len = sizeof(uint32_t), size = sizeof(int);
	uint32_t value;
	enum proto proto;
	int protocol;

	if (getsockopt(trapped->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &value, &len) || !value ||
	    getsockopt(trapped->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size))
		return false;
	proto = policy_proto(protocol);
	return rule && proto != PROTO_COUNT && engine_kernel_holds(rule->range[proto], value) &&
	       newsocket_keeps(trapped->fence, proto);
}

static int choose_port(struct trapped_call *trapped, struct assign *assign)
{
	const struct assign untouched = *assign;
	struct claims *claims = &trapped->tree->claims;
	struct state_own_claims own;
	struct fence fence = *trapped->fence;
	int rc;

	/* where ports are to be the same each time, it must not matter how long a claim is held */
	if (fence.state.repeats)
		claims_wait(claims, &trapped->fence->state);
	claims_copy(claims, &own);
	fence.state.own_claims = &own;
	rc = assign_begin(&fence, assign);

	/* perhaps by ports that others have only just been given, and could share with this one by now */
	if (assign->proto != PROTO_UDP &&
	    (outcome_is_exhausted(assign->outcome) || assign->outcome == OUTCOME_FELL_BACK) &&
	    claims_wait(claims, &trapped->fence->state)) {
		*assign = untouched;
		claims_copy(claims, &own);
		rc = assign_begin(&fence, assign);
	}
	return rc;
}

/* Begins a call whose port is chosen, or that names one which the rule has a say in. */
static int begin_assign(struct trapped_call *trapped, struct assign *assign)
{
	/* a port of the map is the one that it gets */
	unsigned lowest =
		assign->program_port ? addr_port(&assign->addr) : lowest_port(trapped->fence->rule);
	bool chooses = assign->moved || !(assign->call == ASSIGN_BIND && addr_port(&assign->addr));
	int rc;

	if (chooses && has_range(trapped))
		return ASSIGN_GO_ON;
	if ((chooses || assign->program_port) && lowest < IPPORT_RESERVED &&
	    rights_exceed(trapped->fd) &&
	    !rights_caller_has(&trapped->caller, trapped->fd, CAP_NET_BIND_SERVICE))
		return trapped_call_refuse(
			trapped, "a port of the range needs a right that this process does "
				 "not have in its network namespace, so the call fails");
	rc = bind_as_caller(trapped, chooses && lowest < trapped->tree->port_start, choose_port,
			    assign);
	if (rc < 0 && assign->outcome != OUTCOME_FINE)
		trapped_call_report(trapped, assign);
	if (rc >= 0 && assign->engine == ENGINE_BIND)
		remember(trapped);
	return rc;
}

static int end_assign(struct trapped_call *trapped, struct assign *assign, int error)
{
	/* it asks for a second call only after one that the kernel engine has served */
	assign_end(trapped->fence, assign, &error);
	if (assign_serves(assign) || assign->outcome == OUTCOME_ESCAPED)
		trapped_call_report(trapped, assign);
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

/* A call that binds, made by us */
static int serve_made(struct trapped_call *trapped, struct assign *assign, bind_fn *make)
{
	int rc = begin_assign(trapped, assign);

	if (rc < 0)
		return rc;
	if (assign->outcome == OUTCOME_FELL_BACK || has_range(trapped))
		forget_kernel_bind(trapped);
	if (rc != ASSIGN_MADE)
		rc = bind_as_caller(trapped, false, make, assign);
	else
		rc = 0;
	return end_assign(trapped, assign, -rc);
}

/*
 * A bind() to a port that the program names. If only rights are against our making
 * it, or could be, the kernel decides in the program's own thread.
 */
static int serve_named_bind(struct trapped_call *trapped, struct assign *assign)
{
	const struct rule *rule = trapped->fence->rule;
	bool kernel_decides = is_confined(trapped) || rights_exceed(trapped->fd);
	int rc, kernel_rc;

	if (kernel_decides) {
		rc = begin_assign(trapped, assign);
		if (rc < 0)
			return rc;
	} else if (rule && rule->bind != BIND_ALLOW) {
		return serve_made(trapped, assign, make_bind);
	} else {
		rc = make_bind(trapped, assign);
		if (!rc)
			trapped_call_named(trapped, assign);
		if (rc != -EACCES && rc != -EPERM)
			return rc;
	}
	kernel_rc = let_kernel_bind(trapped);
	if (kernel_rc == CALL_CONTINUES)
		return kernel_rc;
	return kernel_decides ? refuse_confined(trapped)
			      : bind_as_caller(trapped, true, make_bind, assign);
}

/* The port that a bind() names, if the rule gives it another one; else 0 */
static uint16_t moved_port(const struct trapped_call *trapped, const struct assign *assign)
{
	const struct rule *rule = trapped->fence->rule;
	const uint16_t port = addr_port(&assign->addr);
	socklen_t len = sizeof(int);
	enum proto proto;
	int protocol;

	if (!port || !rule || getsockopt(trapped->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		return 0;
	proto = policy_proto(protocol);
	return proto != PROTO_COUNT && move_wanted(rule, proto, port) ? port : 0;
}

/*
 * A bind() whose address we cannot read. The kernel makes it, but chooses no port: a
 * port that is named is bound, and 0 binds the address alone. The port is given
 * before anybody can tell the difference, see serve_late().
 */
static int serve_unread_bind(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->fence->rule;

	if (!rule || rule->bind != BIND_ALLOW)
		return trapped_call_refuse(
			trapped, "the rule's 'bind' key polices binds, and the supervisor "
				 "may not read this process's address, so its binds fail");
	if (let_kernel_bind(trapped) != CALL_CONTINUES)
		return trapped_call_refuse(trapped,
					   "SCTP sockets have no IP_BIND_ADDRESS_NO_PORT, and the "
					   "supervisor may not read this process's address, so "
					   "their binds fail");
	/* with the program's own option, the kernel puts the choice off in any case */
	born_note_bind(trapped->tree->born, trapped->inode, find_unported(trapped) != NULL);
	return CALL_CONTINUES;
}

static int serve_bind(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->fence->rule;
	struct assign assign;
	uint16_t asked;
	int rc;

	if (is_known(trapped) &&
	    claims_take_interrupted_bind(&trapped->tree->claims, trapped->cookie, &trapped->caller))
		return 0;
	rc = trapped_call_read_address(trapped, trapped->argument[1], (int)trapped->argument[2]);
	if (rc == -EPERM)
		return serve_unread_bind(trapped);
	if (rc)
		return rc;
	asked = translate_bind(trapped->fence, trapped->fd, &trapped->address.inet);
	assign = new_assign(trapped, ASSIGN_BIND);
	assign.program_port = asked;
	assign.at_once = find_unported(trapped) != NULL;
	/* once it is bound, the socket is known, and its calls go on */
	if (rule && addr_port(&assign.addr) && mptcp_admit(trapped->fence, trapped->fd)) {
		assign.outcome = OUTCOME_MPTCP;
		trapped_call_report(trapped, &assign);
		return -EACCES;
	}
	if (!asked)
		assign.moved = moved_port(trapped, &assign);
	if (!asked && !assign.moved && addr_port(&assign.addr))
		rc = serve_named_bind(trapped, &assign);
	else
		rc = is_confined(trapped) ? refuse_confined(trapped)
					  : serve_made(trapped, &assign, make_bind);
	if (!rc && assign.at_once)
		forget_kernel_bind(trapped);
	return rc;
}

/* listen() on a socket that has its port, or gets none from us, goes on: so the caller's own rights count. */
static int serve_listen(struct trapped_call *trapped)
{
	struct assign assign = new_assign(trapped, ASSIGN_LISTEN);
	int rc;

	assign.backlog = (int)trapped->argument[1];
	rc = begin_assign(trapped, &assign);
	if (rc < 0)
		return rc;
	if (rc == ASSIGN_GO_ON && assign.engine == ENGINE_BIND) {
		rc = end_assign(trapped, &assign, 0);
		return rc ? rc : CALL_CONTINUES;
	}
	return end_assign(trapped, &assign,
			  syscall(SYS_listen, trapped->fd, assign.backlog) ? errno : 0);
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
	const struct fence *fence = trapped->fence;
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
	int rc = begin_assign(trapped, assign);

	if (rc < 0)
		return rc;
	if (assign->claim)
		claims_hold_claim(&trapped->tree->claims, &trapped->fence->state, assign->claim,
				  trapped->cookie, &trapped->caller);
	if (assign_serves(assign))
		trapped_call_report(trapped, assign);
	return CALL_CONTINUES;
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

/* A connect() whose address we cannot read, and which so may choose a port. */
static int serve_unread_connect(struct trapped_call *trapped)
{
	struct assign assign;

	if ((trapped_call_is_udp(trapped) && is_settled(trapped)) || has_range(trapped))
		return CALL_CONTINUES;
	assign = new_assign(trapped, ASSIGN_CONNECT);
	return serve_anyway(trapped, &assign);
}

static int serve_connect(struct trapped_call *trapped)
{
	struct assign assign;
	int rc;

	rc = trapped_call_read_address(trapped, trapped->argument[1], (int)trapped->argument[2]);
	if (rc)
		return rc == -EPERM ? serve_unread_connect(trapped) : rc;
	if (trapped->len < sizeof(sa_family_t) || trapped->address.inet.sa.sa_family == AF_UNSPEC)
		return syscall(SYS_connect, trapped->fd, &trapped->address, trapped->len) ? -errno
											  : 0;
	rc = trapped_call_translate(trapped);
	if (rc < 0)
		return rc;
	if ((trapped_call_is_udp(trapped) && is_settled(trapped)) || has_range(trapped))
		return CALL_CONTINUES;
	assign = new_assign(trapped, ASSIGN_CONNECT);
	rc = serve_port(trapped, &assign);
	if (rc != CALL_CONTINUES || assign.outcome == OUTCOME_FELL_BACK ||
	    assign_has_port(trapped->fence, trapped->fd))
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

static int serve_send(struct trapped_call *trapped)
{
	int flags = (int)trapped->argument[trapped->call == FILTER_SENDMSG ? 2 : 3], rc;
	struct assign assign;

	if (trapped_call_is_udp(trapped)
		    ? is_settled(trapped)
		    : !(flags & MSG_FASTOPEN) && assign_has_port(trapped->fence, trapped->fd))
		return CALL_CONTINUES;
	if (has_range(trapped))
		return CALL_CONTINUES;
	rc = trapped_call_read_destination(trapped);
	assign = new_assign(trapped, ASSIGN_SEND);
	assign.fast_open = flags & MSG_FASTOPEN;
	if (!assign.fast_open)
		return trapped_call_is_udp(trapped) ? serve_port(trapped, &assign)
						    : serve_anyway(trapped, &assign);
	if (rc == -EPERM)
		return serve_anyway(trapped, &assign);
	if (!rc)
		rc = serve_port(trapped, &assign);
	/* whatever the memory says by then, the socket has its port, or nothing gives it one */
	if (rc != CALL_CONTINUES || assign.outcome == OUTCOME_FELL_BACK ||
	    assign_has_port(trapped->fence, trapped->fd))
		return rc;
	return refuse_send(trapped, flags);
}

static int bind_several(struct trapped_call *trapped, char *addrs, size_t size)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = trapped->fd, .sctp = true };
	int rc = trapped_call_read_memory(trapped, trapped->argument[3], addrs, size);

	if (rc)
		return rc == -EPERM ? trapped_call_unreachable(trapped) : rc;
	assign.addrs = addrs;
	assign.addrs_size = (socklen_t)size;
	assign.len = size < sizeof(assign.addr) ? (socklen_t)size : sizeof(assign.addr);
	memcpy(&assign.addr, addrs, assign.len);
	if (is_confined(trapped) || (addr_port(&assign.addr) && rights_exceed(trapped->fd)))
		return refuse_confined(trapped);
	return serve_made(trapped, &assign, make_bindx);
}

/* sctp_bindx() */
static int serve_bindx(struct trapped_call *trapped)
{
	const int size = (int)trapped->argument[4];
	char *addrs;
	int rc;

	if (size <= 0 || size > SCTP_ADDRS_MAX)
		return -EINVAL;
	addrs = malloc((size_t)size);
	if (!addrs)
		return -ENOMEM;
	rc = bind_several(trapped, addrs, (size_t)size);
	free(addrs);
	return rc;
}

static int serve_connectx(struct trapped_call *trapped)
{
	struct assign assign;

	if (assign_has_port(trapped->fence, trapped->fd))
		return CALL_CONTINUES;
	memset(&trapped->address, 0, sizeof(trapped->address));
	assign = new_assign(trapped, ASSIGN_CONNECT);
	assign.sctp = true;
	return serve_anyway(trapped, &assign);
}

/* Of an array of arguments in memory, the filter could not see the level and the option. */
static int serve_option(struct trapped_call *trapped)
{
	bool set = trapped->call == FILTER_SETSOCKOPT;
	int level = (int)trapped->argument[1], option = (int)trapped->argument[2];

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
	case FILTER_SENDTO:
	case FILTER_SENDMSG:
	case FILTER_SENDMMSG:
		return serve_send(trapped);
	default:
		/* the filter stops no other call on a socket */
		return -ENOSYS;
	}
}

/*
 * Of what is no socket, connect() reads the address first (net/socket.c, __sys_connect). Where nobody else may read
 * it, it is taken for a good one. Return: -errno
 */
static int refuse_nonsocket(struct trapped_call *trapped, int error)
{
	int rc = 0;

	if (trapped->call == FILTER_CONNECT)
		rc = trapped_call_read_address(trapped, trapped->argument[1],
					       (int)trapped->argument[2]);
	return rc && rc != -EPERM ? rc : error;
}

static int serve_socket(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->fence->rule;
	socklen_t len = sizeof(int);
	int domain, rc;

	if (getsockopt(trapped->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return refuse_nonsocket(trapped, -errno);
	if (domain != AF_INET && domain != AF_INET6)
		return CALL_CONTINUES;
	len = sizeof(trapped->cookie);
	if (getsockopt(trapped->fd, SOL_SOCKET, SO_COOKIE, &trapped->cookie, &len))
		trapped->cookie = 0;
	claims_thread_moved_on(&trapped->tree->claims, trapped->cookie, &trapped->caller);
	rc = serve_call(trapped);
	if (rc != CALL_CONTINUES || !rule || !rule->map || trapped->call == FILTER_BIND)
		return rc;
	return relay_call(trapped);
}

/* Hands a descriptor over as the call's answer. Return: CALL_ANSWERED, what the call returns */
static int hand_over(struct trapped_call *trapped, int fd, bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = trapped->caller.id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	const int listener = trapped->tree->listener;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
		return CALL_ANSWERED;
	/* the program's table may be full */
	if (errno != EINVAL)
		return -errno;
	/* before Linux 5.14 in two steps; a signal in between leaves the descriptor behind */
	add.flags = 0;
	trapped->value = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	return trapped->value < 0 ? -errno : 0;
}

/* Answers a call with a socket. Where sockets are born, we have a duplicate of it from then on. */
static int answer_with_socket(struct trapped_call *trapped, int fd)
{
	struct born *born = trapped->tree->born;
	uint64_t inode = 0;
	int rc = born ? born_keep(born, fd, &inode) : 0;

	if (!rc)
		rc = hand_over(trapped, fd, trapped->argument[1] & SOCK_CLOEXEC);
	else
		close(fd);
	if (!born)
		close(fd);
	else if (rc < 0)
		born_drop(born, inode);
	else
		born_give(born, inode);
	return rc;
}

/* Makes the socket that the call asks for. It is the call's answer. */
static int serve_newsocket(struct trapped_call *trapped)
{
	int fd = newsocket_make(&trapped->caller, (int)trapped->argument[0],
				(int)trapped->argument[1], (int)trapped->argument[2]);

	/* what the program makes by itself, we look for when it needs a port */
	if (fd == -EPROTOTYPE || fd == -EACCES)
		return CALL_CONTINUES;
	return fd < 0 ? fd : answer_with_socket(trapped, fd);
}

/*
 * An MPTCP socket of a program that no library serves, or whose library has not
 * looked at the range yet. Where the kernel keeps to the range, it is set once the
 * socket gets its port (assign.c). A kernel without MPTCP refuses such a socket with
 * the error that is used here, and programs then ask for a TCP one.
 */
static int serve_mptcp(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->fence->rule;
	int domain = (int)trapped->argument[0], type = (int)trapped->argument[1];
	int fd = -EACCES;

	if (!rule || rule->mptcp == MPTCP_ALLOW || (domain != AF_INET && domain != AF_INET6) ||
	    (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM || newsocket_mptcp_keeps(rule))
		return trapped->tree->born ? serve_newsocket(trapped) : CALL_CONTINUES;
	if (rule->mptcp == MPTCP_TCP)
		fd = newsocket_make(&trapped->caller, domain, type, IPPROTO_TCP);
	trapped_call_report_mptcp(trapped, fd == -EACCES ? MPTCP_REFUSE : MPTCP_TCP);
	if (fd == -EACCES)
		return -EPROTONOSUPPORT;
	return fd < 0 ? fd : answer_with_socket(trapped, fd);
}

static int serve_new(struct trapped_call *trapped)
{
	const struct tree *tree = trapped->tree;
	const bool mptcp = trapped->argument[2] == IPPROTO_MPTCP && trapped->fence->rule &&
			   trapped->fence->rule->mptcp != MPTCP_ALLOW;

	return tree->born && !mptcp ? serve_newsocket(trapped) : serve_mptcp(trapped);
}

/* socketcall(2) has its arguments in memory. */
static int read_socketcall(struct trapped_call *trapped)
{
	uint32_t argument[6] = { 0 };
	int i, rc;

	trapped->call = filter_socketcall(trapped->argument[0]);
	/* the longest of them ends where the kernel would stop reading, or the page after it */
	rc = trapped_call_read_memory(trapped, trapped->argument[1], argument, sizeof(argument));
	if (rc)
		rc = trapped_call_read_memory(trapped, trapped->argument[1], argument,
					      3 * sizeof(argument[0]));
	for (i = 0; i < 6; i++)
		trapped->argument[i] = argument[i];
	return rc == -EPERM ? trapped_call_unreachable(trapped) : rc;
}

/* ---- sockets that are born here ---- */

/* Does a call only ask, or look, and choose no port? */
static bool only_asks(const struct trapped_call *trapped)
{
	return trapped->call == FILTER_GETSOCKNAME || trapped->call == FILTER_EPOLL_CTL;
}

/* Which argument is the socket? */
static int socket_number(const struct trapped_call *trapped)
{
	return (int)trapped->argument[trapped->call == FILTER_EPOLL_CTL ? 2 : 0];
}

/* Binds the socket at the address that it has, to a port as the rule says. Return: 0, -errno */
static int bind_at_own_address(struct trapped_call *trapped)
{
	struct assign assign = { .call = ASSIGN_BIND, .fd = trapped->fd, .at_once = true };
	int rc;

	assign.len = sizeof(assign.addr);
	if (getsockname(trapped->fd, &assign.addr.sa, &assign.len))
		return -errno;
	rc = begin_assign(trapped, &assign);
	if (rc < 0)
		return rc;
	if (rc == ASSIGN_MADE)
		return end_assign(trapped, &assign, 0);
	/* the kernel chooses */
	forget_kernel_bind(trapped);
	trapped->address.inet = assign.addr;
	trapped->len = assign.len;
	return end_assign(trapped, &assign, -make_bind(trapped, &assign));
}

/*
 * The kernel has gone on with a bind() that was perhaps to port 0, without a choice of its
 * own. Now somebody could tell. Return: 0, -errno
 */
static int serve_late(struct trapped_call *trapped)
{
	int rc = 0;

	if (trapped_call_is_udp(trapped) ? !is_settled(trapped)
					 : !assign_has_port(trapped->fence, trapped->fd))
		rc = bind_at_own_address(trapped);
	if (!rc)
		forget_kernel_bind(trapped);
	return rc;
}

/*
 * An epoll set would tell of a socket that the program has closed, as long as we have
 * a duplicate. Either we can do without, or the socket gets its port now.
 */
static int serve_watched(struct trapped_call *trapped)
{
	struct born *born = trapped->tree->born;
	int fd = caller_descriptor(&trapped->caller, socket_number(trapped)), rc;

	if (fd >= 0) {
		close(fd);
		born_drop(born, trapped->inode);
		return CALL_CONTINUES;
	}
	rc = bind_at_own_address(trapped);
	if (rc)
		return rc;
	born_settle(born, trapped->inode, true);
	return CALL_CONTINUES;
}

/* As born_has_port: a port that a write() without destination has drawn is no port of the program's. */
static bool has_named_port(int fd, const void *context)
{
	const struct fence *fence = context;

	if (assign_state(fence, fd) == ASSIGN_FOREIGN_UDP)
		assign_undo(fence, fd);
	return assign_has_port(fence, fd);
}

/* A call on a socket of which we have a duplicate; @late: see serve_late() */
static int serve_kept(struct trapped_call *trapped, bool late)
{
	const struct tree *tree = trapped->tree;
	socklen_t len = sizeof(trapped->cookie);
	int rc = CALL_CONTINUES;

	if (getsockopt(trapped->fd, SOL_SOCKET, SO_COOKIE, &trapped->cookie, &len))
		trapped->cookie = 0;
	/* a port that a write() without destination has drawn must not settle the socket */
	if (assign_state(trapped->fence, trapped->fd) == ASSIGN_FOREIGN_UDP)
		late |= !is_settled(trapped);
	if (late && trapped->call != FILTER_BIND)
		rc = serve_late(trapped) ?: CALL_CONTINUES;
	if (rc == CALL_CONTINUES && trapped->call == FILTER_EPOLL_CTL && !late)
		return serve_watched(trapped);
	if (rc == CALL_CONTINUES && !only_asks(trapped))
		rc = serve_socket(trapped);
	if (has_named_port(trapped->fd, trapped->fence)) {
		born_settle(tree->born, trapped->inode, false);
		return rc;
	}
	if (rc != CALL_CONTINUES || only_asks(trapped) || trapped->call == FILTER_BIND)
		return rc;
	/* the kernel chooses, and may: nobody waits for us to close the socket */
	if (has_range(trapped) || trapped->fence->rule->exhausted == EXHAUSTED_SYSTEM) {
		born_settle(tree->born, trapped->inode, false);
		return rc;
	}
	return trapped_call_refuse(trapped, "a socket could not be given a port beforehand, so the "
					    "call fails");
}

static bool is_send(const struct trapped_call *trapped)
{
	return trapped->call == FILTER_SENDTO || trapped->call == FILTER_SENDMSG ||
	       trapped->call == FILTER_SENDMMSG;
}

/*
 * Has a socket that we cannot have its port? A UDP socket that its program had to make, as it is
 * elsewhere, could not be bound. So a port outside the range was drawn by a write() without destination.
 */
static bool is_foreign_settled(struct trapped_call *trapped, bool udp)
{
	const struct rule *rule = trapped->fence->rule;
	const uint16_t port = caller_shown_port(&trapped->caller, trapped->inode);

	if (!port || !udp || (rule && range_has(rule->range[PROTO_UDP], port)))
		return port;
	return !newsocket_compare_places(&trapped->caller);
}

/* A call on a socket that we cannot have: made by the library, or elsewhere, and passed on. */
static int serve_foreign(struct trapped_call *trapped)
{
	static const char *const protocols[] = { "TCP", "MPTCP", "UDP", "SCTP", "SMC" };
	const int flags = (int)trapped->argument[trapped->call == FILTER_SENDMSG ? 2 : 3];
	char name[32];
	size_t i = 0;
	int rc;

	rights_look(&trapped->caller);
	rc = caller_protocol(&trapped->caller, socket_number(trapped), name, sizeof(name));
	rights_look_away();
	if (rc)
		return rc == -EPERM ? trapped_call_unreachable(trapped) : rc;
	while (i < 5 && strncmp(name, protocols[i], strlen(protocols[i])) != 0)
		i++;
	/* of another family; or over TCP, where only what connects chooses a port */
	if (i == 5 || (i < 2 && is_send(trapped) && !(flags & MSG_FASTOPEN)))
		return CALL_CONTINUES;
	if (is_foreign_settled(trapped, i == 2)) {
		born_settle(trapped->tree->born, trapped->inode, false);
		return CALL_CONTINUES;
	}
	return trapped_call_refuse(
		trapped,
		"the supervisor may not look into this process, and has not made its socket, so calls "
		"on it that need a port fail");
}

/* Finds out which socket a call is about. Return: as caller_socket() */
static int find_inode(struct trapped_call *trapped)
{
	int rc;

	rights_look(&trapped->caller);
	rc = caller_socket(&trapped->caller, socket_number(trapped), &trapped->inode);
	rights_look_away();
	return rc;
}

/* A call of a tree that cannot be looked into */
static int serve_unseen(struct trapped_call *trapped)
{
	struct tree *tree = trapped->tree;
	enum born_state state;
	bool late = false;
	int rc = find_inode(trapped);

	if (rc && only_asks(trapped))
		return CALL_CONTINUES;
	if (rc == -EPERM)
		return trapped_call_unreachable(trapped);
	if (rc)
		return rc == -ESRCH ? rc : refuse_nonsocket(trapped, rc);
	if (trapped->call == FILTER_BIND)
		born_look_at_all(tree->born);
	state = trapped->fence->rule && trapped->fence->rule->map
			? BORN_UNKNOWN
			: born_find(tree->born, trapped->inode, &trapped->fd, &late);
	if (state == BORN_EARLY && trapped->call == FILTER_BIND)
		return trapped_call_refuse(
			trapped,
			"the supervisor may not look into this process, and a socket that is in "
			"an epoll set before its bind() has its port already, so that fails");
	if (state == BORN_EARLY || state == BORN_SETTLED)
		return CALL_CONTINUES;
	if (state == BORN_KEPT) {
		rc = trapped->fd < 0 ? -EMFILE : serve_kept(trapped, late);
	} else {
		if (only_asks(trapped))
			return CALL_CONTINUES;
		trapped->fd = caller_descriptor(&trapped->caller, socket_number(trapped));
		if (trapped->fd == -EPERM && trapped->fence->rule && trapped->fence->rule->map)
			return trapped_call_refuse(
				trapped, "the rule's 'map' key changes addresses, and the "
					 "supervisor may not look into this process, so its "
					 "calls fail");
		if (trapped->fd == -EPERM)
			return serve_foreign(trapped);
		rc = trapped->fd < 0 ? trapped->fd : serve_socket(trapped);
	}
	if (trapped->fd >= 0)
		close(trapped->fd);
	return rc;
}

static int serve_landlock(struct trapped_call *trapped)
{
	struct confinement *confinement = &trapped->tree->confinement;

	if (trapped->call == FILTER_LANDLOCK_RESTRICT)
		confinement_note_restriction(confinement, &trapped->caller, trapped->argument[1]);
	else
		confinement_note_rules(confinement, &trapped->caller, trapped->argument[0],
				       trapped->argument[1]);
	return CALL_CONTINUES;
}

/* A bind() on no descriptor, to what is no address: a question of the library's, or of a run inside */
static int serve_question(struct trapped_call *trapped)
{
	struct inners *inners = &trapped->tree->inners;
	int fd, rc;

	switch (trapped->argument[1]) {
	case HANDOVER_PROBE:
		return -EXDEV;
	case INNER_OPEN:
		fd = inner_open(inners, &trapped->caller);
		rc = fd < 0 ? fd : hand_over(trapped, fd, true);
		if (fd >= 0)
			close(fd);
		return rc;
	case INNER_ENTER:
		return inner_enter(inners, &trapped->caller, trapped->tree->fence->calls);
	default:
		return -EBADF;
	}
}

/* Return: CALL_CONTINUES, CALL_ANSWERED, or what the call returns */
static int serve_trapped(struct trapped_call *trapped)
{
	int rc = 0;

	if (trapped->call == FILTER_SOCKETCALL)
		rc = read_socketcall(trapped);
	if (rc)
		return rc;
	if (trapped->call == FILTER_LANDLOCK_CREATE || trapped->call == FILTER_LANDLOCK_RESTRICT)
		return serve_landlock(trapped);
	if (trapped->call == FILTER_SOCKET)
		return serve_new(trapped);
	if (trapped->call == FILTER_BIND && (int)trapped->argument[0] == -1)
		return serve_question(trapped);
	if (trapped->tree->born)
		return serve_unseen(trapped);
	trapped->fd = caller_descriptor(&trapped->caller, (int)trapped->argument[0]);
	if (trapped->fd == -EPERM)
		return trapped_call_unreachable(trapped);
	if (trapped->fd < 0)
		return trapped->fd;
	rc = serve_socket(trapped);
	close(trapped->fd);
	return rc;
}

/* Serves a call by the rule of its caller's run: the tree's, or that of a run inside. Return: as serve_trapped() */
static int serve_by_rule(struct trapped_call *trapped)
{
	struct tree *tree = trapped->tree;
	struct inner *inner;
	int rc = inner_find(&tree->inners, &trapped->caller, &inner);

	if (rc)
		return rc;
	trapped->fence = inner ? &inner->fence : tree->fence;
	trapped->log = inner ? &inner->run_log : &tree->log;
	rc = serve_trapped(trapped);
	inner_leave(&tree->inners, inner);
	return rc;
}

static void answer_call(struct trapped_call *trapped, int rc)
{
	struct seccomp_notif_resp answer = { .id = trapped->caller.id };

	if (rc == CALL_CONTINUES)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.error = rc;
	if (!rc)
		answer.val = trapped->value;
	if (!ioctl(trapped->tree->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) || errno != ENOENT)
		return;
	/* it was interrupted; the kernel makes it again */
	if (trapped->call == FILTER_BIND && !rc)
		claims_note_interrupted_bind(&trapped->tree->claims, trapped->cookie,
					     &trapped->caller);
}

/* Calls in hand: of all users; and while there are many, by user. */
#define MANY_CALLS 16

static struct {
	_Atomic unsigned all;
	struct reserve_users of_user;
} in_hand;

/* Refuses a call. Its user has so many calls in hand that too few descriptors are left for others. Return: -errno */
static int refuse_crowd(struct trapped_call *trapped)
{
	trapped->fence = trapped->tree->fence;
	trapped->log = &trapped->tree->log;
	trapped_call_refuse(trapped,
			    "so many calls of this user wait in the supervisor that this one "
			    "fails; give the run a higher hard limit of open files "
			    "('ulimit -Hn')");
	return -ENOBUFS;
}

/* Serves a call, which may wait for as long as its caller likes (workers.c). Return: as serve_trapped() */
static int serve_in_crowd(struct trapped_call *trapped)
{
	const unsigned all = atomic_fetch_add(&in_hand.all, 1);
	const int pidfd = trapped->caller.pidfd;
	_Atomic unsigned *own = NULL;
	bool spares = true;
	uid_t user;
	gid_t group;
	int rc;

	/* most calls end at once */
	if (all >= MANY_CALLS && !caller_user(&trapped->caller, &user, &group)) {
		own = reserve_of_user(&in_hand.of_user, user);
		/* where it is not opened, a call takes two descriptors at most */
		spares = reserve_spares(pidfd >= 0 ? pidfd : (int)(2 * all),
					atomic_fetch_add(own, 1));
	}
	rc = spares ? serve_by_rule(trapped) : refuse_crowd(trapped);
	if (own)
		atomic_fetch_sub(own, 1);
	atomic_fetch_sub(&in_hand.all, 1);
	return rc;
}

static void serve_notification(struct tree *tree, const struct seccomp_notif *notif)
{
	const pid_t thread = (pid_t)notif->pid;
	struct trapped_call trapped = {
		.tree = tree,
		.caller = { .id = notif->id },
		.call = filter_call(notif->data.arch, notif->data.nr),
		.has_32bit_pointers = filter_has_32bit_pointers(notif->data.arch),
	};
	int rc, i;

	for (i = 0; i < 6; i++)
		trapped.argument[i] = notif->data.args[i];
	rc = tree->born ? caller_unopened(tree->listener, notif->id, thread, &trapped.caller)
			: caller_open(tree->listener, notif->id, thread, &trapped.caller);
	if (!rc) {
		rc = serve_in_crowd(&trapped);
		caller_close(&trapped.caller);
	}
	if (rc != CALL_ANSWERED)
		answer_call(&trapped, rc);
}

/* Waits for one notification and serves it. Return: false if nobody is left under the filter */
static bool serve_next(void *context)
{
	struct tree *tree = context;
	struct pollfd poll_listener = { .fd = tree->listener, .events = POLLIN };
	union {
		struct seccomp_notif notif;
		char room[NOTIFICATION_MAX];
	} heard;
	const int n = poll(&poll_listener, 1, claims_tidy(&tree->claims) ? CLAIMS_TIDY_MS : -1);

	if (n < 0)
		return errno == EINTR;
	if (n == 0)
		return true;
	if (!(poll_listener.revents & POLLIN))
		return false;
	/* the kernel wants it zeroed */
	memset(&heard, 0, sizeof(heard));
	if (ioctl(tree->listener, SECCOMP_IOCTL_NOTIF_RECV, &heard))
		return true;
	workers_begin();
	serve_notification(tree, &heard.notif);
	return true;
}

/* Waits for the first notification. Return: false if nobody is left under the filter */
static bool wait_for_call(int listener)
{
	struct pollfd poll_listener = { .fd = listener, .events = POLLIN };

	while (poll(&poll_listener, 1, -1) < 0)
		if (errno != EINTR)
			return false;
	return poll_listener.revents & POLLIN;
}

void trap_serve(int listener, struct born *born, const struct fence *fence, struct log *log,
		const struct inner_offer *offer, int program, int errors, int starter)
{
	static struct tree tree;
	struct seccomp_notif_sizes sizes = { 0 };

	/* most programs make no such call, and need neither a thread nor what we learn below */
	if (!born && !wait_for_call(listener))
		return;
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) ||
	    sizes.seccomp_notif > NOTIFICATION_MAX)
		return;
	tree.listener = listener;
	tree.program = program;
	tree.errors = errors;
	tree.fence = fence;
	tree.born = born;
	if (born)
		born_ask_by(born, has_named_port, fence);
	run_log_start(&tree.log, log);
	/* our own rights are not used by now */
	tree.port_start = settings_port_start();
	claims_start(&tree.claims, listener);
	inner_start(&tree.inners, offer, &tree.claims);
	confinement_start(&tree.confinement, starter);
	workers_run(serve_next, &tree);
	claims_end(&tree.claims, NULL);
}
