/*
 * diag.h: questions to NETLINK_SOCK_DIAG (sock_diag(7)): an exact one, and a dump. It
 * interprets nothing.
 */
#ifndef PLATFORM_DIAG_H
#define PLATFORM_DIAG_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

/*
 * Asks for the TCP socket with exactly this 4-tuple.
 *
 * @src, @dst: same family, ports included
 * @ret_msg: filled on success
 *
 * Return: 0, or -errno as the kernel answered (-ENOENT: no such socket)
 */
static inline int try_diag(const union addr *src, const union addr *dst,
			   struct inet_diag_msg *ret_msg)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} ask;
	union {
		struct nlmsghdr nlh;
		char buf[4096];
	} answer;
	ssize_t n;
	int fd;

	memset(&ask, 0, sizeof(ask));
	ask.nlh.nlmsg_len = sizeof(ask);
	ask.nlh.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	ask.nlh.nlmsg_flags = NLM_F_REQUEST;
	ask.req.sdiag_family = (uint8_t)src->sa.sa_family;
	ask.req.sdiag_protocol = IPPROTO_TCP;
	ask.req.idiag_states = ~0U;
	ask.req.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	ask.req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (src->sa.sa_family == AF_INET6) {
		ask.req.id.idiag_sport = src->in6.sin6_port;
		ask.req.id.idiag_dport = dst->in6.sin6_port;
		memcpy(ask.req.id.idiag_src, &src->in6.sin6_addr, 16);
		memcpy(ask.req.id.idiag_dst, &dst->in6.sin6_addr, 16);
	} else {
		ask.req.id.idiag_sport = src->in.sin_port;
		ask.req.id.idiag_dport = dst->in.sin_port;
		memcpy(ask.req.id.idiag_src, &src->in.sin_addr, 4);
		memcpy(ask.req.id.idiag_dst, &dst->in.sin_addr, 4);
	}

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		skip("the kernel has no sock_diag: %s", strerror(errno));
	check(send(fd, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask), "cannot ask sock_diag: %s",
	      strerror(errno));
	n = recv(fd, &answer, sizeof(answer), 0);
	close(fd);
	check(n >= (ssize_t)sizeof(answer.nlh) && NLMSG_OK(&answer.nlh, (size_t)n),
	      "expected one netlink message from sock_diag, found %zd bytes", n);
	if (answer.nlh.nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(&answer.nlh))->error;
	check(answer.nlh.nlmsg_len >= NLMSG_LENGTH(sizeof(*ret_msg)),
	      "expected an inet_diag_msg, found %u bytes", answer.nlh.nlmsg_len);
	memcpy(ret_msg, NLMSG_DATA(&answer.nlh), sizeof(*ret_msg));
	return 0;
}

/*
 * Asks for a dump, and reports each socket of the answer.
 *
 * @ask: the whole question, whose type is also that of the answer's messages
 */
static inline void dump_diag(const struct nlmsghdr *ask,
			     void (*report)(const struct inet_diag_msg *one, void *context),
			     void *context)
{
	union {
		struct nlmsghdr nlh;
		char buf[32768];
	} answer;
	bool done = false;
	int fd = open_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);

	must((int)send(fd, ask, ask->nlmsg_len, 0), "send");
	while (!done) {
		int left = must((int)recv(fd, &answer, sizeof(answer), 0), "recv");
		struct nlmsghdr *head = &answer.nlh;

		for (; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			done = head->nlmsg_type != ask->nlmsg_type;
			if (done)
				break;
			report(NLMSG_DATA(head), context);
		}
	}
	close(fd);
}

#endif /* PLATFORM_DIAG_H */
