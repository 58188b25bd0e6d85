/*
 * soak: for a given time, many threads of many processes make and close sockets in every way,
 * while processes are killed at random and others take their place.
 *
 *   soak serve                    the servers that they go to, fixed ports on every address
 *   soak run SECONDS PROCESSES THREADS FIRST LAST
 *                                 every port that is not named has to lie in FIRST to LAST
 *   soak hold COUNT               connections that stand at once to one of the servers
 *
 * `run` prints what became of each call, "OPERATION CALL ERRNO TIMES" a line, then "killed",
 * "ended", "escapes", "leaks", "hangs" and "slowest-ms", each with a number. All threads act in step,
 * at the same ticks of the clock, so that they meet. How many sockets they hold goes up and
 * down in a wave, so that ports run out and are had again.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 7000 /* the first of the servers' */
#define PORTS 8
#define ADDRESSES 200 /* 127.0.0.2 and on; 127.0.0.1 is the hot one's */
#define CLOSED_PORT 6

#define SECOND 1000000000LL
#define TICK (SECOND / 50)
#define WAVE (10 * SECOND)
#define HANG (20 * SECOND)
#define KILL_TICKS 25  /* between two of them, on average */
#define LIFE_TICKS 400 /* of a process that is not killed, on average */
#define SLOTS 32
#define ERRORS 134
#define PROCESSES_MAX 64
#define THREADS_MAX 16

/* ---- what all processes share ---- */

enum call { BIND, CONNECT, LISTEN, SENDTO, SENDMSG, SENDMMSG, CALLS };

static const char *const call_names[CALLS] = { "bind",   "connect", "listen",
					       "sendto", "sendmsg", "sendmmsg" };

#define OPERATIONS_MAX 32

/* What a thread is at. */
struct beat {
	_Atomic int64_t since; /* 0: nothing */
	_Atomic int operation;
};

static struct shared {
	int64_t deadline;
	int threads;
	in_port_t first;
	in_port_t last;
	_Atomic long counts[OPERATIONS_MAX][CALLS][ERRORS];
	_Atomic int64_t slowest[OPERATIONS_MAX];
	_Atomic long escapes;
	_Atomic long leaks;
	struct beat beat[PROCESSES_MAX][THREADS_MAX];
} * shared;

static _Thread_local uint64_t random_state;
static _Thread_local int operation; /* index of the one that the thread is at */

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* xorshift64*: quick, and each thread has its own */
static uint32_t draw(uint32_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 0x2545f4914f6cdd1dULL) >> 32) % below;
}

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
	return ipv4(INADDR_LOOPBACK + 1 + draw(ADDRESSES), PORT + draw(PORTS));
}

static union address any_server6(void)
{
	return ipv6(in6addr_loopback, PORT + draw(PORTS));
}

/* 127.1.0.0 to 127.1.255.255: so many that a port is nearly always free on one */
static union address rare_source(void)
{
	return ipv4(INADDR_LOOPBACK + (1 << 16) + draw(1 << 16), 0);
}

/* ---- counted calls ---- */

static int count(enum call call, long result)
{
	int error = result < 0 ? errno : 0;

	atomic_fetch_add(&shared->counts[operation][call][error], 1);
	return error;
}

/* Return: the port, which is an escape if it is not in the range */
static unsigned check_port(int fd)
{
	union address local;
	socklen_t len = sizeof(local);
	unsigned port;

	if (getsockname(fd, &local.sa, &len))
		die("getsockname");
	port = ntohs(local.in4.sin_port); /* at the same place in both families */
	if (port < shared->first || port > shared->last) {
		fprintf(stderr, "escape: operation %d, port %u\n", operation, port);
		atomic_fetch_add(&shared->escapes, 1);
	}
	return port;
}

static int new_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		die("setsockopt");
}

static int try_bind(int fd, union address address)
{
	int error = count(BIND, bind(fd, &address.sa, address_len(&address)));

	if (!error)
		check_port(fd);
	return error;
}

static int try_listen(int fd)
{
	int error = count(LISTEN, listen(fd, 16));

	if (!error)
		check_port(fd);
	return error;
}

