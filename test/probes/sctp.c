/*
 * sctp: each way in which an SCTP socket gets a port without naming one, by libsctp's own functions.
 *
 *   sctp serve            listens on port 7000 of every address, says "ready", ends with its input
 *   sctp ways [N]         every way, style and family, N times: "sctp4 one bind 20013 0"; then "ready",
 *                         and holds the sockets until its input ends
 *   sctp exhaust          every way, style and family again and again, until it fails: how often it
 *                         went well, and the errno: "sctp4 one bind 4 EADDRINUSE"
 *   sctp exhaust reuse    the same with each option on that shares ports
 *   sctp beside FIRST N   binds N ports at 127.0.0.2, and then says which ones are had at 127.0.0.1 alone
 *                         and at both; says "ready" and holds them
 *   sctp named PORT       explicit binds: "NAME RESULT bound|unbound|outside"
 *   sctp odd FIRST LAST   bad input and odd orders: "NAME RESULT bound|unbound|outside", of this range
 *   sctp peel             an association peeled off to a number that meant something else before
 *   sctp wire             the ports of all SCTP packets on the loopback, other than 7000, once its
 *                         input has ended; says "ready" when it listens
 *
 * Families: sctp4, sctp6, and mapped (IPv4-mapped addresses) and mixed (IPv4 addresses) on IPv6 sockets.
 * Exit status: 77 where the kernel has no SCTP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SERVER = 7000 };

enum family { V4, V6, MAPPED, MIXED, FAMILIES };

static const char *const family_names[] = { "sctp4", "sctp6", "mapped", "mixed" };

/* Of loopback; @host: the last byte of the IPv4 ones, IPv6 has but one. */
static struct sockaddr_in6 loopback(enum family family, int host, int port)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	char text[32];

	in4.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~255U) | (unsigned)host);
	snprintf(text, sizeof(text), "::ffff:127.0.0.%d", host);
	if (family == V6)
		addr.sin6_addr = in6addr_loopback;
	else if (family == MAPPED)
		inet_pton(AF_INET6, text, &addr.sin6_addr);
	else
		memcpy(&addr, &in4, sizeof(in4));
	return addr;
}

static socklen_t length(enum family family)
{
	return family == V4 || family == MIXED ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6);
}

static int open_socket(enum family family, bool many)
{
	int fd = socket(family == V4 ? AF_INET : AF_INET6, many ? SOCK_SEQPACKET : SOCK_STREAM,
			IPPROTO_SCTP);

	if (fd < 0) {
		printf("no SCTP: %s\n", strerrorname_np(errno));
		exit(77);
	}
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in6 local = { .sin6_family = AF_UNSPEC };
	socklen_t len = sizeof(local);

	getsockname(fd, (struct sockaddr *)&local, &len);
	/* of IPv4, it is in the same place */
	return ntohs(local.sin6_port);
}

/* Calls may be interrupted by nothing else; what they answer if they go well is of no interest. */
static const char *verdict(long result)
{
	return result < 0 ? strerrorname_np(errno) : "0";
}

/* ---- the ways ---- */

struct to {
	struct sockaddr_in6 addr;
	socklen_t len;
	enum family family;
};

static long by_bind(int fd, const struct to *to)
{
	struct sockaddr_in6 addr = loopback(to->family, 1, 0);

	return bind(fd, (struct sockaddr *)&addr, to->len);
}

static long by_connect(int fd, const struct to *to)
{
	return connect(fd, (const struct sockaddr *)&to->addr, to->len);
}

static long by_listen(int fd, const struct to *to)
{
	(void)to;
	return listen(fd, 1);
}

static long by_sendto(int fd, const struct to *to)
{
	return sendto(fd, "x", 1, 0, (const struct sockaddr *)&to->addr, to->len);
}

static long by_sendmsg(int fd, const struct to *to)
{
	return sctp_sendmsg(fd, "x", 1, (struct sockaddr *)&to->addr, to->len, 0, 0, 0, 0, 0);
}

