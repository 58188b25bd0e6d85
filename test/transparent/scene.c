/* scene: the descriptors that calls are made on, what has been done to them, and who talks to them. */
#include "transparent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* for what comes at once where there is a processor for it */

/* ---- kinds ---- */

static int make_file(void)
{
	return open("/dev/null", O_RDWR);
}

static int make_folder(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static int make_path(void)
{
	return open("/dev/null", O_PATH);
}

static int make_pipe(void)
{
	int ends[2];

	return pipe(ends) ? -1 : ends[1];
}

static int make_eventfd(void)
{
	return eventfd(0, 0);
}

static int make_epoll(void)
{
	return epoll_create1(0);
}

static int make_closed(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	close(fd);
	return fd;
}

/* Its number is remembered as a new TCP socket's, as nobody was told that it is closed. */
static int make_closed_unseen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	syscall(SYS_close, fd);
	return fd;
}

static int replace_unseen(int domain, int type, int behind_domain, int behind_type)
{
	int fd = socket(domain, type, 0),
	    other = (int)syscall(SYS_socket, behind_domain, behind_type, 0);

	syscall(SYS_dup3, other, fd, 0);
	syscall(SYS_close, other);
	return fd;
}

/* Likewise, but another socket has taken its place. */
static int make_unix_unseen(void)
{
	return replace_unseen(AF_INET, SOCK_STREAM, AF_UNIX, SOCK_STREAM);
}

static int make_udp_unseen(void)
{
	return replace_unseen(AF_INET, SOCK_STREAM, AF_INET, SOCK_DGRAM);
}

static int make_tcp_unseen(void)
{
	return replace_unseen(AF_INET, SOCK_DGRAM, AF_INET, SOCK_STREAM);
}

static int make_tcp6_unseen(void)
{
	return replace_unseen(AF_INET, SOCK_STREAM, AF_INET6, SOCK_STREAM);
}

static int make_file_unseen(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), other = open("/dev/null", O_RDWR);

	syscall(SYS_dup3, other, fd, 0);
	syscall(SYS_close, other);
	return fd;
}

static int make_minus_1(void)
{
	return -1;
}

static int make_minus_100(void)
{
	return AT_FDCWD;
}

static int make_large(void)
{
	return 1 << 20;
}

static int make_largest(void)
{
	return 0x7fffffff;
}

const struct kind scene_kinds[] = {
	{ .name = "tcp4", .domain = AF_INET, .type = SOCK_STREAM, .protocol = 0, .inet = true },
	{ .name = "tcp6", .domain = AF_INET6, .type = SOCK_STREAM, .protocol = 0, .inet = true },
	{ .name = "tcpm",
	  .domain = AF_INET6,
	  .type = SOCK_STREAM,
	  .protocol = 0,
	  .inet = true,
	  .mapped = true },
	{ .name = "mptcp4",
	  .domain = AF_INET,
	  .type = SOCK_STREAM,
	  .protocol = IPPROTO_MPTCP,
	  .inet = true },
	{ .name = "mptcp6",
	  .domain = AF_INET6,
	  .type = SOCK_STREAM,
	  .protocol = IPPROTO_MPTCP,
	  .inet = true },
	{ .name = "udp4", .domain = AF_INET, .type = SOCK_DGRAM, .protocol = 0, .inet = true },
	{ .name = "udp6", .domain = AF_INET6, .type = SOCK_DGRAM, .protocol = 0, .inet = true },
	{ .name = "udpm",
	  .domain = AF_INET6,
	  .type = SOCK_DGRAM,
	  .protocol = 0,
	  .inet = true,
	  .mapped = true },
	{ .name = "lite4",
	  .domain = AF_INET,
	  .type = SOCK_DGRAM,
	  .protocol = IPPROTO_UDPLITE,
	  .inet = true },
	{ .name = "lite6",
	  .domain = AF_INET6,
	  .type = SOCK_DGRAM,
	  .protocol = IPPROTO_UDPLITE,
	  .inet = true },
	{ .name = "unix-stream", .domain = AF_UNIX, .type = SOCK_STREAM, .protocol = 0 },
	{ .name = "unix-datagram", .domain = AF_UNIX, .type = SOCK_DGRAM, .protocol = 0 },
	{ .name = "unix-packet", .domain = AF_UNIX, .type = SOCK_SEQPACKET, .protocol = 0 },
	{ .name = "netlink", .domain = AF_NETLINK, .type = SOCK_RAW, .protocol = 0 },
	{ .name = "packet", .domain = AF_PACKET, .type = SOCK_DGRAM, .protocol = 0 },
	{ .name = "raw4", .domain = AF_INET, .type = SOCK_RAW, .protocol = IPPROTO_ICMP },
	{ .name = "raw6", .domain = AF_INET6, .type = SOCK_RAW, .protocol = IPPROTO_ICMPV6 },
	{ .name = "raw-udp", .domain = AF_INET, .type = SOCK_RAW, .protocol = IPPROTO_UDP },
	{ .name = "raw-tcp", .domain = AF_INET, .type = SOCK_RAW, .protocol = IPPROTO_TCP },
	{ .name = "ping", .domain = AF_INET, .type = SOCK_DGRAM, .protocol = IPPROTO_ICMP },
	{ .name = "file", .domain = AF_INET, .make = make_file },
	{ .name = "folder", .domain = AF_INET, .make = make_folder },
	{ .name = "path", .domain = AF_INET, .make = make_path },
	{ .name = "pipe", .domain = AF_INET, .make = make_pipe },
	{ .name = "eventfd", .domain = AF_INET, .make = make_eventfd },
	{ .name = "epoll", .domain = AF_INET, .make = make_epoll },
	{ .name = "closed", .domain = AF_INET, .make = make_closed },
	{ .name = "closed-unseen", .domain = AF_INET, .make = make_closed_unseen },
	{ .name = "unix-unseen", .domain = AF_INET, .make = make_unix_unseen },
	{ .name = "udp-unseen", .domain = AF_INET, .make = make_udp_unseen },
	{ .name = "tcp-unseen", .domain = AF_INET, .make = make_tcp_unseen },
	{ .name = "tcp6-unseen", .domain = AF_INET6, .make = make_tcp6_unseen },
	{ .name = "file-unseen", .domain = AF_INET, .make = make_file_unseen },
	{ .name = "minus-1", .domain = AF_INET, .make = make_minus_1 },
	{ .name = "minus-100", .domain = AF_INET, .make = make_minus_100 },
	{ .name = "large", .domain = AF_INET, .make = make_large },
	{ .name = "largest", .domain = AF_INET, .make = make_largest },
};
const size_t scene_kinds_count = COUNT(scene_kinds);

