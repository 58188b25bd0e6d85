#include "operations.h"

#include "soak.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define PORT 7000 /* the first of the servers' */
#define PORTS 8
#define ADDRESSES 200 /* 127.0.0.2 and on; 127.0.0.1 is the hot one's */
#define CLOSED_PORT 6

static _Thread_local int current; /* the operation that the thread is at */

/* ---- addresses ---- */

union address {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

static socklen_t address_len(const union address *address)
{
	return address->sa.sa_family == AF_INET ? sizeof(address->in4) : sizeof(address->in6);
}

static union address ipv4(uint32_t host, unsigned port)
{
	union address address = { .in4 = { .sin_family = AF_INET } };

	address.in4.sin_addr.s_addr = htonl(host);
	address.in4.sin_port = htons((in_port_t)port);
	return address;
}

static union address ipv6(struct in6_addr host, unsigned port)
{
	union address address = { .in6 = { .sin6_family = AF_INET6, .sin6_addr = host } };

	address.in6.sin6_port = htons((in_port_t)port);
	return address;
}

static union address any_server(void)
{
	return ipv4(INADDR_LOOPBACK + 1 + soak_draw(ADDRESSES), PORT + soak_draw(PORTS));
}

static union address any_server6(void)
{
	return ipv6(in6addr_loopback, PORT + soak_draw(PORTS));
}

/* 127.1.0.0 to 127.1.255.255: so many that a port is nearly always free on one */
static union address rare_source(void)
{
	return ipv4(INADDR_LOOPBACK + (1 << 16) + soak_draw(1 << 16), 0);
}

/* ---- counted calls ---- */

static int count(enum soak_call call, long result)
{
	int error = result < 0 ? errno : 0;

	atomic_fetch_add(&soak->counts[current][call][error], 1);
	return error;
}

/* Return: the port, which is an escape if it is not in the range */
static unsigned check_port(int fd)
{
	union address local;
	socklen_t len = sizeof(local);
	unsigned port;

	if (getsockname(fd, &local.sa, &len))
		soak_die("getsockname");
	port = ntohs(local.in4.sin_port); /* at the same place in both families */
	if (port < soak->first || port > soak->last) {
		fprintf(stderr, "escape: %s, port %u\n", operations_name(current), port);
		atomic_fetch_add(&soak->escapes, 1);
	}
	return port;
}

static int new_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		soak_die("socket");
	return fd;
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		soak_die("setsockopt");
}

static int try_bind(int fd, union address address)
{
	int error = count(SOAK_BIND, bind(fd, &address.sa, address_len(&address)));

	if (!error)
		check_port(fd);
	return error;
}

static int try_listen(int fd)
{
	int error = count(SOAK_LISTEN, listen(fd, 16));

	if (!error)
		check_port(fd);
	return error;
}

/* Half of them do not block, and their end is waited for. */
static int try_connect(int fd, union address peer)
{
	int block = fcntl(fd, F_GETFL), rc, error;
	socklen_t len = sizeof(error);
	bool waits = soak_draw(2);

	if (waits)
		fcntl(fd, F_SETFL, block | O_NONBLOCK);
	rc = connect(fd, &peer.sa, address_len(&peer));
	if (rc && errno == EINPROGRESS) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

		while (poll(&poll_fd, 1, -1) < 0)
			;
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		errno = error;
		rc = error ? -1 : 0;
	}
	error = count(SOAK_CONNECT, rc);
	if (waits)
		fcntl(fd, F_SETFL, block);
	if (!error)
		check_port(fd);
	return error;
}

/* A socket's first send is told apart by its call. */
static int try_send(int fd, union address peer, bool again)
{
	char byte = 'x';
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_name = &peer,
						      .msg_namelen = address_len(&peer),
						      .msg_iov = &data,
						      .msg_iovlen = 1 } } };
	enum soak_call call = SOAK_SENDTO + soak_draw(3);
	long result;

	messages[1] = messages[0];
	if (call == SOAK_SENDTO)
		result = sendto(fd, &byte, 1, 0, &peer.sa, address_len(&peer));
	else if (call == SOAK_SENDMSG)
		result = sendmsg(fd, &messages->msg_hdr, 0);
	else
		result = sendmmsg(fd, messages, 2, 0);
	return count(again ? SOAK_AGAIN : call, result);
}

/* ---- slots ---- */

const struct slot operations_empty = { .fd = -1, .listener = -1, .accepted = -1 };

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_with_reset(int *fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_one(fd);
}