/* Half of them do not block, and their end is waited for. */
static int try_connect(int fd, union address peer)
{
	int block = fcntl(fd, F_GETFL), rc, error;
	socklen_t len = sizeof(error);
	bool waits = draw(2);

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
	error = count(CONNECT, rc);
	if (waits)
		fcntl(fd, F_SETFL, block);
	if (!error)
		check_port(fd);
	return error;
}

static int try_send(int fd, union address peer)
{
	char byte = 'x';
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_name = &peer,
						      .msg_namelen = address_len(&peer),
						      .msg_iov = &data,
						      .msg_iovlen = 1 } } };

	messages[1] = messages[0];
	switch (draw(3)) {
	case 0:
		return count(SENDTO, sendto(fd, &byte, 1, 0, &peer.sa, address_len(&peer)));
	case 1:
		return count(SENDMSG, sendmsg(fd, &messages->msg_hdr, 0));
	default:
		return count(SENDMMSG, sendmmsg(fd, messages, 2, 0));
	}
}

/* ---- what a thread holds ---- */

/* Who closes a connection first, and how. */
enum ending { CLIENT, SERVER, CLIENT_RESET, SERVER_RESET };

/* The sockets of one operation, of which the last are -1. */
struct slot {
	int fd;
	int listener; /* of a pair */
	int accepted;
	enum ending ending;
	bool connected;
};

static const struct slot empty_slot = { .fd = -1, .listener = -1, .accepted = -1 };

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

static void clear(struct slot *slot)
{
	if (slot->connected && (slot->ending == SERVER || slot->ending == SERVER_RESET))
		close_by_server(slot);
	if (slot->connected && slot->ending == CLIENT_RESET)
		close_with_reset(&slot->fd);
	close_one(&slot->fd);
	close_one(&slot->accepted);
	close_one(&slot->listener);
	*slot = empty_slot;
}

/* ---- operations ---- */

static void connect_to(struct slot *slot, union address peer)
{
	slot->ending = (enum ending)draw(4);
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
	union address source = ipv4(INADDR_LOOPBACK + draw(8), 0);

	slot->fd = new_socket(AF_INET, SOCK_STREAM);
	set(slot->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (bind(slot->fd, &source.sa, address_len(&source)))
		die("bind");
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
	if (draw(2))
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
		die("accept4");
	check_port(slot->accepted);
}

static void bind_tcp(struct slot *slot, int family, union address address)
{
	slot->fd = new_socket(family, SOCK_STREAM);
	if (family == AF_INET6)
		set(slot->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (draw(2))
		set(slot->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!try_bind(slot->fd, address) && draw(2))
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

/* The first send gives the port, and the others keep it. */
static void sends(struct slot *slot, union address (*peer)(void))
{
	unsigned port, i;

	if (try_send(slot->fd, peer()))
		return;
	port = check_port(slot->fd);
	for (i = draw(10); i; i--)
		try_send(slot->fd, peer());
	if (check_port(slot->fd) != port) {
		fprintf(stderr, "operation %d: a send has changed port %u\n", operation, port);
		atomic_fetch_add(&shared->escapes, 1);
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

/* While other threads are anywhere. The child's end ends its copies of what they hold, too. */
static void in_fork(struct slot *slot)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		tcp_many(slot);
		udp_sends(slot);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0)
		;
}

/* A hundred between them. UDP has so many that its ports run out on each wave's crest. */
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
	{ "tcp-listen", 1, tcp_listen },
	{ "tcp6-listen", 1, tcp6_listen },
	{ "udp-bind-any", 6, udp_bind_any },
	{ "udp-bind-address", 4, udp_bind_address },
	{ "udp-sends", 12, udp_sends },
	{ "udp6-sends", 5, udp6_sends },
	{ "udp-connect", 8, udp_connect },
	{ "fork", 1, in_fork },
};

#define OPERATIONS (sizeof(operations) / sizeof(*operations))

_Static_assert(OPERATIONS <= OPERATIONS_MAX, "each operation has its counts");

static int choose_operation(void)
{
	unsigned at = draw(100), i = 0;

	while (at >= operations[i].weight)
		at -= operations[i++].weight;
	return (int)i;
}

/* ---- a process of them ---- */

static struct beat *beats; /* of this process */
static int64_t life_ends;

/* How many sockets a thread may hold at this moment. */
static unsigned wave(int64_t time)
{
	int64_t at = time % WAVE, half = WAVE / 2;

	return 2 + (unsigned)((at < half ? at : WAVE - at) * (SLOTS - 2) / half);
}

static int64_t wait_for_tick(void)
{
	int64_t next = (now() / TICK + 1) * TICK;
	struct timespec time = { .tv_sec = next / SECOND, .tv_nsec = next % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL))
		;
	return next;
}

static void beat(struct beat *own, struct slot *slot)
{
	int64_t since = now(), took;

	operation = choose_operation();
	atomic_store(&own->operation, operation);
	atomic_store(&own->since, since);
	clear(slot);
	operations[operation].make(slot);
	atomic_store(&own->since, 0);
	took = now() - since;
	/* a slower one may be lost to another at the same time; it is but a figure */
	if (took > atomic_load(&shared->slowest[operation]))
		atomic_store(&shared->slowest[operation], took);
}

static void *thread(void *own)
{
	struct slot slots[SLOTS];
	int64_t time;
	unsigned i;

	random_state = (uint64_t)now() * 2654435761U ^ (uintptr_t)own ^ (uint64_t)getpid() << 32;
	for (i = 0; i < SLOTS; i++)
		slots[i] = empty_slot;
	while ((time = wait_for_tick()) < life_ends) {
		beat(own, &slots[draw(wave(time))]);
		for (i = wave(time); i < SLOTS; i++)
			clear(&slots[i]);
	}
	for (i = 0; i < SLOTS; i++)
		clear(&slots[i]);
	return NULL;
}

static unsigned count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!folder)
		die("/proc/self/fd");
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static void map_shared(int fd)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		die("mmap");
}

