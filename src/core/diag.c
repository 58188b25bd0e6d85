#include "diag.h"

#include "fd.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/net/tcp_states.h; <netinet/tcp.h> has them, too, but clashes with the kernel's headers */
enum { STATE_TIME_WAIT = 6, STATE_LISTEN = 10 };

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62 /* include/uapi/asm-generic/socket.h, since Linux 5.0 */
#endif

#define TIMEWAIT_MS 60000 /* TCP_TIMEWAIT_LEN of include/net/tcp.h */

void diag_start(struct diag *diag, int fd)
{
	socklen_t len = sizeof(diag->ifindex);

	diag->tcp = -1;
	diag->known = false;
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &diag->ifindex, &len))
		diag->ifindex = 0;
}

void diag_end(struct diag *diag)
{
	if (diag->tcp >= 0)
		fd_close(diag->tcp);
	diag->tcp = -1;
}

/*
 * One question, one answer. The kernel answers inside the send, so that the
 * receive never waits. System calls rather than libc's functions: sendto is
 * our own hook, and both are cancellation points, which would leak @fd.
 *
 * Return: length of the answer, or -errno, the kernel's own answer included
 */
static long ask(int fd, struct nlmsghdr *question, void *ret_answer, size_t size)
{
	const struct nlmsghdr *head = ret_answer;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	long n;

	if (syscall(SYS_sendto, fd, question, (size_t)question->nlmsg_len, 0, &kernel,
		    sizeof(kernel)) < 0)
		return -errno;
	n = syscall(SYS_recvfrom, fd, ret_answer, size, MSG_DONTWAIT, NULL, NULL);
	if (n < 0)
		return -errno;
	if (n < (long)sizeof(*head) || head->nlmsg_len > n)
		return -EBADMSG;
	if (head->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = NLMSG_DATA(head);

		if (n < (long)NLMSG_LENGTH(sizeof(*error)) || error->error >= 0)
			return -EBADMSG;
		return error->error;
	}
	return n;
}

/* A number from a file under /proc, or @otherwise. */
static long read_sysctl(const char *path, long otherwise)
{
	char text[32];

	return fd_read_file(path, text, sizeof(text)) > 0 ? strtol(text, NULL, 10) : otherwise;
}

/*
 * To a socket bound by hand the kernel gives a TIME_WAIT socket's tuple at
 * once, as long as timestamps protect it (test/platform). But when it chooses a
 * port itself, it takes such a tuple only after tcp_tw_reuse_delay milliseconds
 * (a second where there is no such sysctl), and on loopback alone if
 * tcp_tw_reuse is 2. A fenced program gets what it would get without the fence.
 */
static bool is_handed_over(struct diag *diag, const struct inet_diag_msg *found,
			   const union addr *local, const union addr *peer)
{
	if (!diag->known) {
		diag->reuse = read_sysctl("/proc/sys/net/ipv4/tcp_tw_reuse", 2);
		diag->delay_ms = read_sysctl("/proc/sys/net/ipv4/tcp_tw_reuse_delay", 1000);
		diag->timestamps = read_sysctl("/proc/sys/net/ipv4/tcp_timestamps", 1);
		diag->known = true;
	}
	if (!diag->timestamps || diag->reuse == 0)
		return false;
	if (diag->reuse == 2 && !addr_is_loopback(local) && !addr_is_loopback(peer))
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

int diag_is_free(struct diag *diag, const union addr *local, const union addr *peer)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} question = {
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
			.id.idiag_if = diag->ifindex,
			.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
		},
	};
	union {
		struct nlmsghdr head;
		char room[512];
	} answer;
	const struct inet_diag_msg *found = NLMSG_DATA(&answer.head);
	bool v4 = addr_is_v4(peer);
	long n;

	if (diag->tcp < 0)
		diag->tcp = fd_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	if (diag->tcp < 0)
		return diag->tcp;
	question.body.sdiag_family = v4 ? AF_INET : AF_INET6;
	copy_address(local, v4, question.body.id.idiag_src);
	copy_address(peer, v4, question.body.id.idiag_dst);
	n = ask(diag->tcp, &question.head, &answer, sizeof(answer));
	if (n == -ENOENT)
		return 1;
	if (n < 0)
		return (int)n;
	if (n < (long)NLMSG_LENGTH(sizeof(*found)))
		return -EBADMSG;
	/* where there is no connection, the kernel shows who would accept one */
	if (found->idiag_state == STATE_LISTEN)
		return 1;
	return found->idiag_state == STATE_TIME_WAIT && is_handed_over(diag, found, local, peer);
}

int diag_source(const struct diag *diag, const union addr *peer, union addr *ret_source)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg body;
		char attributes[RTA_SPACE(16) + RTA_SPACE(4)];
	} question = { 0 };
	union {
		struct nlmsghdr head;
		char room[512];
	} answer;
	bool v4 = addr_is_v4(peer);
	unsigned short size = v4 ? 4 : 16;
	struct rtattr *attribute = (struct rtattr *)question.attributes;
	__be32 destination[4];
	uint32_t ifindex;
	int fd, left;
	long n;

	ifindex = diag->ifindex;
	/* a link-local address has a route for each interface */
	if (!v4 && !ifindex)
		ifindex = peer->in6.sin6_scope_id;
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
	fd = fd_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (fd < 0)
		return fd;
	n = ask(fd, &question.head, &answer, sizeof(answer));
	fd_close(fd);
	if (n < 0)
		return (int)n;
	attribute = RTM_RTA((struct rtmsg *)NLMSG_DATA(&answer.head));
	left = (int)RTM_PAYLOAD(&answer.head);
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
