/* messages: what sendmsg, sendmmsg, recvmsg and recvmmsg are given beside an address. */
#include "transparent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* One message to the peer; a case breaks some of it. */
struct letter {
	union address to;
	struct iovec data;
	struct mmsghdr messages[3];
	union {
		struct cmsghdr head;
		char room[256];
	} control;
};

static void *unreadable(void)
{
	return address_place("none")->put(NULL, 0);
}

/* An object whose second half cannot be read */
static void *half(const void *object, size_t size)
{
	return address_place("straddle")->put(object, size);
}

static void write_letter(const struct kind *kind, struct letter *ret_letter)
{
	int i;

	memset(ret_letter, 0, sizeof(*ret_letter));
	ret_letter->data = (struct iovec){ (void *)"hello", 5 };
	for (i = 0; i < 3; i++)
		ret_letter->messages[i] = (struct mmsghdr){
			.msg_hdr = { .msg_name = &ret_letter->to,
				     .msg_namelen =
					     address_value("peer")->fill(kind, &ret_letter->to),
				     .msg_iov = &ret_letter->data,
				     .msg_iovlen = 1 },
			.msg_len = 77,
		};
}

/* A control message of so many bytes in each of the three */
static void enclose(struct letter *letter, int level, int type, const void *data, size_t size)
{
	int i;

	letter->control.head.cmsg_level = level;
	letter->control.head.cmsg_type = type;
	letter->control.head.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&letter->control.head), data, size);
	for (i = 0; i < 3; i++) {
		letter->messages[i].msg_hdr.msg_control = &letter->control;
		letter->messages[i].msg_hdr.msg_controllen = CMSG_SPACE(size);
	}
}

struct way {
	const char *name;
	/* Return: the first of the messages, as it is handed over */
	struct mmsghdr *(*spoil)(const struct kind *kind, struct letter *letter);
};

static struct mmsghdr *plain(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	return letter->messages;
}

static struct mmsghdr *no_message(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	(void)letter;
	return NULL;
}

static struct mmsghdr *bad_message(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	(void)letter;
	return unreadable();
}

static struct mmsghdr *half_message(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	return half(letter->messages, sizeof(letter->messages[0].msg_hdr));
}

/* The first can be read and written, the second cannot. */
static struct mmsghdr *second_bad(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	return address_place("page-end")->put(letter->messages, sizeof(letter->messages[0]));
}

/* What was sent could not be told. */
static struct mmsghdr *read_only(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	return address_place("read-only")->put(letter->messages, sizeof(letter->messages));
}

static struct mmsghdr *misaligned(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	return address_place("misaligned")->put(letter->messages, sizeof(letter->messages));
}

static struct mmsghdr *on_heap(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	return address_place("heap")->put(letter->messages, sizeof(letter->messages));
}

static struct mmsghdr *second_address_bad(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[1].msg_hdr.msg_name = unreadable();
	return letter->messages;
}

static struct mmsghdr *second_short(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[1].msg_hdr.msg_namelen = 3;
	return letter->messages;
}

static struct mmsghdr *second_unnamed(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[1].msg_hdr.msg_name = NULL;
	return letter->messages;
}

static struct mmsghdr *first_unnamed(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_name = NULL;
	letter->messages[0].msg_hdr.msg_namelen = 0;
	return letter->messages;
}

static struct mmsghdr *first_refused(const struct kind *kind, struct letter *letter)
{
	static union address prohibited;

	letter->messages[0].msg_hdr.msg_namelen =
		address_value("prohibited")->fill(kind, &prohibited);
	letter->messages[0].msg_hdr.msg_name = &prohibited;
	return letter->messages;
}

static struct mmsghdr *third_refused(const struct kind *kind, struct letter *letter)
{
	static union address prohibited;

	letter->messages[2].msg_hdr.msg_namelen =
		address_value("prohibited")->fill(kind, &prohibited);
	letter->messages[2].msg_hdr.msg_name = &prohibited;
	return letter->messages;
}

static struct mmsghdr *name_without_length(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_namelen = 0;
	return letter->messages;
}

static struct mmsghdr *length_without_name(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_name = NULL;
	return letter->messages;
}

static struct mmsghdr *negative_length(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_namelen = (socklen_t)-1;
	return letter->messages;
}

static struct mmsghdr *bad_data(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->data.iov_base = unreadable();
	return letter->messages;
}

static struct mmsghdr *bad_vector(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_iov = unreadable();
	return letter->messages;
}

static struct mmsghdr *long_vector(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_iovlen = 1025;
	return letter->messages;
}

static struct mmsghdr *no_vector(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_iovlen = 0;
	return letter->messages;
}

