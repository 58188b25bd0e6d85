#include "relay.h"

#include "../core/policy.h"
#include "../core/portmap.h"
#include "relay_wait.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DATAGRAM_MOST 65535
#define CONTROL_MOST 4096
#define PARTS_MOST 1024 /* UIO_MAXIOV */

/*
 * What a program may ask of a send. Every other flag is taken off: with MSG_ZEROCOPY, the
 * kernel would go on reading our buffer after the call, when it holds another
 * caller's message. Such a send is copied, and no completion is reported.
 */
#define FLAGS_PASSED                                                                               \
	(MSG_OOB | MSG_DONTROUTE | MSG_DONTWAIT | MSG_EOR | MSG_CONFIRM | MSG_MORE | MSG_NOSIGNAL)

/* One message in the caller's memory. */
struct message_at {
	uint64_t data; /* of sendto(2), with its size; if @header is 0 */
	uint64_t size;
	uint64_t header; /* of a struct msghdr */
	int flags;
};

/* A struct msghdr, without what it says of its name. */
struct header {
	uint64_t parts;
	uint64_t count;
	uint64_t control;
	uint64_t control_size;
};

static int read_header(const struct caller *caller, uint64_t address, bool pointers32,
		       struct header *ret_header)
{
	struct {
		uint32_t name, name_size, parts, count, control, control_size, flags;
	} head32 = { 0 };
	struct msghdr head = { 0 };
	int rc;

	if (pointers32) {
		rc = rights_read(caller, address, &head32, sizeof(head32));
		if (!rc)
			*ret_header = (struct header){ head32.parts, head32.count, head32.control,
						       head32.control_size };
		return rc;
	}
	rc = rights_read(caller, address, &head, sizeof(head));
	if (!rc)
		*ret_header = (struct header){ (uintptr_t)head.msg_iov, head.msg_iovlen,
					       (uintptr_t)head.msg_control, head.msg_controllen };
	return rc;
}

/* Gathers what a message's parts hold. Return: bytes, or -errno */
static long gather_parts(const struct caller *caller, const struct header *header, bool pointers32,
			 char ret_data[DATAGRAM_MOST])
{
	size_t one = pointers32 ? 8 : 16, used = 0;
	uint64_t i;
	int rc = 0;

	if (header->count > PARTS_MOST)
		return -EMSGSIZE;
	for (i = 0; !rc && i < header->count; i++) {
		uint64_t part[2];
		uint32_t part32[2];

		rc = rights_read(caller, header->parts + i * one,
				 pointers32 ? (void *)part32 : (void *)part, one);
		if (rc)
			break;
		if (pointers32) {
			part[0] = part32[0];
			part[1] = part32[1];
		}
		/* negative, as the kernel has it (lib/iov_iter.c, import_iovec) */
		if (part[1] > (pointers32 ? INT32_MAX : INT64_MAX))
			return -EINVAL;
		if (part[1] > DATAGRAM_MOST - used)
			return -EMSGSIZE;
		if (part[1])
			rc = rights_read(caller, part[0], ret_data + used, part[1]);
		used += part[1];
	}
	return rc ? rc : (long)used;
}

/* What a message is copied to */
struct buffer {
	char data[DATAGRAM_MOST];
	union {
		struct cmsghdr head;
		char room[CONTROL_MOST];
	} control;
};

/* Does a message carry only what needs no right? (ip(7), ipv6(7), udp(7)) */
static bool is_harmless(struct msghdr *head)
{
	struct cmsghdr *one;

	for (one = CMSG_FIRSTHDR(head); one; one = CMSG_NXTHDR(head, one)) {
		int level = one->cmsg_level, type = one->cmsg_type;

		if (!(level == IPPROTO_IP &&
		      (type == IP_PKTINFO || type == IP_TOS || type == IP_TTL)) &&
		    !(level == IPPROTO_IPV6 &&
		      (type == IPV6_PKTINFO || type == IPV6_TCLASS || type == IPV6_HOPLIMIT)) &&
		    !(level == IPPROTO_UDP && type == UDP_SEGMENT))
			return false;
	}
	return true;
}

static long make_sendmsg(const struct trapped_call *trapped, const struct msghdr *head, int flags)
{
	long n = syscall(SYS_sendmsg, trapped->fd, head, flags);

	return n < 0 ? -errno : n;
}