static long by_sendmmsg(int fd, const struct to *to)
{
	struct iovec data = { .iov_base = (void *)"x", .iov_len = 1 };
	struct mmsghdr message[2] = { { .msg_hdr = { .msg_name = (void *)&to->addr,
						     .msg_namelen = to->len,
						     .msg_iov = &data,
						     .msg_iovlen = 1 } } };

	message[1] = message[0];
	return sendmmsg(fd, message, 2, 0);
}

/* The first message ends all associations, of which there is none, and goes well. */
static long by_sendall(int fd, const struct to *to)
{
	char room[CMSG_SPACE(sizeof(struct sctp_sndinfo))] = { 0 };
	struct iovec data = { .iov_base = (void *)"x", .iov_len = 1 };
	struct sctp_sndinfo info = { .snd_flags = SCTP_SENDALL | SCTP_EOF };
	struct mmsghdr message[2] = { { .msg_hdr = { .msg_iov = NULL } } };
	struct cmsghdr *control;

	message[1].msg_hdr.msg_iov = &data;
	message[1].msg_hdr.msg_iovlen = 1;
	message[1].msg_hdr.msg_name = (void *)&to->addr;
	message[1].msg_hdr.msg_namelen = to->len;
	message[0].msg_hdr.msg_control = room;
	message[0].msg_hdr.msg_controllen = sizeof(room);
	control = CMSG_FIRSTHDR(&message[0].msg_hdr);
	control->cmsg_level = IPPROTO_SCTP;
	control->cmsg_type = SCTP_SNDINFO;
	control->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(control), &info, sizeof(info));
	return sendmmsg(fd, message, 2, 0);
}

/* Packs two addresses: of IPv6 loopback has but one, and the other is an IPv4 one. */
static size_t pack(char *ret_room, enum family family, int port)
{
	struct sockaddr_in6 first = loopback(family, 1, port);
	enum family other = family == V6 ? MIXED : family;
	struct sockaddr_in6 second = loopback(other, 2, port);

	memcpy(ret_room, &first, length(family));
	memcpy(ret_room + length(family), &second, length(other));
	return length(family) + length(other);
}

static long by_sendv(int fd, const struct to *to)
{
	struct iovec data = { .iov_base = (void *)"x", .iov_len = 1 };
	char room[2 * sizeof(to->addr)];

	pack(room, to->family, SERVER);
	return sctp_sendv(fd, &data, 1, (struct sockaddr *)room, 2, NULL, 0, SCTP_SENDV_NOINFO, 0);
}

static long by_bindx(int fd, const struct to *to)
{
	struct sockaddr_in6 addr = loopback(to->family, 1, 0);

	return sctp_bindx(fd, (struct sockaddr *)&addr, 1, SCTP_BINDX_ADD_ADDR);
}

static long by_bindx_of_two(int fd, const struct to *to)
{
	char room[2 * sizeof(to->addr)], before[sizeof(room)];
	size_t size = pack(room, to->family, 0);
	long result;

	memcpy(before, room, size);
	result = sctp_bindx(fd, (struct sockaddr *)room, 2, SCTP_BINDX_ADD_ADDR);
	if (memcmp(before, room, size))
		printf("the program's array was written to\n");
	return result;
}

static long by_connectx(int fd, const struct to *to)
{
	char room[2 * sizeof(to->addr)];
	sctp_assoc_t id = 0;
	long result;

	pack(room, to->family, SERVER);
	result = sctp_connectx(fd, (struct sockaddr *)room, 2, &id);
	if (!result && !id)
		printf("no association\n");
	return result;
}

/* of older libsctps */
static long by_connectx_110(int fd, const struct to *to)
{
	return setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, &to->addr, to->len);
}

static long by_connectx_107(int fd, const struct to *to)
{
	return setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX_OLD, &to->addr, to->len);
}