static int work(int fd, int index)
{
	unsigned before = count_descriptors(), after;
	pthread_t ids[THREADS_MAX];
	int i;

	map_shared(fd);
	beats = shared->beat[index];
	random_state = (uint64_t)now() ^ (uint64_t)getpid() << 32;
	life_ends = now() + (LIFE_TICKS / 2 + draw(LIFE_TICKS)) * TICK;
	if (life_ends > shared->deadline)
		life_ends = shared->deadline;
	for (i = 0; i < shared->threads; i++)
		if (pthread_create(&ids[i], NULL, thread, &beats[i]))
			die("pthread_create");
	for (i = 0; i < shared->threads; i++)
		pthread_join(ids[i], NULL);
	after = count_descriptors();
	if (after != before) {
		fprintf(stderr, "descriptors: %u before, %u after\n", before, after);
		atomic_fetch_add(&shared->leaks, 1);
	}
	return 0;
}

/* ---- the one that starts and ends them ---- */

static pid_t workers[PROCESSES_MAX];
static int processes;
static long killed, ended, failed, hangs;

static void start_worker(int index, int fd)
{
	char fd_text[16], index_text[16];

	memset(shared->beat[index], 0, sizeof(shared->beat[index]));
	workers[index] = fork();
	if (workers[index] < 0)
		die("fork");
	if (workers[index] > 0)
		return;
	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	snprintf(index_text, sizeof(index_text), "%d", index);
	execl("/proc/self/exe", "soak", "work", fd_text, index_text, (char *)NULL);
	die("exec");
}

static void kill_worker(int index)
{
	kill(workers[index], SIGKILL);
	waitpid(workers[index], NULL, 0);
	workers[index] = 0;
}

static void watch(int index)
{
	int64_t time = now();
	int i;

	for (i = 0; i < shared->threads; i++) {
		int64_t since = atomic_load(&shared->beat[index][i].since);

		if (!since || time - since < HANG)
			continue;
		fprintf(stderr, "hang: %s\n",
			operations[atomic_load(&shared->beat[index][i].operation)].name);
		hangs++;
		kill_worker(index);
		return;
	}
}

/* Return: true if the worker has come to its end */
static bool has_ended(int index)
{
	int status;

	if (!workers[index] || waitpid(workers[index], &status, WNOHANG) <= 0)
		return !workers[index];
	workers[index] = 0;
	ended++;
	if (status) {
		fprintf(stderr, "a process has ended with status %#x\n", (unsigned)status);
		failed++;
	}
	return true;
}

