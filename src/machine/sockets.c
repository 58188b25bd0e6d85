#include "sockets.h"

#include "../core/fd.h"
#include "../core/netlink.h"
#include "array.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Theory of operation
 *
 * One dump for each protocol and family. An MPTCP connection needs none of its
 * own: the TCP dump has its subflows, which are what holds ports, and the kernel
 * gives them the inode of the MPTCP socket, which is what a process holds
 * (net/mptcp/subflow.c, mptcp_subflow_create_socket).
 *
 * All states are asked for, also those that a later kernel may number: a TCP
 * socket that is bound and neither listens nor is connected is told since Linux
 * 6.8, as BOUND_INACTIVE (13) in the question and as CLOSE in the answer.
 */

#define ALL_STATES ~0U

/* tcp_info has grown; this much has what tells the sides apart (Linux 4.19). */
#define SIDE_INFO (offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(uint64_t))

enum proto sockets_proto(const struct sockets_entry *entry)
{
	switch (entry->protocol) {
	case IPPROTO_TCP:
		return PROTO_TCP;
	case IPPROTO_SCTP:
		return PROTO_SCTP;
	default:
		return PROTO_UDP;
	}
}

const char *sockets_protocol_name(const struct sockets_entry *entry)
{
	if (entry->protocol == IPPROTO_UDPLITE)
		return "udplite";
	return policy_proto_name(sockets_proto(entry));
}

const char *sockets_state_name(const struct sockets_entry *entry)
{
	static const char *const names[SOCKETS_STATES] = {
		"UNKNOWN",   "ESTAB",  "SYN-SENT",   "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
		"TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN",     "CLOSING",
	};

	return names[entry->state < SOCKETS_STATES ? entry->state : 0];
}

void sockets_format(const struct sockets_entry *entry, bool remote, char ret_text[SOCKETS_TEXT])
{
	char address[INET6_ADDRSTRLEN] = "?";
	bool wide = entry->family == AF_INET6;

	inet_ntop(entry->family, remote ? entry->remote : entry->local, address, sizeof(address));
	snprintf(ret_text, SOCKETS_TEXT, "%s%s%s:%d", wide ? "[" : "", address, wide ? "]" : "",
		 remote ? entry->remote_port : entry->local_port);
}

/*
 * What counts as acknowledged (tcpi_bytes_acked) includes the SYN at the end
 * that sent the first one, and not at the other: there the kernel makes the
 * socket when the handshake is over (net/ipv4/tcp_minisocks.c). A FIN counts at
 * both. What was sent (tcpi_bytes_sent) counts data alone.
 */
static enum sockets_side find_side(const struct inet_diag_msg *found,
				   const struct rtattr *attribute)
{
	struct tcp_info info;
	uint64_t counted, sent;

	if (RTA_PAYLOAD(attribute) < SIDE_INFO)
		return SOCKETS_SIDE_UNKNOWN;
	memcpy(&info, RTA_DATA(attribute), SIDE_INFO);
	counted = info.tcpi_bytes_acked + found->idiag_wqueue - info.tcpi_notsent_bytes;
	sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	switch (found->idiag_state) {
	case SOCKETS_SYN_SENT:
		return SOCKETS_CONNECTED;
	case SOCKETS_SYN_RECV:
		return SOCKETS_ACCEPTED;
	case SOCKETS_FIN_WAIT1:
	case SOCKETS_FIN_WAIT2:
	case SOCKETS_CLOSING:
	case SOCKETS_LAST_ACK:
		/* the FIN goes last */
		if (!info.tcpi_notsent_bytes)
			counted--;
		break;
	case SOCKETS_ESTABLISHED:
	case SOCKETS_CLOSE_WAIT:
		break;
	default:
		return SOCKETS_SIDE_UNKNOWN;
	}
	if (counted == sent + 1)
		return SOCKETS_CONNECTED;
	return counted == sent ? SOCKETS_ACCEPTED : SOCKETS_SIDE_UNKNOWN;
}

/* What one dump's messages are read with. */
struct reader {
	struct sockets *sockets;
	uint8_t protocol;
	uint32_t cookie[2]; /* of the socket before */
};

/*
 * Of an SCTP socket the kernel tells once, and once more for each of its
 * associations, which have its port, and states of another list than sockets
 * (net/sctp/diag.c, sctp_sock_dump).
 */