static struct mmsghdr *bad_control(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_control = unreadable();
	letter->messages[0].msg_hdr.msg_controllen = 64;
	return letter->messages;
}

static struct mmsghdr *long_control(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	letter->messages[0].msg_hdr.msg_control = &letter->control;
	letter->messages[0].msg_hdr.msg_controllen = (size_t)1 << 30;
	return letter->messages;
}

static struct mmsghdr *odd_control(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	enclose(letter, 99, 99, "abcd", 4);
	return letter->messages;
}

static struct mmsghdr *cut_control(const struct kind *kind, struct letter *letter)
{
	(void)kind;
	enclose(letter, IPPROTO_IP, IP_TTL, "abcd", 4);
	letter->control.head.cmsg_len = 3;
	return letter->messages;
}

static struct mmsghdr *ttl(const struct kind *kind, struct letter *letter)
{
	int hops = 9;

	(void)kind;
	enclose(letter, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	return letter->messages;
}

/* The source address of this one message */
static struct mmsghdr *source4(const struct kind *kind, struct letter *letter)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(0x7f000007) };

	(void)kind;
	enclose(letter, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	return letter->messages;
}

static struct mmsghdr *foreign_source4(const struct kind *kind, struct letter *letter)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(0x08080808) };

	(void)kind;
	enclose(letter, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	return letter->messages;
}

static struct mmsghdr *interface4(const struct kind *kind, struct letter *letter)
{
	struct in_pktinfo info = { .ipi_ifindex = 77 };

	(void)kind;
	enclose(letter, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	return letter->messages;
}

static struct mmsghdr *source6(const struct kind *kind, struct letter *letter)
{
	struct in6_pktinfo info = { .ipi6_addr = IN6ADDR_LOOPBACK_INIT };

	(void)kind;
	enclose(letter, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	return letter->messages;
}

static struct mmsghdr *foreign_source6(const struct kind *kind, struct letter *letter)
{
	struct in6_pktinfo info = { .ipi6_addr = { { { 0x20, 1, 0xd, 0xb8, 1 } } } };

	(void)kind;
	enclose(letter, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	return letter->messages;
}

static struct mmsghdr *rights(const struct kind *kind, struct letter *letter)
{
	int fds[2] = { 0, 1 };

	(void)kind;
	enclose(letter, SOL_SOCKET, SCM_RIGHTS, fds, sizeof(fds));
	return letter->messages;
}

static struct mmsghdr *bad_rights(const struct kind *kind, struct letter *letter)
{
	int fds[2] = { 0, 999 };