/* A server closes when it is told so by a byte; the other end of a pair is our own. */
static void close_by_server(struct slot *slot)
{
	bool resets = slot->ending == SERVER_RESET;
	char byte = resets ? 'r' : 's';

	if (slot->accepted >= 0 && resets)
		close_with_reset(&slot->accepted);
	else if (slot->accepted >= 0)
		close_one(&slot->accepted);
	else if (send(slot->fd, &byte, 1, MSG_NOSIGNAL) != 1)
		return;
	while (recv(slot->fd, &byte, 1, 0) > 0)
		;
}

void operations_clear(struct slot *slot)
{
	if (slot->connected && (slot->ending == SERVER || slot->ending == SERVER_RESET))
		close_by_server(slot);
	if (slot->connected && slot->ending == CLIENT_RESET)
		close_with_reset(&slot->fd);
	close_one(&slot->fd);
	close_one(&slot->accepted);
	close_one(&slot->listener);
	*slot = operations_empty;
}

/* ---- operations ---- */

static void connect_to(struct slot *slot, union address peer)
{
	slot->ending = (enum ending)soak_draw(4);
	slot->connected = !try_connect(slot->fd, peer);
}

static void tcp_hot(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	connect_to(slot, ipv4(INADDR_LOOPBACK, PORT));
}

static void tcp_many(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	connect_to(slot, any_server());
}

/* Nearly nothing is left in TIME_WAIT here, so that a wildcard bind finds a port. */
static void tcp6_many(struct slot *slot)
{
	slot->fd = new_socket(AF_INET6, SOCK_STREAM);
	connect_to(slot, any_server6());
	if (slot->ending == CLIENT)
		slot->ending = SERVER;
}

static void tcp_mapped(struct slot *slot)
{
	union address peer = any_server();
	struct in6_addr host = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(host.s6_addr + 12, &peer.in4.sin_addr, 4);
	slot->fd = new_socket(AF_INET6, SOCK_STREAM);
	connect_to(slot, ipv6(host, ntohs(peer.in4.sin_port)));
}

/* From an address of its own, with the port left to connect. */
static void tcp_from(struct slot *slot)
{
	union address source = ipv4(INADDR_LOOPBACK + soak_draw(8), 0);

	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	set(slot->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (bind(slot->fd, &source.sa, address_len(&source)))
		soak_die("bind");
	connect_to(slot, any_server());
}

static void tcp_bound(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	if (!try_bind(slot->fd, rare_source()))
		connect_to(slot, any_server());
}

static void tcp_refused(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	try_connect(slot->fd, ipv4(INADDR_LOOPBACK, CLOSED_PORT));
}

/* Both ends are ours, so that either closes first in the range. */
static void tcp_pair(struct slot *slot)
{
	union address peer = rare_source();
	socklen_t len = sizeof(peer);

	slot->listener = new_socket(AF_INET, SOCK_STREAM);
	if (soak_draw(2))
		set(slot->listener, SOL_SOCKET, SO_REUSEADDR, 1);
	if (try_bind(slot->listener, peer) || try_listen(slot->listener))
		return;
	getsockname(slot->listener, &peer.sa, &len);
	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	connect_to(slot, peer);
	if (!slot->connected)
		return;
	slot->accepted = accept4(slot->listener, NULL, NULL, SOCK_CLOEXEC);
	if (slot->accepted < 0)
		soak_die("accept4");
	check_port(slot->accepted);
}

static void bind_tcp(struct slot *slot, int family, union address address)
{
	slot->fd = new_socket(family, SOCK_STREAM);
	if (family == AF_INET6)
		set(slot->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (soak_draw(2))
		set(slot->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!try_bind(slot->fd, address) && soak_draw(2))
		try_listen(slot->fd);
}

static void tcp_bind_any(struct slot *slot)
{
	bind_tcp(slot, AF_INET, ipv4(INADDR_ANY, 0));
}

static void tcp_bind_address(struct slot *slot)
{
	bind_tcp(slot, AF_INET, rare_source());
}

static void tcp6_bind_any(struct slot *slot)
{
	bind_tcp(slot, AF_INET6, ipv6(in6addr_any, 0));
}

static void tcp_listen(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	try_listen(slot->fd);
}

static void tcp6_listen(struct slot *slot)
{
	slot->fd = new_socket(AF_INET6, SOCK_STREAM);
	set(slot->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	try_listen(slot->fd);
}

static void udp_bind_any(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_DGRAM);
	try_bind(slot->fd, ipv4(INADDR_ANY, 0));
}

static void udp_bind_address(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_DGRAM);
	try_bind(slot->fd, rare_source());
}

/* The first send gives the port, if connect() has not, and the others keep it. */
static void sends(struct slot *slot, union address (*peer)(void))
{
	unsigned port, i;

	if (try_send(slot->fd, peer(), false))
		return;
	port = check_port(slot->fd);
	for (i = soak_draw(10); i; i--)
		try_send(slot->fd, peer(), true);
	if (check_port(slot->fd) != port) {
		fprintf(stderr, "escape: %s, a send has changed the port\n",
			operations_name(current));
		atomic_fetch_add(&soak->escapes, 1);
	}
}

static void udp_sends(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_DGRAM);
	sends(slot, any_server);
}

