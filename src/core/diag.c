#include "diag.h"

#include "arena.h"
#include "fd.h"
#include "netlink.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* include/net/tcp_states.h; <netinet/tcp.h> also has them, but clashes with the kernel's headers */
enum { STATE_TIME_WAIT = 6, STATE_CLOSE = 7, STATE_LISTEN = 10, STATE_BOUND_INACTIVE = 13 };

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62 /* include/uapi/asm-generic/socket.h, since Linux 5.0 */
#endif

#define TIMEWAIT_MS 60000 /* TCP_TIMEWAIT_LEN of include/net/tcp.h */

void diag_start(struct diag *diag, const struct socket_calls *calls, int fd, bool same_netns)
{
	socklen_t len = sizeof(diag->ifindex);

	diag->calls = calls;
	diag->tcp = -1;
	diag->known = false;
	diag->reuse_at_once = false;
	if (calls->getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &diag->ifindex, &len))
		diag->ifindex = 0;
	diag->netns = same_netns ? 0 : socket_calls_netns_cookie(calls, fd);
}

void diag_end(struct diag *diag)
{
	if (diag->tcp >= 0)
		fd_close(diag->tcp);
	diag->tcp = -1;
}

/* Reads a number from a file under /proc. Return: it, or @otherwise */
static long read_sysctl(const char *path, long otherwise)
{
	char text[32];

	return fd_read_file(path, text, sizeof(text)) > 0 ? strtol(text, NULL, 10) : otherwise;
}

/*
 * Would the kernel hand a TIME_WAIT socket's tuple over to a new connection?
 *
 * To a socket bound by hand it does so at once, as long as timestamps protect the
 * connection (test/platform). But when it chooses a port itself, it takes such a
 * tuple only after tcp_tw_reuse_delay milliseconds (a second if there is no such
 * sysctl), and only on loopback if tcp_tw_reuse is 2. A fenced program gets what it
 * would get without the fence, so we wait as the kernel does. The exception is a run
 * whose ports are to be the same each time: there we do not wait. We then need to
 * know that there were timestamps, and we only know if both ends are ours.
 */
static bool would_hand_over(struct diag *diag, const struct inet_diag_msg *found,
			    const union addr *local, const union addr *peer)
{
	bool loopback;

	if (!diag->known) {
		diag->reuse = read_sysctl("/proc/sys/net/ipv4/tcp_tw_reuse", 2);
		diag->delay_ms = read_sysctl("/proc/sys/net/ipv4/tcp_tw_reuse_delay", 1000);
		diag->timestamps = read_sysctl("/proc/sys/net/ipv4/tcp_timestamps", 1);
		diag->known = true;
	}
	loopback = addr_is_loopback(local) || addr_is_loopback(peer);
	if (diag->timestamps && diag->reuse_at_once && (loopback || addr_same(local, peer)))
		return true;
	if (!diag->timestamps || diag->reuse == 0 || (diag->reuse == 2 && !loopback))
		return false;
	return TIMEWAIT_MS - (long)found->idiag_expires >= diag->delay_ms;
}

static void copy_address(const union addr *addr, bool v4, __be32 ret[4])
{
	uint8_t bytes[16];

	addr_bytes(addr, bytes);
	if (v4)
		memcpy(ret, bytes + 12, 4);
	else
		memcpy(ret, bytes, 16);
}

/*
 * The interface that a connection to this peer is tied to, 0 for any. For a
 * link-local address, connect() itself ties the socket to one (net/ipv6/tcp_ipv6.c,
 * tcp_v6_connect).
 */