static const struct way {
	const char *name;
	long (*call)(int fd, const struct to *to);
	bool many; /* one-to-many sockets only */
} ways[] = {
	{ "bind", by_bind, false },
	{ "connect", by_connect, false },
	{ "listen", by_listen, false },
	{ "sendto", by_sendto, false },
	{ "sctp_sendmsg", by_sendmsg, false },
	{ "sendmmsg", by_sendmmsg, false },
	{ "sendall", by_sendall, true },
	{ "sctp_sendv", by_sendv, false },
	{ "sctp_bindx", by_bindx, false },
	{ "sctp_bindx-2", by_bindx_of_two, false },
	{ "sctp_connectx", by_connectx, false },
	{ "connectx-110", by_connectx_110, false },
	{ "connectx-107", by_connectx_107, false },
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

typedef void each_fn(enum family family, bool many, const struct way *way);

static void for_each(each_fn *each)
{
	enum family family;
	int many, way;

	for (family = V4; family < FAMILIES; family++)
		for (many = 0; many < 2; many++)
			for (way = 0; way < WAYS; way++)
				if (many || !ways[way].many)
					each(family, many, &ways[way]);
}

static struct to server_of(enum family family)
{
	struct to to = { .addr = loopback(family, 1, SERVER),
			 .len = length(family),
			 .family = family };

	return to;
}

static bool sharing;

static void share(int fd)
{
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	/* of one-to-one sockets alone */
	setsockopt(fd, IPPROTO_SCTP, SCTP_REUSE_PORT, &one, sizeof(one));
}

static int call(enum family family, bool many, const struct way *way, const char **ret_verdict)
{
	struct to to = server_of(family);
	int fd = open_socket(family, many);

	if (sharing)
		share(fd);
	errno = 0;
	*ret_verdict = verdict(way->call(fd, &to));
	return fd;
}

static void say_way(enum family family, bool many, const struct way *way)
{
	const char *result;
	int fd = call(family, many, way, &result);

	printf("%s %s %s %d %s\n", family_names[family], many ? "many" : "one", way->name,
	       port_of(fd), result);
}

enum { MOST = 64 };

static void say_exhaust(enum family family, bool many, const struct way *way)
{
	const struct linger now = { .l_onoff = 1 };
	const char *result = "0";
	int fds[MOST], n = 0;

	while (n < MOST) {
		fds[n++] = call(family, many, way, &result);
		if (strcmp(result, "0"))
			break;
	}
	printf("%s %s %s %d %s %s\n", family_names[family], many ? "many" : "one", way->name, n - 1,
	       result, port_of(fds[n - 1]) ? "bound" : "unbound");
	/* at once, so that the next way finds all ports free */
	while (n) {
		setsockopt(fds[--n], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(fds[n]);
	}
}

/* ---- odd calls ---- */

static int first_port, last_port;

static void odd(const char *name, int fd, long result)
{
	const char *said = verdict(result);

	int port = fd < 0 ? 0 : port_of(fd);

	printf("%s %s %s\n", name, said,
	       !port                                     ? "unbound"
	       : port >= first_port && port <= last_port ? "bound"
							 : "outside");
	if (fd >= 0)
		close(fd);
}

static long add(int fd, const void *addrs, socklen_t len)
{
	return setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, addrs, len);
}

static long connectx3(int fd, void *addrs, int size, socklen_t len)
{
	struct sctp_getaddrs_old param = { .addr_num = size, .addrs = addrs };

	return getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len);
}

