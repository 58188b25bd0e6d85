#include "relay.h"

#include "../core/policy.h"
#include "../core/portmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_MOST 65535
#define CONTROL_MOST 4096
#define PARTS_MOST 1024 /* UIO_MAXIOV */

/* include/linux/errno.h: a call that begins anew, or fails with EINTR, as the signal's handler has it */
#define ERESTARTSYS 512

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define LOOK_NS 20000000

/*
 * Theory of operation
 *
 * The caller's connect() waits for our answer, and nothing but a fatal signal
 * ends that (see filter.c). So that neither its signals have to wait nor its
 * socket outlives it, our own connect() is interrupted from time to time, to look
 * at the caller. To be made again does it no harm: it goes on waiting.
 */

/* A connect() that waits. */
struct errand {
	pid_t thread;
	int listener;
	uint64_t id;
	int fd;
	union addr to;
	socklen_t len;
};

static int make_connect(int fd, const union addr *to, socklen_t len)
{
	return syscall(SYS_connect, fd, to, len) ? -errno : 0;
}

static void look_up(int number)
{
	(void)number;
}

/* From now on, this thread is interrupted all LOOK_NS. Return: false if that cannot be */
static bool start_looking(timer_t *ret_timer)
{
	const struct sigaction action = { .sa_handler = look_up };
	const struct itimerspec often = { { 0, LOOK_NS }, { 0, LOOK_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	sigset_t own;

	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	sigemptyset(&own);
	sigaddset(&own, SIGRTMIN);
	return !sigaction(SIGRTMIN, &action, NULL) && !pthread_sigmask(SIG_UNBLOCK, &own, NULL) &&
	       !timer_create(CLOCK_MONOTONIC, &event, ret_timer) &&
	       !timer_settime(*ret_timer, 0, &often, NULL);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How long the socket lets a connect() wait, in microseconds; 0: for ever */
static int64_t find_limit(int fd)
{
	struct timeval limit = { 0 };
	socklen_t len = sizeof(limit);

	getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	return (int64_t)limit.tv_sec * 1000000 + limit.tv_usec;
}

/* Its lock is waited for, and that is interrupted as well (kernel/seccomp.c, seccomp_notify_id_valid). */
static bool waits_still(const struct errand *errand)
{
	return !ioctl(errand->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &errand->id) ||
	       errno == EINTR;
}

static int wait_for_connect(const struct errand *errand)
{
	int64_t limit = find_limit(errand->fd), start = now_us();
	int rc;

	do {
		rc = make_connect(errand->fd, &errand->to, errand->len);
		if (rc != -EINTR)
			return rc;
		/* as the kernel has it (net/ipv4/af_inet.c, __inet_stream_connect; include/net/sock.h, sock_intr_errno) */
		if (limit && now_us() - start >= limit)
			return -EINPROGRESS;
		if (caller_is_signalled(errand->thread))
			return limit ? -EINTR : -ERESTARTSYS;
	} while (waits_still(errand));
	return rc;
}

static void *run_errand(void *given)
{
	struct errand *errand = given;
	struct seccomp_notif_resp answer = { .id = errand->id };
	timer_t timer;
	bool looks = start_looking(&timer);

	answer.error = wait_for_connect(errand);
	if (looks)
		timer_delete(timer);
	/* who was killed meanwhile needs no answer */
	while (ioctl(errand->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) && errno == EINTR)
		;
	close(errand->fd);
	free(errand);
	return NULL;
}

/*
 * One that has to wait does so in a thread of its own, which then answers.
 *
 * Return: the call's result, 0 or -errno; or CALL_ANSWERED
 */
static int connect_elsewhere(struct trapped_call *trapped)
{
	const union addr *to = &trapped->address.inet;
	socklen_t len = trapped->len < sizeof(*to) ? trapped->len : sizeof(*to);
	int flags = fcntl(trapped->fd, F_GETFL), rc;
	struct errand *errand;
	pthread_attr_t attributes;
	pthread_t thread;

	if (trapped_call_is_udp(trapped) || (flags >= 0 && flags & O_NONBLOCK))
		return make_connect(trapped->fd, to, len);
	errand = malloc(sizeof(*errand));
	if (!errand)
		return -ENOBUFS;
	errand->thread = trapped->caller.thread;
	errand->listener = trapped->trap->listener;
	errand->id = trapped->id;
	errand->to = *to;
	errand->len = len;
	errand->fd = fcntl(trapped->fd, F_DUPFD_CLOEXEC, 3);
	rc = errand->fd < 0 ? errno : pthread_attr_init(&attributes);
	if (!rc) {
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		rc = pthread_create(&thread, &attributes, run_errand, errand);
		pthread_attr_destroy(&attributes);
	}
	if (!rc)
		return CALL_ANSWERED;
	if (errand->fd >= 0)
		close(errand->fd);
	free(errand);
	return -ENOBUFS;
}

/* One message in a thread's memory. */
struct message_at {
	uint64_t data; /* of sendto(2), with its size; if @header is 0 */
	uint64_t size;
	uint64_t header; /* of a struct msghdr */
	bool narrow;     /* 32-bit pointers */
	int flags;
};

/* A struct msghdr, without what it says of its name. */
struct header {
	uint64_t parts;
	uint64_t count;
	uint64_t control;
	uint64_t control_size;
};

static int read_header(const struct caller *caller, uint64_t address, bool narrow,
		       struct header *ret_header)
{
	struct {
		uint32_t name, name_size, parts, count, control, control_size, flags;
	} narrow_head = { 0 };
	struct msghdr head = { 0 };
	int rc;

	if (narrow) {
		rc = caller_read(caller, address, &narrow_head, sizeof(narrow_head));
		if (!rc)
			*ret_header =
				(struct header){ narrow_head.parts, narrow_head.count,
						 narrow_head.control, narrow_head.control_size };
		return rc;
	}
	rc = caller_read(caller, address, &head, sizeof(head));
	if (!rc)
		*ret_header = (struct header){ (uintptr_t)head.msg_iov, head.msg_iovlen,
					       (uintptr_t)head.msg_control, head.msg_controllen };
	return rc;
}

/* Gathers what a message's parts hold. Return: bytes, or -errno */
static long gather(const struct caller *caller, const struct header *header, bool narrow,
		   char ret_data[DATAGRAM_MOST])
{
	size_t one = narrow ? 8 : 16, used = 0;
	uint64_t i;
	int rc = 0;

	if (header->count > PARTS_MOST)
		return -EMSGSIZE;
	for (i = 0; !rc && i < header->count; i++) {
		uint64_t wide[2];
		uint32_t thin[2];

		rc = caller_read(caller, header->parts + i * one,
				 narrow ? (void *)thin : (void *)wide, one);
		if (rc)
			break;
		if (narrow) {
			wide[0] = thin[0];
			wide[1] = thin[1];
		}
		/* negative, as the kernel has it (lib/iov_iter.c, import_iovec) */
		if (wide[1] > (narrow ? INT32_MAX : INT64_MAX))
			return -EINVAL;
		if (wide[1] > DATAGRAM_MOST - used)
			return -EMSGSIZE;
		if (wide[1])
			rc = caller_read(caller, wide[0], ret_data + used, wide[1]);
		used += wide[1];
	}
	return rc ? rc : (long)used;
}

/*
 * It never waits: a datagram to this machine has room, or there is none.
 *
 * Return: bytes sent, or -errno; -EMSGSIZE of one that is too large for a datagram
 */
static long send_elsewhere(const struct caller *caller, int fd, const struct message_at *message,
			   const union addr *to, socklen_t len)
{
	static char data[DATAGRAM_MOST];
	static union {
		struct cmsghdr head;
		char room[CONTROL_MOST];
	} control;
	struct header header = { .count = 0 };
	struct iovec part = { data, 0 };
	struct msghdr head = {
		.msg_name = (void *)to,
		.msg_namelen = len,
		.msg_iov = &part,
		.msg_iovlen = 1,
	};
	long n;

	if (message->header) {
		n = read_header(caller, message->header, message->narrow, &header);
		if (!n)
			n = gather(caller, &header, message->narrow, data);
	} else if (message->size > sizeof(data)) {
		n = -EMSGSIZE;
	} else {
		n = message->size ? caller_read(caller, message->data, data, message->size) : 0;
		n = n ? n : (long)message->size;
	}
	if (n < 0)
		return n;
	part.iov_len = (size_t)n;
	if (header.control_size) {
		/* another layout */
		if (message->narrow || header.control_size > sizeof(control))
			return -EOPNOTSUPP;
		n = caller_read(caller, header.control, &control, header.control_size);
		if (n)
			return n;
		head.msg_control = &control;
		head.msg_controllen = header.control_size;
	}
	n = syscall(SYS_sendmsg, fd, &head, message->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	/* who waits for room would have it at once on this machine */
	return errno == EAGAIN && !(message->flags & MSG_DONTWAIT) ? -ENOBUFS : -errno;
}

/* ---- the calls ---- */

static int relay_connect(struct trapped_call *trapped)
{
	int rc =
		trapped_call_read_address(trapped, trapped->argument[1], (int)trapped->argument[2]);

	if (!rc)
		rc = trapped_call_translate(trapped);
	if (rc <= 0)
		return rc ? rc : CALL_CONTINUES;
	return connect_elsewhere(trapped);
}

/*
 * Where a message goes to, as trapped_call_read_destination(). What cannot be read, the
 * kernel refuses, or does not look at.
 *
 * Return: 1 if the map has another port for it, 0; -errno as translate_to()
 */
static int is_mapped(struct trapped_call *trapped)
{
	const struct rule *rule = trapped->trap->fence->rule;
	int rc = trapped_call_read_destination(trapped);

	if (rc)
		return rc == -EFAULT || rc == -EINVAL ? 0 : rc;
	return portmap_asked(rule->map, addr_port(&trapped->address.inet)) && trapped->len;
}

/* Sends the message that the arguments show, to the address as read. Return: 0, or -errno */
static int relay_send(struct trapped_call *trapped, int flags)
{
	bool plain = trapped->call == FILTER_SENDTO;
	const struct message_at message = {
		.data = trapped->argument[1],
		.size = trapped->argument[2],
		.header = plain ? 0 : trapped->argument[1],
		.narrow = trapped->narrow,
		.flags = flags,
	};
	const union addr *to = trapped->len ? &trapped->address.inet : NULL;
	long n = send_elsewhere(&trapped->caller, trapped->fd, &message, to,
				trapped->len < sizeof(*to) ? trapped->len : sizeof(*to));

	trapped->value = n;
	return n < 0 ? (int)n : 0;
}

/*
 * Of several messages, if any of them is mapped, the first is sent: the program
 * comes again for the others, as the kernel may have sent no more either.
 */
static int relay_batch(struct trapped_call *trapped, int flags)
{
	const uint64_t first = trapped->argument[1], size = trapped->narrow ? 32 : 64;
	uint64_t count = trapped->argument[2] < 1024 ? trapped->argument[2] : 1024, i;
	uint32_t sent;
	int rc = 0;

	for (i = 0; !rc && i < count; i++) {
		trapped->argument[1] = first + i * size;
		rc = is_mapped(trapped);
	}
	trapped->argument[1] = first;
	if (!rc)
		return CALL_CONTINUES;
	rc = trapped_call_read_destination(trapped);
	if (!rc)
		rc = relay_send(trapped, flags);
	if (rc)
		return rc;
	sent = (uint32_t)trapped->value;
	trapped->value = 1;
	/* behind the header (sendmmsg(2)) */
	return caller_write(&trapped->caller, first + (trapped->narrow ? 28 : 56), &sent,
			    sizeof(sent));
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
	/* over TCP there is a destination only for who connects by a send, which a server may refuse, too */
	if (policy_proto(protocol) == PROTO_TCP)
		return flags & MSG_FASTOPEN && is_mapped(trapped) ? -EOPNOTSUPP : CALL_CONTINUES;
	if (trapped->call == FILTER_SENDMMSG)
		return relay_batch(trapped, flags);
	rc = is_mapped(trapped);
	if (rc)
		return rc < 0 ? rc : relay_send(trapped, flags);
	return CALL_CONTINUES;
}