static void print_results(void)
{
	unsigned i, call, error;

	for (i = 0; i < OPERATIONS; i++)
		for (call = 0; call < CALLS; call++)
			for (error = 0; error < ERRORS; error++)
				if (shared->counts[i][call][error])
					printf("%s %s %s %ld\n", operations[i].name,
					       call_names[call],
					       error ? strerrorname_np((int)error) : "0",
					       shared->counts[i][call][error]);
	printf("killed %ld\nended %ld\nfailed %ld\nescapes %ld\nleaks %ld\nhangs %ld\n", killed,
	       ended, failed, shared->escapes, shared->leaks, hangs);
	for (i = 0; i < OPERATIONS; i++)
		printf("slowest-ms-%s %lld\n", operations[i].name,
		       (long long)shared->slowest[i] * 1000 / SECOND);
}

static int run(char *argv[])
{
	int fd = memfd_create("soak", 0), i, left;
	int64_t time;

	if (fd < 0 || ftruncate(fd, sizeof(*shared)))
		die("memfd_create");
	map_shared(fd);
	random_state = (uint64_t)now();
	shared->deadline = now() + atol(argv[0]) * SECOND;
	processes = atoi(argv[1]);
	shared->threads = atoi(argv[2]);
	shared->first = (in_port_t)atoi(argv[3]);
	shared->last = (in_port_t)atoi(argv[4]);
	if (processes < 1 || processes > PROCESSES_MAX || shared->threads < 1 ||
	    shared->threads > THREADS_MAX)
		return 2;
	for (i = 0; i < processes; i++)
		start_worker(i, fd);
	do {
		time = wait_for_tick();
		if (time < shared->deadline && !draw(KILL_TICKS)) {
			i = (int)draw((unsigned)processes);
			if (!has_ended(i)) {
				kill_worker(i);
				killed++;
			}
		}
		for (i = 0, left = 0; i < processes; i++) {
			if (!has_ended(i))
				watch(i);
			if (!workers[i] && time < shared->deadline)
				start_worker(i, fd);
			left += workers[i] != 0;
		}
	} while (left);
	print_results();
	return shared->escapes || shared->leaks || hangs || failed;
}

/* ---- the servers ---- */

static void serve_on(int epoll, unsigned port)
{
	struct epoll_event event = { .events = EPOLLIN };
	union address address = ipv6(in6addr_any, port);
	int fd = new_socket(AF_INET6, SOCK_STREAM);

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, &address.sa, sizeof(address.in6)) || listen(fd, 4096))
		die("listen");
	event.data.u64 = (uint64_t)fd << 32 | 1;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	/* nobody reads it: what does not fit is dropped, and the sender does not see that */
	fd = new_socket(AF_INET6, SOCK_DGRAM);
	if (bind(fd, &address.sa, sizeof(address.in6)))
		die("bind");
}

__attribute__((noreturn)) static void serve(void)
{
	struct rlimit files = { 65536, 65536 };
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	unsigned i;

	setrlimit(RLIMIT_NOFILE, &files);
	/* the hot one is the last to listen: who sees it, sees all */
	for (i = PORTS; i-- > 0;)
		serve_on(epoll, PORT + i);
	for (;;) {
		char byte = 0;
		int fd;

		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		fd = (int)(event.data.u64 >> 32);
		if (event.data.u64 & 1) {
			fd = accept(fd, NULL, NULL);
			event.data.u64 = (uint64_t)fd << 32;
			if (fd >= 0)
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
			continue;
		}
		if (read(fd, &byte, 1) == 1 && byte == 'r')
			close_with_reset(&fd);
		else
			close_one(&fd);
	}
}

static int hold(int wanted)
{
	struct rlimit files = { 65536, 65536 };
	union address peer = ipv4(INADDR_LOOPBACK, PORT);
	int i, error = 0;

	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < wanted && !error; i++)
		error = connect(new_socket(AF_INET, SOCK_STREAM), &peer.sa, sizeof(peer.in4))
				? errno
				: 0;
	printf("%d %s\n", error ? i - 1 : i, error ? strerrorname_np(error) : "0");
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 2 && !strcmp(argv[1], "serve"))
		serve();
	if (argc == 7 && !strcmp(argv[1], "run"))
		return run(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "work"))
		return work(atoi(argv[2]), atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(atoi(argv[2]));
	return 2;
}