static uint32_t tied_interface(const struct diag *diag, const union addr *peer)
{
	if (diag->ifindex || addr_is_v4(peer) || !IN6_IS_ADDR_LINKLOCAL(&peer->in6.sin6_addr))
		return diag->ifindex;
	return peer->in6.sin6_scope_id;
}

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static struct question ask_about(const struct diag *diag, const union addr *local,
				 const union addr *peer)
{
	struct question question = {
		.head = {
			.nlmsg_len = sizeof(question),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.body = {
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = ~0U,
			.id.idiag_sport = htons(addr_port(local)),
			.id.idiag_dport = htons(addr_port(peer)),
			.id.idiag_if = tied_interface(diag, peer),
			.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
		},
	};
	bool v4 = addr_is_v4(peer);

	question.body.sdiag_family = v4 ? AF_INET : AF_INET6;
	copy_address(local, v4, question.body.id.idiag_src);
	copy_address(peer, v4, question.body.id.idiag_dst);
	return question;
}

/*
 * The kernel answers for the network namespace of the asking process, but the socket
 * may belong to another. Return: descriptor, -EXDEV if it does, another -errno
 */
static int open_netlink(const struct diag *diag, int protocol)
{
	int fd = fd_socket(AF_NETLINK, SOCK_RAW, protocol);

	if (fd < 0 || !diag->netns || socket_calls_netns_cookie(diag->calls, fd) == diag->netns)
		return fd;
	fd_close(fd);
	return -EXDEV;
}

static int open_tcp(struct diag *diag)
{
	if (diag->tcp < 0)
		diag->tcp = open_netlink(diag, NETLINK_SOCK_DIAG);
	return diag->tcp;
}

/*
 * A kernel without inet_diag, or one that cannot load the module for TCP, also
 * answers ENOENT. So once in a process we ask for a dump of the sockets in no state:
 * it is empty, and it ends with ENOENT if nothing answers for TCP.
 *
 * Return: 0 if an -ENOENT can be believed, or -errno
 */
static int check_answers(struct diag *diag, const struct question *question)
{
	/* set once, then never cleared */
	static _Atomic bool answers;
	struct question dump = *question;
	union {
		struct nlmsghdr head;
		char room[512];
	} answer;
	const int *error = NLMSG_DATA(&answer.head);
	long n;

	if (atomic_load_explicit(&answers, memory_order_relaxed))
		return 0;
	dump.head.nlmsg_flags |= NLM_F_DUMP;
	dump.body.idiag_states = 0;
	n = netlink_ask(diag->tcp, &dump.head, &answer, sizeof(answer));
	if (n < 0)
		return (int)n;
	if (answer.head.nlmsg_type != NLMSG_DONE)
		return -EBADMSG;
	if (answer.head.nlmsg_len >= NLMSG_LENGTH(sizeof(*error)) && *error)
		return *error;
	atomic_store_explicit(&answers, true, memory_order_relaxed);
	return 0;
}

int diag_is_free(struct diag *diag, const union addr *local, const union addr *peer)
{
	struct question question = ask_about(diag, local, peer);
	union {
		struct nlmsghdr head;
		char room[512];
	} answer;
	const struct inet_diag_msg *found = NLMSG_DATA(&answer.head);
	long n;

	if (open_tcp(diag) < 0)
		return diag->tcp;
	n = netlink_ask(diag->tcp, &question.head, &answer, sizeof(answer));
	if (n == -ENOENT)
		return check_answers(diag, &question) ? -EPROTONOSUPPORT : 1;
	if (n < 0)
		return (int)n;
	if (n < (long)NLMSG_LENGTH(sizeof(*found)))
		return -EBADMSG;
	/* if there is no such connection, the kernel shows the socket that would accept one */
	if (found->idiag_state == STATE_LISTEN)
		return 1;
	return found->idiag_state == STATE_TIME_WAIT && would_hand_over(diag, found, local, peer);
}

/* One pass over the kernel's sockets, and what it is to find. */
struct dump {
	struct diag *diag;
	struct question question;
	netlink_on_answer *on_socket;
	const union addr *local;
	const union addr *peer;
	void (*report)(void *context, uint16_t port);
	void *context;
	unsigned bound; /* sockets that are only bound to the port */
	bool held;      /* another socket holds it, not in TIME_WAIT */
};

/*
 * The question in its old form, which the kernel takes for one about both families (net/ipv4/inet_diag.c,
 * inet_diag_dump_compat; test/platform). An IPv6 socket's connection to an IPv4 peer has the same tuples as an IPv4
 * one, but is dumped as IPv6, and each pass over all sockets takes as long as the first.
 */
struct old_question {
	struct nlmsghdr head;
	struct inet_diag_req body;
};

static struct old_question ask_of_both(const struct question *question)
{
	struct old_question old = {
		.head = question->head,
		.body = {
			.idiag_family = question->body.sdiag_family,
			.idiag_states = question->body.idiag_states,
			.id = question->body.id,
		},
	};

	old.head.nlmsg_len = sizeof(old);
	old.head.nlmsg_type = TCPDIAG_GETSOCK;
	return old;
}

/* Goes through the sockets; of both families if the question is about IPv4. Return: 0, or -errno */
static int dump_families(struct dump *dump, void *buffer)
{
	const struct question *question = &dump->question;
	const struct old_question old = ask_of_both(question);
	struct diag *diag = dump->diag;
	int rc = open_tcp(diag);

	if (rc >= 0)
		rc = netlink_dump(diag->tcp,
				  question->body.sdiag_family == AF_INET ? &old.head
									 : &question->head,
				  buffer, sizeof(struct inet_diag_msg), dump->on_socket, dump);
	/* what is left of the dump would be taken for the answer to the next question */
	if (rc)
		diag_end(diag);
	return rc;
}

static int dump_all(struct dump *dump)
{
	struct arena arena = { .used = 0 };
	/* too large for a signal handler's stack */
	void *buffer = arena_alloc(&arena, NETLINK_BUFFER);
	int tries, rc = buffer ? -EINTR : -ENOMEM;

	dump->question.head.nlmsg_flags |= NLM_F_DUMP;
	for (tries = 0; rc == -EINTR && tries < NETLINK_TRIES; tries++) {
		dump->bound = 0;
		dump->held = false;
		rc = dump_families(dump, buffer);
	}
	arena_free(&arena);
	return rc;
}

/* Is @id, an address of the socket that was found, @addr? */
static bool is_address(const struct inet_diag_msg *found, const __be32 id[4],
		       const union addr *addr)
{
	uint8_t bytes[16];

	addr_bytes(addr, bytes);
	return found->idiag_family == AF_INET ? !memcmp(id, bytes + 12, 4) : !memcmp(id, bytes, 16);
}

static int on_used_socket(const struct nlmsghdr *answer, void *context)
{
	const struct inet_diag_msg *found = NLMSG_DATA(answer);
	struct dump *dump = context;
	const struct inet_diag_req_v2 *asked = &dump->question.body;

	/* the kernel has compared only ports, and each interface may have the same tuple */
	if (found->id.idiag_if && found->id.idiag_if != asked->id.idiag_if)
		return 0;
	if (!is_address(found, found->id.idiag_src, dump->local) ||
	    !is_address(found, found->id.idiag_dst, dump->peer))
		return 0;
	if (found->idiag_state != STATE_TIME_WAIT ||
	    !would_hand_over(dump->diag, found, dump->local, dump->peer))
		dump->report(dump->context, ntohs(found->id.idiag_sport));
	return 0;
}

int diag_used(struct diag *diag, const union addr *local, const union addr *peer,
	      void (*report)(void *context, uint16_t port), void *context)
{
	struct dump dump = {
		.diag = diag,
		.question = ask_about(diag, local, peer),
		.on_socket = on_used_socket,
		.local = local,
		.peer = peer,
		.report = report,
		.context = context,
	};

	/* such sockets have no peer, and the kernel would go through another table for each state */
	dump.question.body.idiag_states = ~(1U << STATE_LISTEN | 1U << STATE_BOUND_INACTIVE);
	dump.question.body.id.idiag_sport = 0;
	return dump_all(&dump);
}

static int on_waiting_socket(const struct nlmsghdr *answer, void *context)
{
	const struct inet_diag_msg *found = NLMSG_DATA(answer);
	struct dump *dump = context;

	dump->report(dump->context, ntohs(found->id.idiag_sport));
	return 0;
}

int diag_time_wait(struct diag *diag, void (*report)(void *context, uint16_t port), void *context)
{
	union addr nobody;
	struct dump dump = {
		.diag = diag,
		.on_socket = on_waiting_socket,
		.local = &nobody,
		.peer = &nobody,
		.report = report,
		.context = context,
	};

	/* asked for IPv4, dump_all() also goes through IPv6 sockets */
	addr_wildcard(&nobody, AF_INET);
	dump.question = ask_about(diag, &nobody, &nobody);
	dump.question.body.idiag_states = 1U << STATE_TIME_WAIT;
	return dump_all(&dump);
}

static int on_port_socket(const struct nlmsghdr *answer, void *context)
{
	const struct inet_diag_msg *found = NLMSG_DATA(answer);
	struct dump *dump = context;
	union addr source;

	addr_wildcard(&source, found->idiag_family);
	if (found->idiag_family == AF_INET)
		memcpy(&source.in4.sin_addr, found->id.idiag_src, 4);
	else
		memcpy(&source.in6.sin6_addr, found->id.idiag_src, 16);
	/* among sockets that are only bound, the kernel also shows those on other ports */
	if (ntohs(found->id.idiag_sport) != addr_port(dump->local) ||
	    found->idiag_state == STATE_TIME_WAIT ||
	    (!addr_is_any(dump->local) && !addr_is_any(&source) &&
	     !addr_same(dump->local, &source)))
		return 0;
	/* BOUND_INACTIVE is a state to ask for; such a socket is shown in the state CLOSE */
	if (found->idiag_state == STATE_CLOSE)
		dump->bound++;
	else
		dump->held = true;
	return 0;
}

int diag_only_time_wait(struct diag *diag, const union addr *local)
{
	union addr nobody;
	struct dump dump = {
		.diag = diag,
		.on_socket = on_port_socket,
		.local = local,
		.peer = &nobody,
	};
	int rc;

	/* a dump is not filtered by address; asked for IPv4, dump_all() also goes through IPv6 sockets */
	addr_wildcard(&nobody, AF_INET);
	dump.question = ask_about(diag, local, &nobody);
	rc = dump_all(&dump);
	return rc ? rc : dump.bound == 1 && !dump.held;
}

/* The answer of the routing table. */
struct route {
	union {
		struct nlmsghdr head;
		char room[512];
	} answer;
	const struct rtmsg *body;
	bool asked;
};

/* Return: 0, or -errno */
static int ask_route(const struct diag *diag, const union addr *peer, uint32_t ifindex,
		     struct route *ret_route)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg body;
		char attributes[RTA_SPACE(16) + RTA_SPACE(4)];
	} question = { 0 };
	bool v4 = addr_is_v4(peer);
	unsigned short size = v4 ? 4 : 16;
	struct rtattr *attribute = (struct rtattr *)question.attributes;
	__be32 destination[4];
	int fd;
	long n;

	copy_address(peer, v4, destination);
	question.head.nlmsg_len = NLMSG_LENGTH(sizeof(question.body)) + RTA_SPACE(size);
	question.head.nlmsg_type = RTM_GETROUTE;
	question.head.nlmsg_flags = NLM_F_REQUEST;
	question.body.rtm_family = v4 ? AF_INET : AF_INET6;
	question.body.rtm_dst_len = (unsigned char)(size * 8);
	attribute->rta_type = RTA_DST;
	attribute->rta_len = RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), destination, size);
	if (ifindex) {
		attribute = (struct rtattr *)(question.attributes + RTA_SPACE(size));
		attribute->rta_type = RTA_OIF;
		attribute->rta_len = RTA_LENGTH(sizeof(ifindex));
		memcpy(RTA_DATA(attribute), &ifindex, sizeof(ifindex));
		question.head.nlmsg_len += RTA_SPACE(sizeof(ifindex));
	}
	fd = open_netlink(diag, NETLINK_ROUTE);
	ret_route->asked = fd >= 0;
	if (fd < 0)
		return fd;
	n = netlink_ask(fd, &question.head, &ret_route->answer, sizeof(ret_route->answer));
	fd_close(fd);
	if (n < 0)
		return (int)n;
	if (n < (long)NLMSG_LENGTH(sizeof(*ret_route->body)))
		return -EBADMSG;
	ret_route->body = NLMSG_DATA(&ret_route->answer.head);
	return 0;
}