static bool is_association(struct reader *reader, const struct inet_diag_msg *found)
{
	bool same = !memcmp(reader->cookie, found->id.idiag_cookie, sizeof(reader->cookie));

	memcpy(reader->cookie, found->id.idiag_cookie, sizeof(reader->cookie));
	return same && reader->protocol == IPPROTO_SCTP;
}

/* Finds who began a connection, if the kernel's answer tells more of it. */
static enum sockets_side read_side(const struct nlmsghdr *answer)
{
	const struct inet_diag_msg *found = NLMSG_DATA(answer);
	const struct rtattr *attribute = (const struct rtattr *)(found + 1);
	int left = (int)(answer->nlmsg_len - NLMSG_LENGTH(sizeof(*found)));

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == INET_DIAG_INFO)
			return find_side(found, attribute);
	return SOCKETS_SIDE_UNKNOWN;
}

static int on_socket(const struct nlmsghdr *answer, void *context)
{
	const struct inet_diag_msg *found = NLMSG_DATA(answer);
	struct reader *reader = context;
	struct sockets *sockets = reader->sockets;
	struct sockets_entry *entry;

	if (!found->id.idiag_sport || is_association(reader, found))
		return 0;
	entry = array_add(&sockets->entry, &sockets->count, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memcpy(entry->local, found->id.idiag_src, sizeof(entry->local));
	memcpy(entry->remote, found->id.idiag_dst, sizeof(entry->remote));
	entry->inode = found->idiag_inode;
	entry->uid = found->idiag_uid;
	entry->local_port = ntohs(found->id.idiag_sport);
	entry->remote_port = ntohs(found->id.idiag_dport);
	entry->protocol = reader->protocol;
	entry->family = found->idiag_family;
	entry->state = found->idiag_state;
	entry->side = entry->protocol == IPPROTO_TCP ? read_side(answer) : SOCKETS_SIDE_UNKNOWN;
	return 0;
}

static int dump_once(uint8_t family, bool sides, struct reader *reader)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} question = {
		.head = {
			.nlmsg_len = sizeof(question),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.body = {
			.sdiag_family = family,
			.sdiag_protocol = reader->protocol,
			.idiag_states = ALL_STATES,
			.idiag_ext = sides ? 1 << (INET_DIAG_INFO - 1) : 0,
		},
	};
	/* a new one each time: an interrupted dump would leave its rest in the old */
	int fd = fd_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), rc = -ENOMEM;
	void *buffer;

	if (fd < 0)
		return fd;
	buffer = malloc(NETLINK_BUFFER);
	if (buffer)
		rc = netlink_dump(fd, &question.head, buffer, sizeof(struct inet_diag_msg),
				  on_socket, reader);
	free(buffer);
	fd_close(fd);
	return rc;
}

static int dump(uint8_t protocol, uint8_t family, bool sides, struct sockets *sockets)
{
	struct reader reader = { .sockets = sockets, .protocol = protocol };
	const size_t before = sockets->count;
	int tries, rc = -EINTR;

	for (tries = 0; rc == -EINTR && tries < NETLINK_TRIES; tries++) {
		sockets->count = before;
		rc = dump_once(family, sides, &reader);
	}
	return rc;
}

int sockets_read(unsigned flags, struct sockets *ret_sockets)
{
	static const struct {
		uint8_t protocol;
		bool optional; /* not every kernel has it */
	} table[] = {
		{ IPPROTO_TCP, false },
		{ IPPROTO_UDP, false },
		{ IPPROTO_UDPLITE, true },
		{ IPPROTO_SCTP, true },
	};
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	size_t i, k;

	memset(ret_sockets, 0, sizeof(*ret_sockets));
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (k = 0; k < sizeof(families) / sizeof(families[0]); k++) {
			bool sides = flags & SOCKETS_SIDES && table[i].protocol == IPPROTO_TCP;
			int rc = dump(table[i].protocol, families[k], sides, ret_sockets);

			if (rc == -ENOENT || rc == -EPROTONOSUPPORT)
				rc = table[i].optional ? 0 : -EOPNOTSUPP;
			if (rc)
				return rc;
		}
	}
	return 0;
}

void sockets_free(struct sockets *sockets)
{
	free(sockets->entry);
	memset(sockets, 0, sizeof(*sockets));
}