static void odd_bindx(void)
{
	struct sockaddr_in6 in4 = loopback(V4, 1, 0), in6 = loopback(V6, 1, 0);
	struct sockaddr_in6 far = in4, named = loopback(V4, 1, 20001), zero = in4;
	/* of no range here */
	struct sockaddr_in6 other = loopback(V4, 2, 7001);
	struct sockaddr_in room[3];
	char *nowhere = (char *)8,
	     *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t full = sizeof(struct sockaddr_in);
	struct rlimit limit, few;
	int fd;

	munmap(page + 4096, 4096);
	memcpy(page + 4096 - full, &in4, full);
	((struct sockaddr_in *)&far)->sin_addr.s_addr = htonl(0xc0000201);
	zero.sin6_family = AF_UNIX;
	fd = open_socket(V4, false);
	odd("bindx-nowhere", fd, add(fd, nowhere, full));
	fd = open_socket(V4, false);
	odd("bindx-null", fd, add(fd, NULL, full));
	fd = open_socket(V4, false);
	odd("bindx-size-0", fd, add(fd, &in4, 0));
	fd = open_socket(V4, false);
	odd("bindx-size-minus", fd, add(fd, &in4, (socklen_t)-16));
	fd = open_socket(V4, false);
	odd("bindx-short", fd, add(fd, &in4, full - 1));
	fd = open_socket(V4, false);
	odd("bindx-1", fd, add(fd, &in4, 1));
	fd = open_socket(V4, false);
	odd("bindx-long", fd, add(fd, &in4, full + 2));
	fd = open_socket(V4, false);
	odd("bindx-end-of-page", fd, add(fd, page + 4096 - full, full));
	fd = open_socket(V4, false);
	odd("bindx-over-page", fd, add(fd, page + 4096 - full, 2 * full));
	fd = open_socket(V4, false);
	odd("bindx-unix", fd, add(fd, &zero, full));
	fd = open_socket(V4, false);
	odd("bindx-v6-on-v4", fd, add(fd, &in6, sizeof(in6)));
	fd = open_socket(V4, false);
	odd("bindx-far", fd, add(fd, &far, full));
	fd = open_socket(V4, false);
	odd("bindx-named", fd, add(fd, &named, full));
	/* the first of two is bound, the second is nobody's */
	memcpy(&room[0], &in4, full);
	memcpy(&room[1], &far, full);
	fd = open_socket(V4, false);
	odd("bindx-second-far", fd, add(fd, room, 2 * full));
	memcpy(&room[1], &other, full);
	fd = open_socket(V4, false);
	odd("bindx-second-named", fd, add(fd, room, 2 * full));
	memcpy(&room[1], &in4, full);
	fd = open_socket(V4, false);
	odd("bindx-twice-the-same", fd, add(fd, room, 2 * full));
	/* the first names a port, the second takes it, too */
	memcpy(&room[0], &named, full);
	room[1].sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	fd = open_socket(V4, false);
	odd("bindx-first-named", fd, add(fd, room, 2 * full));
	fd = open_socket(V4, false);
	bind(fd, (struct sockaddr *)&in4, (socklen_t)full);
	odd("bindx-more", fd, add(fd, &room[1], full));
	fd = open_socket(V4, false);
	bind(fd, (struct sockaddr *)&in4, (socklen_t)full);
	odd("bindx-more-of-another-port", fd, add(fd, &other, full));
	/* no descriptor is left for anybody */
	fd = open_socket(V4, false);
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = (rlim_t)fd + 1;
	setrlimit(RLIMIT_NOFILE, &few);
	odd("bindx-no-descriptor", fd, add(fd, &in4, full));
	setrlimit(RLIMIT_NOFILE, &limit);
	fd = open_socket(V4, false);
	odd("bindx-rem", fd, sctp_bindx(fd, (struct sockaddr *)&in4, 1, SCTP_BINDX_REM_ADDR));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	odd("bindx-tcp", fd, add(fd, &in4, full));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	odd("bindx-udp", fd, add(fd, &in4, full));
	odd("bindx-closed", -1, add(99, &in4, full));
	odd("bindx-pipe", -1, add(0, &in4, full));
}