/*
 * Options of a message, such as SO_MARK, are for callers with a capability. Sends without any
 * right of ours, and once more with each that the caller has if the kernel refuses that.
 */
static long send_as_caller(const struct trapped_call *trapped, struct msghdr *head, int flags)
{
	static const int capabilities[] = { CAP_NET_RAW, CAP_NET_ADMIN };
	long n = -EPERM;
	size_t i;

	if (!head->msg_controllen || is_harmless(head))
		return make_sendmsg(trapped, head, flags);
	if (!rights_exceed(trapped->fd))
		n = make_sendmsg(trapped, head, flags);
	for (i = 0; n == -EPERM && i < 2; i++) {
		if (!rights_caller_has(&trapped->caller, trapped->fd, capabilities[i]))
			continue;
		rights_use(capabilities[i]);
		n = make_sendmsg(trapped, head, flags);
		rights_leave(capabilities[i]);
	}
	return n;
}

/* Copies a message here. Return: bytes, or -errno; -EMSGSIZE of one that is too large for a datagram */
static long read_message(const struct trapped_call *trapped, const struct message_at *message,
			 struct buffer *buffer, struct msghdr *head)
{
	const struct caller *caller = &trapped->caller;
	struct header header = { .count = 0 };
	long n;
	int rc;

	if (message->header) {
		n = read_header(caller, message->header, trapped->has_32bit_pointers, &header);
		if (!n)
			n = gather_parts(caller, &header, trapped->has_32bit_pointers,
					 buffer->data);
	} else if (message->size > sizeof(buffer->data)) {
		n = -EMSGSIZE;
	} else {
		n = message->size ? rights_read(caller, message->data, buffer->data, message->size)
				  : 0;
		n = n ? n : (long)message->size;
	}
	if (n < 0 || !header.control_size)
		return n;
	/* with 32-bit pointers they have another layout */
	if (trapped->has_32bit_pointers || header.control_size > sizeof(buffer->control))
		return -EOPNOTSUPP;
	head->msg_control = &buffer->control;
	head->msg_controllen = header.control_size;
	rc = rights_read(caller, header.control, &buffer->control, header.control_size);
	return rc ? rc : n;
}

/*
 * Makes the send. It never waits: a datagram to this machine has room, or there is none.
 *
 * Return: bytes sent, or -errno
 */
static long send_elsewhere(const struct trapped_call *trapped, const struct message_at *message,
			   const union addr *to, socklen_t len)
{
	struct buffer *buffer = malloc(sizeof(*buffer));
	struct iovec part = { .iov_len = 0 };
	struct msghdr head = {
		.msg_name = (void *)to,
		.msg_namelen = len,
		.msg_iov = &part,
		.msg_iovlen = 1,
	};
	long n;

	if (!buffer)
		return -ENOBUFS;
	n = read_message(trapped, message, buffer, &head);
	part.iov_base = buffer->data;
	part.iov_len = n < 0 ? 0 : (size_t)n;
	if (n >= 0)
		n = send_as_caller(trapped, &head,
				   (message->flags & FLAGS_PASSED) | MSG_DONTWAIT | MSG_NOSIGNAL);
	free(buffer);
	/* on this machine there would be room at once for a send that waits for it */
	return n == -EAGAIN && !(message->flags & MSG_DONTWAIT) ? -ENOBUFS : n;
}

/* ---- the calls ---- */

static int refuse_mapped(struct trapped_call *trapped)
{
	return trapped_call_refuse(
		trapped, "this process may be under Landlock rules or a security label that the "
			 "supervisor is not under, so its calls to ports of the map fail");
}

static int relay_connect(struct trapped_call *trapped)
{
	const union addr *to;
	socklen_t len;
	int rc, flags;

	rc = trapped_call_read_address(trapped, trapped->argument[1], (int)trapped->argument[2]);
	if (!rc)
		rc = trapped_call_translate(trapped);
	if (rc <= 0)
		return rc ? rc : CALL_CONTINUES;
	if (confinement_holds(&trapped->tree->confinement, &trapped->caller,
			      trapped_call_is_udp(trapped)))
		return refuse_mapped(trapped);
	to = &trapped->address.inet;
	len = trapped->len < sizeof(*to) ? trapped->len : sizeof(*to);
	flags = fcntl(trapped->fd, F_GETFL);
	if (trapped_call_is_udp(trapped) || (flags >= 0 && flags & O_NONBLOCK))
		return syscall(SYS_connect, trapped->fd, to, len) ? -errno : 0;
	return relay_wait_connect(trapped, to, len);
}