const struct kind *scene_kind(const char *name)
{
	size_t i;

	for (i = 0; i < scene_kinds_count; i++)
		if (!strcmp(scene_kinds[i].name, name))
			return &scene_kinds[i];
	return NULL;
}

bool scene_is_stream(const struct kind *kind)
{
	return kind->inet && kind->type == SOCK_STREAM;
}

/* ---- states ---- */

/* What prepares a case is told, too, where it fails. */
static void prepared(const char *what, long result)
{
	if (result < 0)
		transparent_say("%s:%s", what, strerrorname_np(errno));
}

static void to_address(struct scene *scene, const char *what,
		       int (*call)(int, const struct sockaddr *, socklen_t), in_port_t port)
{
	union address address;
	socklen_t len = address_loopback(scene->kind, port, &address);

	prepared(what, call(scene->fd, &address.sa, len));
}

static void set(struct scene *scene, int level, int option, int value)
{
	prepared("set", setsockopt(scene->fd, level, option, &value, sizeof(value)));
}

static void to_nonblock(struct scene *scene)
{
	fcntl(scene->fd, F_SETFL, fcntl(scene->fd, F_GETFL) | O_NONBLOCK);
}

static void fresh(struct scene *scene)
{
	(void)scene;
}

static void bound(struct scene *scene)
{
	to_address(scene, "bind", bind, transparent_ports.own);
}

static void bound_zero(struct scene *scene)
{
	to_address(scene, "bind", bind, 0);
}

static void bound_any(struct scene *scene)
{
	union address address;
	socklen_t len = address_value("any-own")->fill(scene->kind, &address);

	prepared("bind", bind(scene->fd, &address.sa, len));
}