static void odd_connectx(void)
{
	struct to to4 = server_of(V4), to6 = server_of(V6);
	struct sockaddr_in room[2];
	socklen_t full = sizeof(struct sctp_getaddrs_old), *nowhere = (socklen_t *)8, len;
	struct sctp_getaddrs_old param = { .addr_num = (int)to4.len,
					   .addrs = (struct sockaddr *)&to4.addr };
	int fd;

	fd = open_socket(V4, false);
	odd("connectx-nowhere", fd, connectx3(fd, nowhere, 16, full));
	fd = open_socket(V4, false);
	odd("connectx-size-0", fd, connectx3(fd, &to4.addr, 0, full));
	fd = open_socket(V4, false);
	odd("connectx-size-minus", fd, connectx3(fd, &to4.addr, -1, full));
	fd = open_socket(V4, false);
	odd("connectx-short", fd, connectx3(fd, &to4.addr, 15, full));
	fd = open_socket(V4, false);
	odd("connectx-1", fd, connectx3(fd, &to4.addr, 1, full));
	fd = open_socket(V4, false);
	odd("connectx-param-short", fd, connectx3(fd, &to4.addr, 16, full - 1));
	fd = open_socket(V4, false);
	odd("connectx-param-long", fd, connectx3(fd, &to4.addr, 16, full + 8));
	fd = open_socket(V4, false);
	odd("connectx-len-nowhere", fd,
	    getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, nowhere));
	fd = open_socket(V4, false);
	len = full;
	odd("connectx-param-nowhere", fd,
	    getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, nowhere, &len));
	fd = open_socket(V4, false);
	odd("connectx-v6-on-v4", fd, connectx3(fd, &to6.addr, 28, full));
	fd = open_socket(V6, false);
	odd("connectx-v6-short", fd, connectx3(fd, &to6.addr, 24, full));
	/* the second address has another port */
	memcpy(&room[0], &to4.addr, sizeof(room[0]));
	room[1] = room[0];
	room[1].sin_port = htons(7001);
	fd = open_socket(V4, false);
	odd("connectx-two-ports", fd, connectx3(fd, room, 32, full));
	fd = open_socket(V4, false);
	odd("connectx-long", fd, connectx3(fd, room, 17, full));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	odd("connectx-tcp", fd, connectx3(fd, &to4.addr, 16, full));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	odd("connectx-udp", fd, setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, &to4.addr, 16));
	odd("connectx-closed", -1, connectx3(99, &to4.addr, 16, full));
	fd = open_socket(V4, false);
	odd("110-nowhere", fd, setsockopt(fd, IPPROTO_SCTP, 110, nowhere, 16));
	fd = open_socket(V4, false);
	odd("110-short", fd, setsockopt(fd, IPPROTO_SCTP, 110, &to4.addr, 15));
	fd = open_socket(V4, false);
	odd("107-size-0", fd, setsockopt(fd, IPPROTO_SCTP, 107, &to4.addr, 0));
}

static void odd_rest(void)
{
	struct to to4 = server_of(V4), to6 = server_of(V6);
	struct sockaddr_in6 any = loopback(V4, 1, 0), closed = loopback(V4, 1, 7001);
	struct sockaddr_in6 named = loopback(V4, 1, 20001);
	struct sockaddr_in6 none = { .sin6_family = AF_UNSPEC };
	int fd, one = 1, port;
	socklen_t len;

	fd = open_socket(V4, false);
	odd("connect-v6-on-v4", fd, connect(fd, (struct sockaddr *)&to6.addr, to6.len));
	fd = open_socket(V4, false);
	odd("connect-short", fd, connect(fd, (struct sockaddr *)&to4.addr, 15));
	fd = open_socket(V6, false);
	odd("connect-v6-short", fd, connect(fd, (struct sockaddr *)&to6.addr, 24));
	fd = open_socket(V4, false);
	odd("connect-nobody", fd, connect(fd, (struct sockaddr *)&none, sizeof(none)));
	fd = open_socket(V4, true);
	odd("sendto-short", fd, sendto(fd, "x", 1, 0, (struct sockaddr *)&to4.addr, 15));
	fd = open_socket(V4, true);
	odd("sendto-v6-on-v4", fd, sendto(fd, "x", 1, 0, (struct sockaddr *)&to6.addr, to6.len));
	fd = open_socket(V4, true);
	odd("send-to-nobody", fd, send(fd, "x", 1, MSG_NOSIGNAL));
	fd = open_socket(V4, false);
	odd("listen-0", fd, listen(fd, 0));
	fd = open_socket(V4, false);
	odd("listen-minus", fd, listen(fd, -1));
	fd = open_socket(V4, false);
	listen(fd, 1);
	odd("listen-no-more", fd, listen(fd, 0));
	fd = open_socket(V4, false);
	bind(fd, (struct sockaddr *)&any, to4.len);
	odd("bind-twice", fd, bind(fd, (struct sockaddr *)&any, to4.len));
	fd = open_socket(V4, false);
	odd("bind-named", fd, bind(fd, (struct sockaddr *)&named, to4.len));
	fd = open_socket(V6, false);
	odd("bind-v6-short", fd, bind(fd, (struct sockaddr *)&any, 15));
	/* which SCTP knows nothing of */
	fd = open_socket(V4, false);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	odd("bind-no-port", fd, bind(fd, (struct sockaddr *)&any, to4.len));
	/* a refused socket keeps its port, and finds its way with it */
	fd = open_socket(V4, false);
	printf("refused %s\n", verdict(connect(fd, (struct sockaddr *)&closed, to4.len)));
	port = port_of(fd);
	printf("again %s\n", verdict(connect(fd, (struct sockaddr *)&to4.addr, to4.len)));
	odd(port == port_of(fd) ? "the-same-port" : "another-port", fd, 0);
	/* so does one that has been shut down */
	fd = open_socket(V4, false);
	connect(fd, (struct sockaddr *)&to4.addr, to4.len);
	port = port_of(fd);
	printf("shutdown %s\n", verdict(shutdown(fd, SHUT_RDWR)));
	odd(port == port_of(fd) ? "the-same-port" : "another-port", fd, 0);
	/* nothing that says how a port may be shared is changed, and no port is shared */
	fd = open_socket(V4, false);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	by_bindx(fd, &to4);
	one = 0;
	len = sizeof(one);
	getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, &len);
	odd(one ? "reuse-kept" : "reuse-lost", fd, 0);
	fd = open_socket(V4, false);
	by_bindx(fd, &to4);
	getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, &len);
	odd(one ? "reuse-found" : "no-reuse-kept", fd, 0);
	fd = open_socket(V4, false);
	by_connect(fd, &to4);
	printf("accepted %s\n", verdict(recv(fd, &one, 1, MSG_DONTWAIT)));
	close(fd);
}

