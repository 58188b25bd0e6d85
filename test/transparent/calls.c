/* calls: each call that takes a socket and maybe an address, on each socket in each state, with each address. */
#include "transparent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* glibc exports these names, too */
int __connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __send(int fd, const void *data, size_t size, int flags);

/* Larger than any datagram */
static char large[70000];

struct call {
	const char *name;
	bool addressed; /* takes an address */
	bool small;     /* made with few addresses only */
	bool streams;   /* makes sense over TCP alone */
	long (*make)(int fd, const struct sockaddr *addr, socklen_t len);
};

static long call_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind(fd, addr, len);
}

static long call_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

static long call_connect_other_name(int fd, const struct sockaddr *addr, socklen_t len)
{
	return __connect(fd, addr, len);
}

static long call_sendto(int fd, const struct sockaddr *addr, socklen_t len)
{
	return sendto(fd, "hello", 5, MSG_NOSIGNAL, addr, len);
}

static long call_sendto_empty(int fd, const struct sockaddr *addr, socklen_t len)
{
	return sendto(fd, NULL, 0, MSG_DONTWAIT, addr, len);
}

static long call_sendto_large(int fd, const struct sockaddr *addr, socklen_t len)
{
	return sendto(fd, large, sizeof(large), MSG_DONTWAIT, addr, len);
}

static long call_sendto_oob(int fd, const struct sockaddr *addr, socklen_t len)
{
	return sendto(fd, "hello", 5, MSG_OOB, addr, len);
}

static long call_sendto_fastopen(int fd, const struct sockaddr *addr, socklen_t len)
{
	return sendto(fd, "hello", 5, MSG_FASTOPEN, addr, len);
}

static long call_sendto_bad_data(int fd, const struct sockaddr *addr, socklen_t len)
{
	return sendto(fd, (void *)(uintptr_t)-8192, 5, MSG_DONTWAIT, addr, len);
}

static long send_message(int fd, const struct sockaddr *addr, socklen_t len, int flags)
{
	struct iovec data = { (void *)"hello", 5 };
	struct msghdr message = { .msg_name = (void *)addr,
				  .msg_namelen = len,
				  .msg_iov = &data,
				  .msg_iovlen = 1 },
		      copy = message;
	long result = sendmsg(fd, &message, flags);

	if (memcmp(&message, &copy, sizeof(copy)) != 0)
		transparent_say("message-changed");
	return result;
}

static long call_sendmsg(int fd, const struct sockaddr *addr, socklen_t len)
{
	return send_message(fd, addr, len, 0);
}

static long call_sendmsg_fastopen(int fd, const struct sockaddr *addr, socklen_t len)
{
	return send_message(fd, addr, len, MSG_FASTOPEN | MSG_NOSIGNAL);
}

static long send_messages(int fd, const struct sockaddr *addr, socklen_t len, unsigned count,
			  int flags)
{
	struct iovec data = { (void *)"hello", 5 };
	struct mmsghdr messages[3] = { { .msg_hdr = { .msg_name = (void *)addr,
						      .msg_namelen = len,
						      .msg_iov = &data,
						      .msg_iovlen = 1 },
					 .msg_len = 77 } };
	long result;

	messages[1] = messages[2] = messages[0];
	result = sendmmsg(fd, messages, count, flags);
	transparent_say("lengths=%u,%u,%u", messages[0].msg_len, messages[1].msg_len,
			messages[2].msg_len);
	return result;
}

static long call_sendmmsg(int fd, const struct sockaddr *addr, socklen_t len)
{
	return send_messages(fd, addr, len, 2, 0);
}

static long call_sendmmsg_fastopen(int fd, const struct sockaddr *addr, socklen_t len)
{
	return send_messages(fd, addr, len, 2, MSG_FASTOPEN);
}

static long call_sendmmsg_none(int fd, const struct sockaddr *addr, socklen_t len)
{
	return send_messages(fd, addr, len, 0, 0);
}

static long call_listen(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return listen(fd, 5);
}

static long call_listen_0(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return listen(fd, 0);
}

static long call_listen_minus(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return listen(fd, -1);
}

static long call_send(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, "hello", 5, 0);
}

static long call_send_other_name(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return __send(fd, "hello", 5, MSG_NOSIGNAL);
}

static long call_send_empty(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long call_send_large(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, large, sizeof(large), MSG_DONTWAIT);
}

static long call_send_oob(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, "hello", 5, MSG_OOB);
}

static long call_send_more(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, "hello", 5, MSG_MORE | MSG_CONFIRM | MSG_DONTROUTE);
}

static long call_send_bad_data(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, (void *)(uintptr_t)-8192, 5, 0);
}

static long call_send_bad_flags(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send(fd, "hello", 5, -1 & ~MSG_FASTOPEN & ~MSG_ZEROCOPY);
}

static long call_sendmsg_unnamed(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send_message(fd, NULL, 0, 0);
}