/*
 * Where a message goes to, as trapped_call_read_destination(). What cannot be read, the
 * kernel refuses, or does not look at.
 *
 * Return: 1 if the map has another port for it, 0; -errno as translate_to()
 */
static int is_mapped(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->fence->rule;
	int rc = trapped_call_read_destination(trapped);

	if (rc)
		return rc == -EFAULT || rc == -EINVAL ? 0 : rc;
	return portmap_asked(rule->map, addr_port(&trapped->address.inet)) && trapped->len;
}

/* Sends the message that the arguments show, to the address as read. Return: bytes, or -errno */
static long relay_send(struct trapped_call *trapped, int flags)
{
	bool plain = trapped->call == FILTER_SENDTO;
	const struct message_at message = {
		.data = trapped->argument[1],
		.size = trapped->argument[2],
		.header = plain ? 0 : trapped->argument[1],
		.flags = flags,
	};
	const union addr *to = trapped->len ? &trapped->address.inet : NULL;

	if (confinement_holds(&trapped->tree->confinement, &trapped->caller,
			      trapped_call_is_udp(trapped)))
		return refuse_mapped(trapped);
	return send_elsewhere(trapped, &message, to,
			      trapped->len < sizeof(*to) ? trapped->len : sizeof(*to));
}

/* Is any of several messages mapped? Return: 1, 0; -errno as translate_to() */
static int is_any_mapped(struct trapped_call *trapped, uint64_t first, uint64_t size,
			 uint64_t count)
{
	uint64_t i;
	int rc = 0;

	for (i = 0; !rc && i < count; i++) {
		trapped->argument[1] = first + i * size;
		rc = is_mapped(trapped);
	}
	trapped->argument[1] = first;
	return rc;
}

/*
 * If any of several messages is mapped, all of them are sent here, one after another, until one
 * cannot be sent: as the kernel has it (net/socket.c, __sys_sendmmsg), its error is that of the
 * call only if it is the first one.
 */
static int relay_batch(struct trapped_call *trapped, int flags)
{
	const uint64_t first = trapped->argument[1], size = trapped->has_32bit_pointers ? 32 : 64;
	const uint64_t count =
		(uint32_t)trapped->argument[2] < 1024 ? (uint32_t)trapped->argument[2] : 1024;
	/* the length stands behind the header (sendmmsg(2)) */
	const uint64_t length_at = trapped->has_32bit_pointers ? 28 : 56;
	uint32_t sent;
	uint64_t i;
	long n = is_any_mapped(trapped, first, size, count);

	if (n <= 0)
		return n ? (int)n : CALL_CONTINUES;
	for (i = 0; i < count; i++) {
		trapped->argument[1] = first + i * size;
		n = trapped_call_read_destination(trapped);
		if (!n)
			n = relay_send(trapped, flags);
		sent = (uint32_t)n;
		if (n >= 0)
			n = rights_write(&trapped->caller, first + i * size + length_at, &sent,
					 sizeof(sent));
		if (n < 0)
			break;
	}
	trapped->argument[1] = first;
	trapped->value = (long)i;
	return i ? 0 : (int)n;
}

int relay_call(struct trapped_call *trapped)
{
	int flags = (int)trapped->argument[trapped->call == FILTER_SENDMSG ? 2 : 3], protocol = 0,
	    rc;
	socklen_t len = sizeof(protocol);

	if (trapped->call == FILTER_CONNECT)
		return relay_connect(trapped);
	if (trapped->call != FILTER_SENDTO && trapped->call != FILTER_SENDMSG &&
	    trapped->call != FILTER_SENDMMSG)
		return CALL_CONTINUES;
	getsockopt(trapped->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	/* over TCP only a send that connects has a destination, and a server may refuse that, too */
	if (policy_proto(protocol) == PROTO_TCP)
		return flags & MSG_FASTOPEN && is_mapped(trapped) ? -EOPNOTSUPP : CALL_CONTINUES;
	if (trapped->call == FILTER_SENDMMSG)
		return relay_batch(trapped, flags);
	rc = is_mapped(trapped);
	if (rc <= 0)
		return rc ? rc : CALL_CONTINUES;
	trapped->value = relay_send(trapped, flags);
	return trapped->value < 0 ? (int)trapped->value : 0;
}