/* ---- explicit binds ---- */

static void named(int port)
{
	struct sockaddr_in6 addr = loopback(V4, 1, port), more = loopback(V4, 2, 0);
	struct to to = server_of(V4);
	char room[2 * sizeof(addr)];
	int fd = open_socket(V4, false);

	odd("bind", fd, bind(fd, (struct sockaddr *)&addr, to.len));
	fd = open_socket(V4, true);
	odd("bindx", fd, sctp_bindx(fd, (struct sockaddr *)&addr, 1, SCTP_BINDX_ADD_ADDR));
	fd = open_socket(V4, false);
	pack(room, V4, port);
	odd("bindx-2", fd, sctp_bindx(fd, (struct sockaddr *)room, 2, SCTP_BINDX_ADD_ADDR));
	fd = open_socket(V4, false);
	odd("bindx-broken", fd, add(fd, room, to.len + 1));
	/* the port is assigned, and then named for the other addresses */
	fd = open_socket(V4, false);
	by_bind(fd, &to);
	more.sin6_port = htons(port_of(fd));
	odd("bindx-more", fd, sctp_bindx(fd, (struct sockaddr *)&more, 1, SCTP_BINDX_ADD_ADDR));
}

static void beside(int first, int n)
{
	struct sockaddr_in6 addr;
	struct to to = server_of(V4);
	int i, fd;

	for (i = 0; i < n; i++) {
		addr = loopback(V4, 2, first + i);
		bind(open_socket(V4, false), (struct sockaddr *)&addr, to.len);
	}
	fd = open_socket(V4, false);
	printf("bind %s", verdict(by_bind(fd, &to)));
	printf(" %d\n", port_of(fd));
	listen(fd, 1);
	fd = open_socket(V4, true);
	printf("bindx-2 %s", verdict(by_bindx_of_two(fd, &to)));
	printf(" %d\n", port_of(fd));
	/* so that the kernel shows it, with its addresses */
	listen(fd, 1);
}

/* ---- descriptors ---- */

/*
 * A socket of another kind has been sent through, and has gone without anybody
 * seeing it; the association that is peeled off gets its number.
 */