static long call_sendmmsg_unnamed(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)addr;
	(void)len;
	return send_messages(fd, NULL, 0, 2, MSG_NOSIGNAL);
}

static long call_bindresvport(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)len;
	return bindresvport(fd, (struct sockaddr_in *)addr);
}

static const struct call calls[] = {
	{ "bind", .addressed = true, .make = call_bind },
	{ "connect", .addressed = true, .make = call_connect },
	{ "sendto", .addressed = true, .make = call_sendto },
	{ "sendmsg", .addressed = true, .make = call_sendmsg },
	{ "sendmmsg", .addressed = true, .make = call_sendmmsg },
	{ "sendto-fastopen", .addressed = true, .streams = true, .make = call_sendto_fastopen },
	{ "__connect", .addressed = true, .small = true, .make = call_connect_other_name },
	{ "sendto-empty", .addressed = true, .small = true, .make = call_sendto_empty },
	{ "sendto-large", .addressed = true, .small = true, .make = call_sendto_large },
	{ "sendto-oob", .addressed = true, .small = true, .make = call_sendto_oob },
	{ "sendto-bad-data", .addressed = true, .small = true, .make = call_sendto_bad_data },
	{ "sendmsg-fastopen", .addressed = true, .small = true, .make = call_sendmsg_fastopen },
	{ "sendmmsg-fastopen", .addressed = true, .small = true, .make = call_sendmmsg_fastopen },
	{ "sendmmsg-none", .addressed = true, .small = true, .make = call_sendmmsg_none },
	{ "listen", .make = call_listen },
	{ "listen-0", .make = call_listen_0 },
	{ "listen-minus", .make = call_listen_minus },
	{ "send", .make = call_send },
	{ "__send", .make = call_send_other_name },
	{ "send-empty", .make = call_send_empty },
	{ "send-large", .make = call_send_large },
	{ "send-oob", .make = call_send_oob },
	{ "send-more", .make = call_send_more },
	{ "send-bad-data", .make = call_send_bad_data },
	{ "send-bad-flags", .make = call_send_bad_flags },
	{ "sendmsg-unnamed", .make = call_sendmsg_unnamed },
	{ "sendmmsg-unnamed", .make = call_sendmmsg_unnamed },
};

static const struct call resvport = { "bindresvport", .addressed = true,
				      .make = call_bindresvport };

#define WHOLE 1000000 /* a length: as long as it is */

struct plan {
	const struct kind *kind;
	const struct state *state;
	const struct call *call;
	const struct value *value;
	const struct place *place; /* NULL: the caller's own stack */
	long len;
};

static bool is_sent(const struct call *call)
{
	return !strncmp(call->name, "send", 4) || !strncmp(call->name, "__send", 6);
}

static void run(const void *context)
{
	const struct plan *plan = context;
	struct snapshot before, after;
	struct scene scene;
	union address address, copy;
	const struct sockaddr *at = &address.sa;
	socklen_t len = 0;
	char error[4];
	socklen_t size = sizeof(error);
	bool to_peer = !plan->value || strstr(plan->value->name, "peer");
	int code = 0;
	long result;

	memset(&address, 0, sizeof(address));
	scene_open(&scene, plan->kind, plan->state);
	if (plan->value)
		len = plan->value->fill(plan->kind, &address);
	else
		at = NULL;
	copy = address;
	if (plan->place)
		at = plan->place->put(&address, len);
	if (plan->len != WHOLE)
		len = (socklen_t)plan->len;
	look_at(scene.fd, &before);
	result = CALL(plan->call->make(scene.fd, at, len));
	look_at(scene.fd, &after);
	look_say(&before, &after);
	if (memcmp(&address, &copy, sizeof(copy)) != 0) {
		/* libc's bindresvport() leaves the last that it has tried */
		if (result < 0 && ntohs(address.in4.sin_port) < IPPORT_RESERVED)
			transparent_say("address-changed");
		else
			address_say("address", &address, len);
	}
	/* over MPTCP the end may or may not have been told when the connection is dissolved */
	if (!scene.shut || plan->call->make != call_connect || result < 0)
		scene_arrived(&scene, to_peer && result > 0 && is_sent(plan->call));
	size = sizeof(code);
	if (!getsockopt(scene.fd, SOL_SOCKET, SO_ERROR, &code, &size) && code)
		transparent_say("pending=%s", strerrorname_np(code));
	scene_close(&scene);
}

static void plan(const struct plan *plan)
{
	transparent_case(run, plan, "%s/%s/%s%s%s%s%s", plan->kind->name, plan->state->name,
			 plan->call->name, plan->value ? "/" : "",
			 plan->value ? plan->value->name : "", plan->place ? "/" : "",
			 plan->place ? plan->place->name : "");
}

static bool fits(const struct kind *kind, const struct state *state, const struct call *call)
{
	if (call->streams && !scene_is_stream(kind))
		return false;
	return !state->type || state->type == kind->type;
}

/*
 * One socket of each sort goes through everything. What the others share with
 * it is left out, unless all is asked for.
 */