static void put_off(struct scene *scene)
{
	set(scene, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	bound_zero(scene);
}

static void connected(struct scene *scene)
{
	to_address(scene, "connect", connect, transparent_ports.peer);
}

static void bound_connected(struct scene *scene)
{
	bound(scene);
	connected(scene);
}

static void zero_connected(struct scene *scene)
{
	bound_zero(scene);
	connected(scene);
}

static void put_off_connected(struct scene *scene)
{
	put_off(scene);
	connected(scene);
}

static void refused(struct scene *scene)
{
	to_address(scene, "connect", connect, transparent_ports.closed);
}

static void dissolve(struct scene *scene)
{
	const struct sockaddr_in6 none = { .sin6_family = AF_UNSPEC };

	prepared("dissolve", connect(scene->fd, (const struct sockaddr *)&none, sizeof(none)));
}

static void dissolved(struct scene *scene)
{
	connected(scene);
	dissolve(scene);
}

static void bound_dissolved(struct scene *scene)
{
	bound_connected(scene);
	dissolve(scene);
}

static void nonblock(struct scene *scene)
{
	to_nonblock(scene);
}

static void nonblock_connected(struct scene *scene)
{
	struct pollfd ready = { .fd = scene->fd, .events = POLLOUT };

	to_nonblock(scene);
	connected(scene);
	poll(&ready, 1, PATIENCE_MS);
}

/* Nobody answers, as the listener takes no more. */
static void fill_listener(struct scene *scene)
{
	union address address;
	socklen_t len = address_loopback(scene->kind, transparent_ports.full, &address);
	int fd = socket(scene->kind->domain, SOCK_STREAM, 0);

	scene->full = socket(scene->kind->domain, SOCK_STREAM, 0);
	prepared("full", bind(scene->full, &address.sa, len));
	prepared("full", listen(scene->full, 0));
	prepared("full", connect(fd, &address.sa, len));
}

static void connecting(struct scene *scene)
{
	fill_listener(scene);
	to_nonblock(scene);
	to_address(scene, "connect", connect, transparent_ports.full);
}

static void listening(struct scene *scene)
{
	prepared("listen", listen(scene->fd, 5));
}

static void bound_listening(struct scene *scene)
{
	bound(scene);
	listening(scene);
}

static void zero_listening(struct scene *scene)
{
	bound_zero(scene);
	listening(scene);
}

static void shut_listening(struct scene *scene)
{
	listening(scene);
	prepared("shutdown", shutdown(scene->fd, SHUT_RDWR));
}

static void shut_fresh(struct scene *scene)
{
	prepared("shutdown", shutdown(scene->fd, SHUT_RDWR));
}

static void shut_read(struct scene *scene)
{
	connected(scene);
	prepared("shutdown", shutdown(scene->fd, SHUT_RD));
}

/* Until the other side has said that it knows */
static void shut(struct scene *scene, int how)
{
	uint8_t state = TCP_FIN_WAIT1;
	socklen_t len = sizeof(state);
	int i;

	connected(scene);
	prepared("shutdown", shutdown(scene->fd, how));
	for (i = 0; i < 1000000 && state == TCP_FIN_WAIT1; i++)
		if (getsockopt(scene->fd, IPPROTO_TCP, TCP_INFO, &state, &len))
			break;
	scene->shut = scene_is_stream(scene->kind);
}

static void shut_write(struct scene *scene)
{
	shut(scene, SHUT_WR);
}

static void shut_both(struct scene *scene)
{
	shut(scene, SHUT_RDWR);
}

/* The other side has gone, and has said so. */
static void reset(struct scene *scene)
{
	const struct linger linger = { 1, 0 };
	struct pollfd ready = { .fd = scene->peer, .events = POLLIN };
	struct pollfd gone = { .fd = scene->fd, .events = POLLIN };
	int fd;

	connected(scene);
	poll(&ready, 1, PATIENCE_MS);
	fd = accept(scene->peer, NULL, NULL);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	poll(&gone, 1, PATIENCE_MS);
}

static void send_to_peer(struct scene *scene, int times)
{
	union address address;
	socklen_t len = address_loopback(scene->kind, transparent_ports.peer, &address);
	char byte;

	while (times--) {
		prepared("sendto", sendto(scene->fd, "x", 1, 0, &address.sa, len));
		recv(scene->peer, &byte, 1, 0);
	}
}

static void sent(struct scene *scene)
{
	send_to_peer(scene, 1);
}

static void sent_often(struct scene *scene)
{
	send_to_peer(scene, 3);
}

static void bound_sent(struct scene *scene)
{
	bound(scene);
	send_to_peer(scene, 3);
}

/* A send that fails, and leaves the kernel's socket with a port. */
static void sent_nowhere(struct scene *scene)
{
	prepared("send", send(scene->fd, "x", 1, 0));
}

static void sent_in_vain(struct scene *scene)
{
	union address address;
	socklen_t len = address_value("prohibited")->fill(scene->kind, &address);

	prepared("sendto", sendto(scene->fd, "x", 1, 0, &address.sa, len));
}

static void twin(struct scene *scene)
{
	scene->fd = dup(scene->fd);
}

static void twin_bound(struct scene *scene)
{
	int first = scene->fd;

	twin(scene);
	bound(scene);
	scene->fd = first;
}

static void twin_connected(struct scene *scene)
{
	int first = scene->fd;

	twin(scene);
	connected(scene);
	scene->fd = first;
}

static void cloexec(struct scene *scene)
{
	fcntl(scene->fd, F_SETFD, FD_CLOEXEC);
}

static void reuseaddr(struct scene *scene)
{
	set(scene, SOL_SOCKET, SO_REUSEADDR, 1);
}

static void reuseport(struct scene *scene)
{
	set(scene, SOL_SOCKET, SO_REUSEPORT, 1);
}

static void reuse_both(struct scene *scene)
{
	reuseaddr(scene);
	reuseport(scene);
}

static void reuse_zero(struct scene *scene)
{
	reuse_both(scene);
	bound_zero(scene);
}

static void reuse_bound(struct scene *scene)
{
	reuse_both(scene);
	bound(scene);
}

static void device(struct scene *scene)
{
	prepared("device", setsockopt(scene->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}

static void ifindex(struct scene *scene)
{
	set(scene, SOL_SOCKET, SO_BINDTOIFINDEX, (int)if_nametoindex("lo"));
}

static void device_zero(struct scene *scene)
{
	device(scene);
	bound_zero(scene);
}

static void device_connected(struct scene *scene)
{
	device(scene);
	connected(scene);
}

static void device_dissolved(struct scene *scene)
{
	device_connected(scene);
	dissolve(scene);
}

static void device_nowhere(struct scene *scene)
{
	device(scene);
	sent_nowhere(scene);
}

static void no_port(struct scene *scene)
{
	set(scene, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

static void freebind(struct scene *scene)
{
	set(scene, IPPROTO_IP, IP_FREEBIND, 1);
}

static void transparent(struct scene *scene)
{
	set(scene, IPPROTO_IP, IP_TRANSPARENT, 1);
}

static void v6only(struct scene *scene)
{
	set(scene, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

static void v6only_zero(struct scene *scene)
{
	v6only(scene);
	bound_zero(scene);
}

static void fastopen_server(struct scene *scene)
{
	set(scene, IPPROTO_TCP, TCP_FASTOPEN, 5);
}

static void fastopen_connect(struct scene *scene)
{
	set(scene, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
}

static void fastopen_put_off(struct scene *scene)
{
	fastopen_connect(scene);
	connected(scene);
}

static void defer_accept(struct scene *scene)
{
	set(scene, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3);
}

static void pktinfo(struct scene *scene)
{
	set(scene, IPPROTO_IP, IP_PKTINFO, 1);
	if (scene->kind->domain == AF_INET6)
		set(scene, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static void recverr(struct scene *scene)
{
	set(scene, IPPROTO_IP, IP_RECVERR, 1);
	if (scene->kind->domain == AF_INET6)
		set(scene, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

static void broadcast(struct scene *scene)
{
	set(scene, SOL_SOCKET, SO_BROADCAST, 1);
}

static void linger(struct scene *scene)
{
	const struct linger value = { 1, 0 };

	prepared("set", setsockopt(scene->fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value)));
}

static void timeouts(struct scene *scene)
{
	const struct timeval value = { 0, 300000 };

	prepared("set", setsockopt(scene->fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value)));
	prepared("set", setsockopt(scene->fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)));
}

static void mark(struct scene *scene)
{
	set(scene, SOL_SOCKET, SO_MARK, 7);
}

static void cork(struct scene *scene)
{
	set(scene, IPPROTO_TCP, TCP_CORK, 1);
	set(scene, IPPROTO_TCP, TCP_NODELAY, 1);
	set(scene, IPPROTO_IP, IP_TTL, 7);
	set(scene, IPPROTO_IP, IP_TOS, 16);
}

const struct state scene_states[] = {
	{ "fresh", 0, fresh },
	{ "bound", 0, bound },
	{ "bound-any", 0, bound_any },
	{ "bound-zero", 0, bound_zero },
	{ "put-off", 0, put_off },
	{ "connected", 0, connected },
	{ "bound-connected", 0, bound_connected },
	{ "zero-connected", 0, zero_connected },
	{ "put-off-connected", 0, put_off_connected },
	{ "refused", 0, refused },
	{ "dissolved", 0, dissolved },
	{ "bound-dissolved", 0, bound_dissolved },
	{ "nonblock", 0, nonblock },
	{ "nonblock-connected", 0, nonblock_connected },
	{ "connecting", SOCK_STREAM, connecting },
	{ "listening", SOCK_STREAM, listening },
	{ "bound-listening", SOCK_STREAM, bound_listening },
	{ "zero-listening", SOCK_STREAM, zero_listening },
	{ "shut-listening", SOCK_STREAM, shut_listening },
	{ "shut-fresh", 0, shut_fresh },
	{ "shut-read", 0, shut_read },
	{ "shut-write", 0, shut_write },
	{ "shut-both", 0, shut_both },
	{ "reset", SOCK_STREAM, reset },
	{ "sent", SOCK_DGRAM, sent },
	{ "sent-often", SOCK_DGRAM, sent_often },
	{ "bound-sent", SOCK_DGRAM, bound_sent },
	{ "sent-nowhere", 0, sent_nowhere },
	{ "sent-in-vain", SOCK_DGRAM, sent_in_vain },
	{ "twin", 0, twin },
	{ "twin-bound", 0, twin_bound },
	{ "twin-connected", 0, twin_connected },
	{ "cloexec", 0, cloexec },
	{ "reuseaddr", 0, reuseaddr },
	{ "reuseport", 0, reuseport },
	{ "reuse-both", 0, reuse_both },
	{ "reuse-zero", 0, reuse_zero },
	{ "reuse-bound", 0, reuse_bound },
	{ "device", 0, device },
	{ "ifindex", 0, ifindex },
	{ "device-zero", 0, device_zero },
	{ "device-connected", 0, device_connected },
	{ "device-dissolved", 0, device_dissolved },
	{ "device-nowhere", SOCK_DGRAM, device_nowhere },
	{ "no-port", 0, no_port },
	{ "freebind", 0, freebind },
	{ "transparent", 0, transparent },
	{ "v6only", 0, v6only },
	{ "v6only-zero", 0, v6only_zero },
	{ "fastopen", SOCK_STREAM, fastopen_server },
	{ "fastopen-connect", SOCK_STREAM, fastopen_connect },
	{ "fastopen-put-off", SOCK_STREAM, fastopen_put_off },
	{ "defer-accept", SOCK_STREAM, defer_accept },
	{ "pktinfo", SOCK_DGRAM, pktinfo },
	{ "recverr", SOCK_DGRAM, recverr },
	{ "broadcast", SOCK_DGRAM, broadcast },
	{ "linger", SOCK_STREAM, linger },
	{ "timeouts", 0, timeouts },
	{ "mark", 0, mark },
	{ "cork", SOCK_STREAM, cork },
};
const size_t scene_states_count = COUNT(scene_states);

const struct state *scene_state(const char *name)
{
	size_t i;

	for (i = 0; i < scene_states_count; i++)
		if (!strcmp(scene_states[i].name, name))
			return &scene_states[i];
	return NULL;
}

/* ---- scenes ---- */

static int open_peer(const struct kind *kind)
{
	union address address;
	socklen_t len = address_value("peer")->fill(kind, &address);
	int fd;

	if (kind->make || (!kind->inet && kind->domain != AF_UNIX))
		return -1;
	fd = socket(kind->domain, kind->type | SOCK_NONBLOCK, kind->protocol);
	prepared("peer", fd);
	prepared("peer-bind", bind(fd, &address.sa, len));
	if (kind->type != SOCK_DGRAM)
		prepared("peer-listen", listen(fd, 5));
	return fd;
}

void scene_open(struct scene *scene, const struct kind *kind, const struct state *state)
{
	*scene = (struct scene){ .kind = kind, .accepted = -1, .full = -1 };
	scene->peer = open_peer(kind);
	if (kind->make)
		scene->fd = kind->make();
	else
		scene->fd = socket(kind->domain, kind->type, kind->protocol);
	if (!kind->make)
		prepared("socket", scene->fd);
	state->prepare(scene);
}

static void wait_for(int fd, bool expected)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	poll(&ready, 1, expected ? PATIENCE_MS : 0);
}

void scene_arrived(struct scene *scene, bool expected)
{
	union address from;
	socklen_t len = sizeof(from);
	char data[256];
	int fd = scene->peer;
	ssize_t n;

	if (fd < 0)
		return;
	if (scene->kind->type != SOCK_DGRAM) {
		wait_for(fd, expected || scene->shut);
		scene->accepted = fd = accept(fd, &from.sa, &len);
		if (fd < 0)
			return;
		if (scene->kind->inet)
			address_say("from", &from, len);
		wait_for(fd, expected);
	}
	wait_for(fd, scene->shut);
	while (len = sizeof(from),
	       (n = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, &from.sa, &len)) >= 0) {
		transparent_say("got=%zd", n);
		if (scene->kind->type != SOCK_DGRAM)
			break;
		if (scene->kind->inet)
			address_say("from", &from, len);
	}
}

void scene_close(struct scene *scene)
{
	const struct linger now = { 1, 0 };
	int fd;

	(void)scene;
	for (fd = 3; fd < 64; fd++)
		syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &now, (socklen_t)sizeof(now));
}