static void udp6_sends(struct slot *slot)
{
	slot->fd = new_socket(AF_INET6, SOCK_DGRAM);
	sends(slot, any_server6);
}

static void udp_connect(struct slot *slot)
{
	slot->fd = new_socket(AF_INET, SOCK_DGRAM);
	if (!try_connect(slot->fd, any_server()))
		sends(slot, any_server);
}

/* Without its connection it has no port, unless it was bound to it. */
static void udp_dissolve(struct slot *slot)
{
	union address none = { .sa.sa_family = AF_UNSPEC };

	udp_connect(slot);
	if (connect(slot->fd, &none.sa, sizeof(none.in4)))
		soak_die("connect");
	sends(slot, any_server);
}

/* The number of a socket that has its port comes to mean one that has none. */
static void udp_replace(struct slot *slot)
{
	int fd;

	udp_sends(slot);
	fd = new_socket(AF_INET, SOCK_DGRAM);
	if (dup3(fd, slot->fd, O_CLOEXEC) < 0)
		soak_die("dup3");
	close_one(&fd);
	sends(slot, any_server);
}

/* While other threads are anywhere. The child's end ends its copies of what they hold, too. */
static void in_fork(struct slot *slot)
{
	pid_t pid = fork();

	if (pid < 0)
		soak_die("fork");
	if (pid == 0) {
		tcp_many(slot);
		udp_sends(slot);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0)
		;
}

/* UDP has so much of it that its ports run out on each wave's crest. */
static const struct {
	const char *name;
	unsigned weight;
	void (*make)(struct slot *slot);
} operations[] = {
	{ "tcp-hot", 14, tcp_hot },
	{ "tcp-many", 12, tcp_many },
	{ "tcp6-many", 8, tcp6_many },
	{ "tcp-mapped", 4, tcp_mapped },
	{ "tcp-from", 4, tcp_from },
	{ "tcp-bound", 4, tcp_bound },
	{ "tcp-refused", 3, tcp_refused },
	{ "tcp-pair", 6, tcp_pair },
	{ "tcp-bind-any", 2, tcp_bind_any },
	{ "tcp-bind-address", 3, tcp_bind_address },
	{ "tcp6-bind-any", 2, tcp6_bind_any },
	{ "tcp-listen", 2, tcp_listen },
	{ "tcp6-listen", 2, tcp6_listen },
	{ "udp-bind-any", 6, udp_bind_any },
	{ "udp-bind-address", 4, udp_bind_address },
	{ "udp-sends", 12, udp_sends },
	{ "udp6-sends", 5, udp6_sends },
	{ "udp-connect", 6, udp_connect },
	{ "udp-dissolve", 3, udp_dissolve },
	{ "udp-replace", 3, udp_replace },
	{ "fork", 1, in_fork },
};

#define OPERATIONS ((int)(sizeof(operations) / sizeof(*operations)))

_Static_assert(sizeof(operations) / sizeof(*operations) <= SOAK_OPERATIONS, "each has its counts");

int operations_draw(void)
{
	unsigned total = 0, at;
	int i;

	for (i = 0; i < OPERATIONS; i++)
		total += operations[i].weight;
	at = soak_draw(total);
	for (i = 0; at >= operations[i].weight; i++)
		at -= operations[i].weight;
	return i;
}

const char *operations_name(int operation)
{
	return operation < OPERATIONS ? operations[operation].name : NULL;
}

const char *operations_call_name(int call)
{
	static const char *const names[SOAK_CALLS] = { "bind",    "connect",  "listen", "sendto",
						       "sendmsg", "sendmmsg", "again" };

	return names[call];
}

void operations_make(int operation, struct slot *slot)
{
	current = operation;
	operations[operation].make(slot);
}