static bool is_typical(const struct kind *kind)
{
	return transparent_all || !strcmp(kind->name, "tcp4") || !strcmp(kind->name, "udp6");
}

/* Every state, with the addresses that lead somewhere. */
static void states_run(const struct kind *kind)
{
	static const char *const names[] = { "peer", "any", "unspec" };
	size_t state, i, j;

	for (state = 0; state < scene_states_count; state++)
		for (i = 0; i < COUNT(calls); i++) {
			struct plan one = { kind, &scene_states[state], &calls[i], .len = WHOLE };

			if (!fits(kind, one.state, one.call))
				continue;
			if (!one.call->addressed) {
				plan(&one);
				continue;
			}
			for (j = 0; j < (one.call->small ? 1 : COUNT(names)); j++) {
				one.value = address_value(names[j]);
				plan(&one);
			}
		}
}

/* Every address, on sockets that have no port yet, have one, and are connected. */
static void values_run(const struct kind *kind)
{
	static const char *const states[] = { "fresh", "bound", "connected" };
	size_t i, j, k;

	for (i = 0; i < (is_typical(kind) ? COUNT(states) : 1); i++)
		for (j = 0; j < COUNT(calls); j++)
			for (k = 3; k < address_values_count; k++) {
				struct plan one = { kind, scene_state(states[i]), &calls[j],
						    &address_values[k], .len = WHOLE };

				if (calls[j].addressed && !calls[j].small &&
				    fits(kind, one.state, one.call))
					plan(&one);
			}
}

static void lengths_run(const struct kind *kind)
{
	static const char *const values[] = { "peer", "any", "unspec", "unix" };
	size_t i, j, k;

	for (i = 0; i < COUNT(calls); i++)
		for (j = 0; j < COUNT(values); j++)
			for (k = 0; k < address_lengths_count; k++) {
				if (j > 1 && !is_typical(kind))
					continue;

				struct plan one = { kind, scene_state("fresh"), &calls[i],
						    address_value(values[j]),
						    .len = address_lengths[k] };

				if (!calls[i].addressed || calls[i].small ||
				    !fits(kind, one.state, one.call))
					continue;
				transparent_case(run, &one, "%s/%s/%s/%s/length%ld", kind->name,
						 one.state->name, one.call->name, one.value->name,
						 one.len);
			}
}

static void places_run(const struct kind *kind, const char *state)
{
	size_t i, j;

	for (i = 0; i < COUNT(calls); i++)
		for (j = 0; j < address_places_count; j++) {
			struct plan one = { kind,
					    scene_state(state),
					    &calls[i],
					    address_value("peer"),
					    &address_places[j],
					    WHOLE };

			if (!calls[i].addressed || calls[i].small ||
			    !fits(kind, one.state, one.call))
				continue;
			plan(&one);
			if (i == 0) {
				one.value = address_value("zero");
				plan(&one);
			}
		}
}

/* What is no socket of ours, or none at all. */
static void others_run(const struct kind *kind)
{
	static const char *const names[] = { "peer", "zero", "unspec", "unix", "netlink" };
	size_t i, j;

	for (i = 0; i < COUNT(calls); i++) {
		struct plan one = { kind, scene_state("fresh"), &calls[i], .len = WHOLE };

		if (!one.call->addressed) {
			plan(&one);
			continue;
		}
		for (j = 0; j < COUNT(names); j++) {
			one.value = address_value(names[j]);
			plan(&one);
		}
		one.place = address_place("none");
		plan(&one);
	}
}

/* It takes no port of its own choosing where it is fenced: the range is "given" to it by the test. */
static void resvport_run(const struct kind *kind)
{
	static const char *const values[] = { "any",     "zero",   "peer", "own",
					      "foreign", "unspec", "other" };
	static const char *const states[] = { "fresh",      "bound",   "connected",
					      "reuse-both", "no-port", "device" };
	size_t i, j;

	/* any number is a protocol's to them */
	if (kind->type == SOCK_RAW || kind->protocol == IPPROTO_ICMP)
		return;
	for (i = 0; i < (kind->inet || transparent_all ? COUNT(states) : 1); i++) {
		struct plan one = { kind, scene_state(states[i]), &resvport, .len = WHOLE };

		plan(&one);
		for (j = 0; j < COUNT(values); j++) {
			one.value = address_value(values[j]);
			plan(&one);
		}
	}
}

void calls_run(void)
{
	size_t i;

	for (i = 0; i < scene_kinds_count; i++) {
		const struct kind *kind = &scene_kinds[i];

		resvport_run(kind);
		if (!kind->inet) {
			others_run(kind);
			continue;
		}
		if (transparent_all ||
		    (strcmp(kind->name, "mptcp6") != 0 && strcmp(kind->name, "lite6") != 0))
			states_run(kind);
		values_run(kind);
		lengths_run(kind);
		places_run(kind, "fresh");
		if (is_typical(kind)) {
			places_run(kind, "bound");
			places_run(kind, "connected");
		}
	}
}