static int peel_onto(int type, bool flags)
{
	struct to to = server_of(V4);
	struct sockaddr_in in4;
	sctp_assoc_t id;
	int fd = open_socket(V4, true), other = socket(AF_INET, type, 0), peeled, plain;
	int outside;
	socklen_t len = sizeof(sctp_peeloff_flags_arg_t);
	sctp_peeloff_flags_arg_t arg = { .flags = SOCK_CLOEXEC };

	memcpy(&in4, &to.addr, sizeof(in4));
	if (type == SOCK_DGRAM) {
		sendto(other, "x", 1, 0, (struct sockaddr *)&in4, sizeof(in4));
		sendto(other, "x", 1, 0, (struct sockaddr *)&in4, sizeof(in4));
	}
	syscall(SYS_close, other);
	if (sctp_connectx(fd, (struct sockaddr *)&to.addr, 1, &id))
		return -1;
	arg.p_arg.associd = id;
	if (flags)
		peeled = getsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF_FLAGS, &arg, &len) < 0
				 ? -1
				 : arg.p_arg.sd;
	else
		peeled = sctp_peeloff(fd, id);
	printf("peeled %s %s %s\n", peeled == other ? "there" : "elsewhere",
	       port_of(peeled) == port_of(fd) ? "same-port" : "other-port",
	       verdict(send(peeled, "x", 1, 0)));
	/* what is bound cannot get another port, whatever is asked of it */
	connect(peeled, (struct sockaddr *)&to.addr, to.len);
	outside = port_of(peeled) != port_of(fd);
	/* and the number's next owner is nobody's twin */
	syscall(SYS_close, peeled);
	plain = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
	sendto(plain, "x", 1, 0, (struct sockaddr *)&to.addr, to.len);
	printf("next %s %d\n", outside ? "moved" : "stayed", port_of(plain));
	close(plain);
	close(fd);
	return 0;
}

/* ---- from outside ---- */

static void wait_for_end(void)
{
	char room[64];

	printf("ready\n");
	fflush(stdout);
	while (read(0, room, sizeof(room)) > 0)
		;
}

static void serve(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(SERVER) };
	int fd = open_socket(V6, true);

	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 100)) {
		perror("serve");
		exit(1);
	}
	wait_for_end();
}

static void note(unsigned char *seen, const unsigned char *packet, ssize_t size)
{
	ssize_t head = packet[0] >> 4 == 4 ? 4 * (packet[0] & 15) : 40;
	int protocol = packet[0] >> 4 == 4 ? packet[9] : packet[6];

	if (size < head + 4 || protocol != IPPROTO_SCTP)
		return;
	seen[packet[head] << 8 | packet[head + 1]] = 1;
	seen[packet[head + 2] << 8 | packet[head + 3]] = 1;
}

static void wire(void)
{
	static unsigned char seen[65536], packet[65536];
	int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)), port, room = 1 << 24;
	struct pollfd wait[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	ssize_t size;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	printf("ready\n");
	fflush(stdout);
	while (!wait[1].revents && poll(wait, 2, -1) > 0)
		while ((size = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
			note(seen, packet, size);
	for (port = 0; port < 65536; port++)
		if (seen[port] && port != SERVER)
			printf("%d\n", port);
}

int main(int argc, char *argv[])
{
	const char *mode = argc > 1 ? argv[1] : "";
	int n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(mode, "serve")) {
		serve();
	} else if (!strcmp(mode, "ways")) {
		for (n = argc > 2 ? atoi(argv[2]) : 1; n > 0; n--)
			for_each(say_way);
		wait_for_end();
	} else if (!strcmp(mode, "exhaust")) {
		sharing = argc > 2;
		for_each(say_exhaust);
	} else if (!strcmp(mode, "beside") && argc == 4) {
		beside(atoi(argv[2]), atoi(argv[3]));
		wait_for_end();
	} else if (!strcmp(mode, "named") && argc == 3) {
		first_port = 20000;
		last_port = 20999;
		named(atoi(argv[2]));
	} else if (!strcmp(mode, "odd") && argc == 4) {
		first_port = atoi(argv[2]);
		last_port = atoi(argv[3]);
		odd_bindx();
		odd_connectx();
		odd_rest();
	} else if (!strcmp(mode, "peel")) {
		for (n = 0; n < 2; n++)
			if (peel_onto(SOCK_DGRAM, n) || peel_onto(SOCK_STREAM, n))
				return 1;
	} else if (!strcmp(mode, "wire")) {
		wire();
	} else {
		return 2;
	}
	return 0;
}