int diag_source(const struct diag *diag, const union addr *peer, union addr *ret_source)
{
	bool v4 = addr_is_v4(peer);
	unsigned short size = v4 ? 4 : 16;
	const struct rtattr *attribute;
	struct route route;
	int left, rc = ask_route(diag, peer, tied_interface(diag, peer), &route);

	if (rc)
		return rc;
	attribute = RTM_RTA(route.body);
	left = (int)RTM_PAYLOAD(&route.answer.head);
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type != RTA_PREFSRC || RTA_PAYLOAD(attribute) != size)
			continue;
		addr_wildcard(ret_source, v4 ? AF_INET : AF_INET6);
		memcpy(v4 ? (void *)&ret_source->in4.sin_addr : (void *)&ret_source->in6.sin6_addr,
		       RTA_DATA(attribute), size);
		return 0;
	}
	return -ENETUNREACH;
}

int diag_is_local(const struct diag *diag, const union addr *addr)
{
	/* an address is local whichever interface the socket is tied to, unless it is link-local */
	bool scoped = !addr_is_v4(addr) && IN6_IS_ADDR_LINKLOCAL(&addr->in6.sin6_addr);
	struct route route;
	int rc = ask_route(diag, addr, scoped ? tied_interface(diag, addr) : 0, &route);

	/* if there was an answer, it is that there is no route */
	if (rc)
		return route.asked ? 0 : rc;
	return route.body->rtm_type == RTN_LOCAL || route.body->rtm_type == RTN_BROADCAST;
}