	(void)kind;
	enclose(letter, SOL_SOCKET, SCM_RIGHTS, fds, sizeof(fds));
	return letter->messages;
}

static const struct way ways[] = {
	{ "plain", plain },
	{ "no-message", no_message },
	{ "bad-message", bad_message },
	{ "half-message", half_message },
	{ "second-bad", second_bad },
	{ "read-only", read_only },
	{ "misaligned", misaligned },
	{ "on-heap", on_heap },
	{ "second-address-bad", second_address_bad },
	{ "second-short", second_short },
	{ "second-unnamed", second_unnamed },
	{ "first-unnamed", first_unnamed },
	{ "first-refused", first_refused },
	{ "third-refused", third_refused },
	{ "name-without-length", name_without_length },
	{ "length-without-name", length_without_name },
	{ "negative-length", negative_length },
	{ "bad-data", bad_data },
	{ "bad-vector", bad_vector },
	{ "long-vector", long_vector },
	{ "no-vector", no_vector },
	{ "bad-control", bad_control },
	{ "long-control", long_control },
	{ "odd-control", odd_control },
	{ "cut-control", cut_control },
	{ "ttl", ttl },
	{ "source4", source4 },
	{ "foreign-source4", foreign_source4 },
	{ "interface4", interface4 },
	{ "source6", source6 },
	{ "foreign-source6", foreign_source6 },
	{ "rights", rights },
	{ "bad-rights", bad_rights },
};

static const struct {
	const char *name;
	bool many;
	unsigned count;
	int flags;
} sends[] = {
	{ "sendmsg", false, 1, MSG_NOSIGNAL },          { "sendmmsg-0", true, 0, 0 },
	{ "sendmmsg-1", true, 1, MSG_DONTWAIT },        { "sendmmsg-3", true, 3, MSG_NOSIGNAL },
	{ "sendmsg-fastopen", false, 1, MSG_FASTOPEN },
};

struct plan {
	const struct kind *kind;
	const struct state *state;
	const struct way *way;
	size_t send;
};

static void run_send(const void *context)
{
	const struct plan *plan = context;
	struct snapshot before, after;
	struct letter letter;
	struct mmsghdr *messages;
	struct scene scene;
	long result;
	int flags = sends[plan->send].flags;

	scene_open(&scene, plan->kind, plan->state);
	write_letter(plan->kind, &letter);
	messages = plan->way->spoil(plan->kind, &letter);
	look_at(scene.fd, &before);
	if (sends[plan->send].many)
		result = CALL(sendmmsg(scene.fd, messages, sends[plan->send].count, flags));
	else
		result = CALL(sendmsg(scene.fd, &messages->msg_hdr, flags));
	look_at(scene.fd, &after);
	if (messages == letter.messages)
		transparent_say("lengths=%u,%u,%u", messages[0].msg_len, messages[1].msg_len,
				messages[2].msg_len);
	look_say(&before, &after);
	scene_arrived(&scene, false);
	transparent_say("%s", result > 0 ? "sent" : "not-sent");
	scene_close(&scene);
}

/* ---- receiving ---- */

/* What a UNIX socket's peer has sent: two descriptors with a byte each, in two messages */
static int pair_with_rights(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec data = { (void *)"hello", 5 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int ends[2], fds[2] = { socket(AF_INET, SOCK_DGRAM, 0), open("/dev/null", O_RDONLY) };

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
		return -1;
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	sendmsg(ends[0], &message, 0);
	sendmsg(ends[0], &message, 0);
	close(fds[0]);
	close(fds[1]);
	return ends[1];
}

static int udp_with_two(void)
{
	struct scene scene;
	union address address;
	socklen_t len;
	int on = 1;

	scene_open(&scene, scene_kind("udp4"), scene_state("bound"));
	setsockopt(scene.fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	len = address_value("own")->fill(scene.kind, &address);
	sendto(scene.peer, "one", 3, 0, &address.sa, len);
	sendto(scene.peer, "", 0, 0, &address.sa, len);
	return scene.fd;
}

static int udp_with_none(void)
{
	struct scene scene;

	scene_open(&scene, scene_kind("udp6"), scene_state("fresh"));
	return scene.fd;
}

static int tcp_not_connected(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int no_socket(void)
{
	return open("/dev/null", O_RDWR);
}

static int closed(void)
{
	return 63;
}

static const struct {
	const char *name;
	int (*open)(void);
} sources[] = {
	{ "rights", pair_with_rights }, { "udp", udp_with_two },    { "empty", udp_with_none },
	{ "tcp", tcp_not_connected },   { "no-socket", no_socket }, { "closed", closed },
};

static const struct {
	const char *name;
	int flags;
} flags[] = {
	{ "", MSG_DONTWAIT },
	{ "/peek", MSG_DONTWAIT | MSG_PEEK },
	{ "/cloexec", MSG_DONTWAIT | MSG_CMSG_CLOEXEC },
	{ "/trunc", MSG_DONTWAIT | MSG_TRUNC },
	{ "/errors", MSG_DONTWAIT | MSG_ERRQUEUE },
	{ "/oob", MSG_DONTWAIT | MSG_OOB },
};

enum shape {
	WHOLE_ROOM,
	NO_CONTROL,
	SMALL_CONTROL,
	TINY_CONTROL,
	BAD_CONTROL,
	BAD_NAME,
	BAD_VECTOR,
	BAD_DATA,
	NO_MESSAGE,
	BAD_MESSAGE,
	READ_ONLY,
	SHAPES
};

static const char *const shapes[SHAPES] = { "whole",        "no-control",  "small-control",
					    "tiny-control", "bad-control", "bad-name",
					    "bad-vector",   "bad-data",    "no-message",
					    "bad-message",  "read-only" };

struct receipt {
	size_t source, flags;
	enum shape shape;
	unsigned count; /* 0: recvmsg */
	const char *timeout;
};

static void say_received(const struct msghdr *message, bool readable)
{
	struct msghdr copy = *message;
	struct cmsghdr *one;

	transparent_say("flags=%x", (unsigned)message->msg_flags);
	transparent_say("namelen=%u", message->msg_namelen);
	transparent_say("controllen=%zu", (size_t)message->msg_controllen);
	if (message->msg_controllen < sizeof(*one) || !readable)
		return;
	for (one = CMSG_FIRSTHDR(&copy); one; one = CMSG_NXTHDR(&copy, one))
		transparent_say("control=%d,%d,%zu", one->cmsg_level, one->cmsg_type,
				(size_t)one->cmsg_len);
}

static void run_receive(const void *context)
{
	static char rooms[2][256], data[2][64];
	static union address names[2];
	const struct receipt *receipt = context;
	struct iovec vectors[2] = { { data[0], 64 }, { data[1], 64 } };
	struct mmsghdr messages[2], *at = messages;
	struct timespec hour = { 3600, 0 }, *timeout = NULL;
	int fd = sources[receipt->source].open(), i;
	long result;

	for (i = 0; i < 2; i++)
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &names[i],
							     .msg_namelen = sizeof(names[i]),
							     .msg_iov = &vectors[i],
							     .msg_iovlen = 1,
							     .msg_control = rooms[i],
							     .msg_controllen = sizeof(rooms[i]) },
						.msg_len = 77 };
	if (receipt->shape == NO_CONTROL)
		messages[0].msg_hdr.msg_control = NULL, messages[0].msg_hdr.msg_controllen = 0;
	if (receipt->shape == SMALL_CONTROL)
		messages[0].msg_hdr.msg_controllen = CMSG_LEN(sizeof(int));
	if (receipt->shape == TINY_CONTROL)
		messages[0].msg_hdr.msg_controllen = 5;
	if (receipt->shape == BAD_CONTROL)
		messages[0].msg_hdr.msg_control = unreadable();
	if (receipt->shape == BAD_NAME)
		messages[0].msg_hdr.msg_name = unreadable();
	if (receipt->shape == BAD_VECTOR)
		messages[0].msg_hdr.msg_iov = unreadable();
	if (receipt->shape == BAD_DATA)
		vectors[0].iov_base = unreadable();
	if (receipt->shape == NO_MESSAGE)
		at = NULL;
	if (receipt->shape == BAD_MESSAGE)
		at = unreadable();
	if (receipt->shape == READ_ONLY)
		at = address_place("read-only")->put(messages, sizeof(messages));
	if (receipt->timeout)
		timeout = strcmp(receipt->timeout, "bad") ? &hour : unreadable();
	if (receipt->count)
		result = CALL(
			recvmmsg(fd, at, receipt->count, flags[receipt->flags].flags, timeout));
	else
		result = CALL(recvmsg(fd, &at->msg_hdr, flags[receipt->flags].flags));
	for (i = 0; i < 2; i++) {
		say_received(&messages[i].msg_hdr, result >= 0 && receipt->shape != BAD_CONTROL);
		transparent_say("length=%u", messages[i].msg_len);
	}
	/* those that came are closed on exec, or are not */
	for (i = 3; i < 12; i++)
		transparent_say("fd%d=%d", i, fcntl(i, F_GETFD));
}

static void receive_run(void)
{
	struct receipt receipt = { 0 };
	size_t shape;

	for (receipt.source = 0; receipt.source < COUNT(sources); receipt.source++)
		for (receipt.flags = 0; receipt.flags < COUNT(flags); receipt.flags++)
			for (shape = 0; shape < SHAPES; shape++)
				for (receipt.count = 0; receipt.count <= 2; receipt.count++) {
					receipt.shape = (enum shape)shape;
					transparent_case(run_receive, &receipt,
							 "receive-%u/%s/%s%s", receipt.count,
							 sources[receipt.source].name,
							 shapes[shape], flags[receipt.flags].name);
				}
	receipt = (struct receipt){ .source = 1, .shape = WHOLE_ROOM, .count = 2 };
	for (receipt.source = 0; receipt.source < COUNT(sources); receipt.source++) {
		receipt.timeout = "hour";
		transparent_case(run_receive, &receipt, "receive-2/%s/whole/hour",
				 sources[receipt.source].name);
		receipt.timeout = "bad";
		transparent_case(run_receive, &receipt, "receive-2/%s/whole/bad-timeout",
				 sources[receipt.source].name);
	}
}

void messages_run(void)
{
	static const char *const kinds[] = { "tcp4", "tcp6",  "mptcp4",        "udp4",  "udp6",
					     "udpm", "lite4", "unix-datagram", "closed" };
	static const char *const states[] = { "fresh", "bound", "connected" };
	struct plan plan;
	size_t i, j, k;

	for (i = 0; i < COUNT(kinds); i++)
		for (j = 0; j < COUNT(states); j++)
			for (k = 0; k < COUNT(ways); k++)
				for (plan.send = 0; plan.send < COUNT(sends); plan.send++) {
					plan.kind = scene_kind(kinds[i]);
					if (!plan.kind->inet && j > 0)
						continue;
					plan.state = scene_state(states[j]);
					plan.way = &ways[k];
					transparent_case(run_send, &plan, "%s/%s/%s/%s", kinds[i],
							 states[j], sends[plan.send].name,
							 ways[k].name);
				}
	receive_run();
}
