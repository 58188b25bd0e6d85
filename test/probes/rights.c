/*
 * rights: what a caller tries that it may not do, so that the supervisor does it. To be started by root.
 *
 *	rights reuse bind|read|write	an unprivileged process calls, with an argument in a page that is
 *					held, and is killed; its number becomes that of a process of root's
 *					(in a PID namespace with few numbers); then the page is filled.
 *					"port N", "received N", "number N"
 *	rights options [root]		messages to port 8000 with options for root: "OPTION ERRNO"
 *	rights zerocopy			a message that the kernel holds back while root sends one
 *	rights landlock			binds and connects under rules that forbid them
 *	rights bind PORT [drop]		bind to a port, perhaps without any capability: ERRNO
 *	rights hold page|lock|stderr	a bind that waits, until standard input ends: "held". For memory, for a
 *					locked socket, or because the standard error is a file of a file system
 *					that does not answer
 *	rights hold group		a UDP socket that is bound to port 0, and then locked while it joins a group,
 *					until standard input ends: "held"
 *	rights hold file		a file that standard error ends in, locked while a write to it copies, until
 *					standard input ends: "held"
 *	rights hold page N [USER]	N such binds; as that user, until the supervisor refuses one: "held"
 *	rights wait N			N connects to port 8000, whose queue is full: "N wait"
 *	rights linger			a process is killed whose connect to port 8000 is half made, with SO_LINGER and
 *					a peer that hears nothing; then a connect to port 8001 waits: ERRNO
 *	rights storm			again and again, a process with 20 calls of each of these two kinds that is
 *					killed at another moment each time, until standard input ends: "storms"
 *	rights batch			1,024 messages of which the last is mapped: "sent N"
 */
#include "held.h"
#include "silent.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODY 65534
#define MAPPED 8000

static char secret[64];
static struct mmsghdr message; /* its length is the number that is to stay */
static char page[HELD_SIZE];

static struct sockaddr_in local(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static const char *result(long rc)
{
	return rc < 0 ? strerrorname_np(errno) : "0";
}

static long raw_bind(int fd, const void *addr)
{
	return syscall(SYS_bind, fd, addr, sizeof(struct sockaddr_in));
}

static int new_socket(int type, int port)
{
	struct sockaddr_in addr = local(port);
	int fd = socket(AF_INET, type, 0);

	if (port >= 0 && raw_bind(fd, &addr))
		perror("bind");
	return fd;
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		exit(1);
	prctl(PR_SET_DUMPABLE, 1);
}

/* ---- reuse ---- */

static int bound(int fd)
{
	struct sockaddr_in addr = { 0 };
	socklen_t len = sizeof(addr);

	getsockname(fd, (struct sockaddr *)&addr, &len);
	return ntohs(addr.sin_port);
}

/* Does another process named portfence have this socket? */
static int is_supervised(int fd)
{
	char path[300], link[64], want[64], name[16];
	struct dirent *process, *item;
	DIR *all = opendir("/proc"), *one;
	struct stat st;
	int found = 0;
	ssize_t n;
	FILE *file;

	fstat(fd, &st);
	snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
	while (!found && (process = readdir(all))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", process->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (!fgets(name, sizeof(name), file) || strcmp(name, "portfence\n"))
			*name = 0;
		fclose(file);
		snprintf(path, sizeof(path), "/proc/%s/fd", process->d_name);
		one = *name ? opendir(path) : NULL;
		while (one && !found && (item = readdir(one))) {
			n = readlinkat(dirfd(one), item->d_name, link, sizeof(link) - 1);
			link[n > 0 ? n : 0] = 0;
			found = !strcmp(link, want);
		}
		if (one)
			closedir(one);
	}
	closedir(all);
	return found;
}

static void send_fd(int to, int fd, void *address)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &address, sizeof(address) };
	struct msghdr head = { .msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = room,
			       .msg_controllen = sizeof(room) };
	struct cmsghdr *one = CMSG_FIRSTHDR(&head);

	one->cmsg_level = SOL_SOCKET;
	one->cmsg_type = SCM_RIGHTS;
	one->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(one), &fd, sizeof(fd));
	if (sendmsg(to, &head, 0) < 0)
		exit(1);
}

static int receive_fd(int from, void **ret_address)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { ret_address, sizeof(*ret_address) };
	struct msghdr head = { .msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = room,
			       .msg_controllen = sizeof(room) };
	int fd = -1;

	if (recvmsg(from, &head, 0) > 0 && CMSG_FIRSTHDR(&head))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&head)), sizeof(fd));
	return fd;
}

/* The unprivileged caller */
static void call(const char *what, int fd, int to)
{
	struct sockaddr_in mapped = local(MAPPED);
	struct iovec part;
	int held_fd;
	void *held = held_make(&held_fd);

	send_fd(to, held_fd, held);
	close(held_fd);
	become_nobody();
	part = (struct iovec){ held, 7 };
	if (!strcmp(what, "bind"))
		raw_bind(fd, held);
	if (!strcmp(what, "read"))
		syscall(SYS_sendto, fd, secret, sizeof(secret), 0, held, sizeof(mapped));
	if (!strcmp(what, "write")) {
		message.msg_hdr = (struct msghdr){ .msg_name = &mapped,
						   .msg_namelen = sizeof(mapped),
						   .msg_iov = &part,
						   .msg_iovlen = 1 };
		syscall(SYS_sendmmsg, fd, &message, 1, 0);
	}
	_exit(0);
}

/* Forks until a child has the number, which then stays as root until @end is closed */
static pid_t reuse(pid_t wanted, const int end[2], const int told[2])
{
	pid_t pid;
	char c;

	for (;;) {
		pid = fork();
		if (!pid && getpid() == wanted) {
			close(end[1]);
			strcpy(secret, "secret of root");
			while (write(told[1], "r", 1) < 0 || read(end[0], &c, 1) > 0)
				;
			_exit((int)message.msg_len);
		}
		if (!pid)
			_exit(0);
		if (pid == wanted)
			return pid;
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			exit(1);
	}
}

static int run_reuse(const char *what)
{
	struct sockaddr_in addr = local(!strcmp(what, "bind") ? 80 : MAPPED);
	int receiver = new_socket(SOCK_DGRAM, MAPPED), pair[2], end[2], told[2], held, status;
	int fd = new_socket(strcmp(what, "bind") ? SOCK_DGRAM : SOCK_STREAM,
			    strcmp(what, "bind") ? 0 : -1);
	char room[100] = "", c;
	void *address;
	pid_t caller;
	long n;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(end) || pipe(told))
		return 1;
	memcpy(page, &addr, sizeof(addr));
	/* the kernel gives the first 300 numbers once (kernel/pid.c, RESERVED_PIDS) */
	do {
		caller = fork();
		if (!caller && getpid() <= 300)
			_exit(0);
	} while (caller > 0 && caller <= 300 && waitpid(caller, NULL, 0) == caller);
	if (!caller)
		call(what, fd, pair[1]);
	close(pair[1]);
	held = receive_fd(pair[0], &address);
	if (held < 0)
		return 77;
	held_wait(held);
	kill(caller, SIGKILL);
	waitpid(caller, NULL, 0);
	reuse(caller, end, told);
	if (read(told[0], &c, 1) != 1)
		return 1;
	held_fill(held, address, page);
	while (is_supervised(fd))
		;
	n = recv(receiver, room, sizeof(room) - 1, MSG_DONTWAIT);
	close(end[1]);
	waitpid(caller, &status, 0);
	if (!strcmp(what, "bind"))
		printf("port %d\n", bound(fd));
	else if (!strcmp(what, "read"))
		printf("received '%s'\n", n > 0 ? room : "");
	else
		printf("number %d\n", WEXITSTATUS(status));
	return 0;
}

/* ---- the relay ---- */

static void try_option(int family, int level, int type, const void *data, size_t size,
		       const char *name)
{
	struct sockaddr_in to4 = local(MAPPED);
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(MAPPED),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	char room[64] __attribute__((aligned(8))) = { 0 };
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	struct msghdr head = {
		.msg_name = family == AF_INET ? (void *)&to4 : (void *)&to6,
		.msg_namelen = family == AF_INET ? sizeof(to4) : sizeof(to6),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = CMSG_SPACE(size),
	};
	struct cmsghdr *one = CMSG_FIRSTHDR(&head);

	one->cmsg_level = level;
	one->cmsg_type = type;
	one->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(one), data, size);
	printf("%s %s\n", name,
	       result(syscall(SYS_sendmsg, socket(family, SOCK_DGRAM, 0), &head, 0)));
}

static int run_options(int as_root)
{
	const unsigned char hop[8] = { 0, 0, 1, 4 };
	const int mark = 0xbeef, tos = 16;

	new_socket(SOCK_DGRAM, MAPPED);
	if (!as_root)
		become_nobody();
	try_option(AF_INET, SOL_SOCKET, SO_MARK, &mark, sizeof(mark), "mark");
	try_option(AF_INET6, IPPROTO_IPV6, IPV6_HOPOPTS, hop, sizeof(hop), "hopopts");
	try_option(AF_INET6, IPPROTO_IPV6, IPV6_DSTOPTS, hop, sizeof(hop), "dstopts");
	try_option(AF_INET, IPPROTO_IP, IP_TOS, &tos, sizeof(tos), "tos");
	return 0;
}

static int run_zerocopy(void)
{
	struct sockaddr_in own = local(MAPPED), others = local(MAPPED + 1);
	int receiver = new_socket(SOCK_DGRAM, MAPPED), other = new_socket(SOCK_DGRAM, MAPPED + 1);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, segment = 1400;
	char data[1400], room[1500] = "";

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ||
	    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)))
		return 77;
	memset(data, 'A', sizeof(data));
	if (syscall(SYS_sendto, fd, data, sizeof(data), MSG_MORE | MSG_ZEROCOPY, &own,
		    sizeof(own)) < 0)
		perror("sendto");
	memset(data, 'S', sizeof(data));
	syscall(SYS_sendto, socket(AF_INET, SOCK_DGRAM, 0), data, sizeof(data), 0, &others,
		sizeof(others));
	recv(other, room, sizeof(room), 0);
	memset(data, 'A', sizeof(data));
	syscall(SYS_sendto, fd, "", 0, 0, &own, sizeof(own));
	recv(receiver, room, sizeof(room), 0);
	printf("%s\n", memcmp(room, data, sizeof(data)) ? "another's" : "own");
	return 0;
}

static int run_batch(void)
{
	static struct mmsghdr messages[1024];
	static struct sockaddr_in to[1024];
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	int i;

	new_socket(SOCK_DGRAM, MAPPED);
	for (i = 0; i < 1024; i++) {
		to[i] = local(i == 1023 ? MAPPED : 9);
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &to[i],
						       .msg_namelen = sizeof(to[i]),
						       .msg_iov = &part,
						       .msg_iovlen = 1 };
	}
	printf("sent %ld\n",
	       syscall(SYS_sendmmsg, socket(AF_INET, SOCK_DGRAM, 0), messages, 1024, 0));
	printf("none %ld\n",
	       syscall(SYS_sendmmsg, socket(AF_INET, SOCK_DGRAM, 0), messages, 0, MSG_FASTOPEN));
	return 0;
}

/* ---- rules ---- */

static int run_landlock(void)
{
	const uint64_t attr[] = { 0, 3 }; /* binds and connects over TCP */
	int rules = (int)syscall(444, attr, sizeof(attr), 0), connected;
	struct sockaddr_in named = local(25000), none = local(0), mapped = local(MAPPED);

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (rules < 0 || syscall(446, rules, 0))
		return 77;
	connected = new_socket(SOCK_STREAM, -1);
	printf("named %s\n", result(raw_bind(new_socket(SOCK_STREAM, -1), &named)));
	printf("zero %s\n", result(raw_bind(new_socket(SOCK_STREAM, -1), &none)));
	printf("connect %s\n", result(syscall(SYS_connect, connected, &mapped, sizeof(mapped))));
	return 0;
}

static int run_bind(int port, int drop)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct nothing[2] = { { 0 } };
	struct sockaddr_in addr = local(port);

	if (drop)
		syscall(SYS_capset, &head, nothing);
	printf("%s\n", result(raw_bind(new_socket(SOCK_STREAM, -1), &addr)));
	return 0;
}

/* ---- waiting ---- */

static int locked;
static void *held_page;

/* It has the socket's lock while it copies the page (net/ipv4/tcp.c, tcp_sendmsg). */
static void *lock_socket(void *unused)
{
	if (write(locked, held_page, HELD_SIZE) < 0)
		perror("write");
	return unused;
}

static void *call_bind_zero(void *fd)
{
	struct sockaddr_in none = local(0);

	raw_bind(*(int *)fd, &none);
	return NULL;
}

static int *connected_pair(void)
{
	static int pair[2];
	struct sockaddr_in addr = local(0);
	socklen_t len = sizeof(addr);

	pair[1] = new_socket(SOCK_STREAM, 0);
	listen(pair[1], 1);
	getsockname(pair[1], (struct sockaddr *)&addr, &len);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(pair[0], (struct sockaddr *)&addr, len))
		exit(1);
	return pair;
}

static atomic_int refused;

static void *call_bind(void *fd)
{
	struct sockaddr_in none = local(0);

	if (raw_bind(*(int *)fd, *(int *)fd == locked ? (void *)&none : held_page))
		atomic_fetch_add(&refused, 1);
	return NULL;
}

static void until_end(void)
{
	char c;

	puts("held");
	while (read(0, &c, 1) > 0)
		;
	_exit(0);
}

/* The supervisor writes a line for the bind, and looks at standard error before. */
static int run_hold_stderr(void)
{
	int held = new_socket(SOCK_STREAM, -1);
	pthread_t thread;

	silent_start();
	pthread_create(&thread, NULL, call_bind_zero, &held);
	silent_wait();
	until_end();
	return 0;
}

/* It has the lock of the file's position while it copies from the page (fs/file.c, fdget_pos). */
static void *write_error(void *unused)
{
	return write(STDERR_FILENO, held_page, HELD_SIZE) == HELD_SIZE ? unused : NULL;
}

static int run_hold_file(void)
{
	pthread_t thread;
	int fd;

	held_page = held_make(&fd);
	pthread_create(&thread, NULL, write_error, NULL);
	held_wait(fd);
	until_end();
	return 0;
}

/* It has the socket's lock while it copies the group's address (net/ipv4/ip_sockglue.c, do_ip_setsockopt). */
static void *join_group(void *fd)
{
	setsockopt(*(int *)fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, held_page, sizeof(struct ip_mreqn));
	return NULL;
}

static int run_hold_group(void)
{
	int fd, held = new_socket(SOCK_DGRAM, 0);
	pthread_t thread;

	held_page = held_make(&fd);
	pthread_create(&thread, NULL, join_group, &held);
	held_wait(fd);
	until_end();
	return 0;
}

static int run_hold(int lock, int count, uid_t user)
{
	int fd, held = new_socket(SOCK_STREAM, -1);
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	held_page = held_make(&fd);
	locked = lock ? connected_pair()[0] : -1;
	if (lock) {
		pthread_create(&thread, NULL, lock_socket, NULL);
		held_wait(fd);
	}
	if (user && setuid(user))
		return 1;
	while (count--)
		if (pthread_create(&thread, &small, call_bind, lock ? &locked : &held))
			return 1;
	while (user && !atomic_load(&refused))
		usleep(1000);
	if (lock)
		while (!is_supervised(locked))
			;
	else
		held_wait(fd);
	until_end();
	return 0;
}

static atomic_int waiting;

static void *connect_mapped(void *unused)
{
	struct sockaddr_in mapped = local(MAPPED);
	int fd = new_socket(SOCK_STREAM, -1);

	atomic_fetch_add(&waiting, 1);
	syscall(SYS_connect, fd, &mapped, sizeof(mapped));
	atomic_fetch_sub(&waiting, 1);
	return unused;
}

/* Others bind, connect and send meanwhile; standard input's end is theirs. */
static int run_wait(int count)
{
	int listener = new_socket(SOCK_STREAM, MAPPED), i;
	pthread_attr_t small;
	pthread_t thread;
	char c;

	listen(listener, 0);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (i = 0; i < count; i++)
		if (pthread_create(&thread, &small, connect_mapped, NULL))
			return 1;
	while (atomic_load(&waiting) < count - 2)
		;
	printf("%d wait\n", count);
	while (read(0, &c, 1) > 0)
		;
	_exit(0);
}

static void wait_state(int fd, uint8_t wanted)
{
	uint8_t state;
	socklen_t len;

	do
		len = sizeof(state);
	while (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) && state != wanted);
}

/* Return: a process that connects, and whose result is the errno */
static pid_t start_connect(int fd, int port)
{
	struct sockaddr_in to = local(port);
	pid_t pid = fork();

	if (!pid)
		_exit(syscall(SYS_connect, fd, &to, sizeof(to)) ? errno : 0);
	return pid;
}

/* Two sockets that connect to each other, of which one hears nothing: so the other never gets further. */
static void make_half(void)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog deaf = { 1, &nothing };
	const struct linger lingers = { 1, 100000 };
	int peer = new_socket(SOCK_STREAM | SOCK_NONBLOCK, MAPPED);
	int half = new_socket(SOCK_STREAM, 0);
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	pid_t pid;

	getsockname(half, (struct sockaddr *)&to, &len);
	setsockopt(half, SOL_SOCKET, SO_LINGER, &lingers, sizeof(lingers));
	setsockopt(peer, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof(deaf));
	connect(peer, (struct sockaddr *)&to, sizeof(to));
	pid = start_connect(half, MAPPED);
	wait_state(half, TCP_SYN_RECV);
	close(half);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int run_linger(void)
{
	int listener = new_socket(SOCK_STREAM, MAPPED + 1), fd = new_socket(SOCK_STREAM, -1),
	    status;
	pid_t pid;

	alarm(600);
	make_half();
	listen(listener, 0);
	/* it has room for one */
	waitpid(start_connect(new_socket(SOCK_STREAM, -1), MAPPED + 1), &status, 0);
	pid = start_connect(fd, MAPPED + 1);
	wait_state(fd, TCP_SYN_SENT);
	accept(listener, NULL, NULL);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	puts(result(errno ? -1 : 0));
	return 0;
}

#define STORM 20

static void storm(void)
{
	static int held[STORM];
	pthread_attr_t small;
	pthread_t thread;
	int i, fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	held_page = held_make(&fd);
	locked = -1;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (i = 0; i < STORM; i++) {
		held[i] = new_socket(SOCK_STREAM, -1);
		pthread_create(&thread, &small, call_bind, &held[i]);
		pthread_create(&thread, &small, connect_mapped, NULL);
	}
	for (;;)
		pause();
}

static int run_storm(void)
{
	int listener = new_socket(SOCK_STREAM, MAPPED), i;
	struct pollfd end = { .fd = 0, .events = POLLIN };
	unsigned round;
	pid_t pid;

	listen(listener, 0);
	for (round = 0; !poll(&end, 1, 0); round++) {
		pid = fork();
		if (!pid)
			storm();
		for (i = 0; i < (int)(round * 37 % 1000); i++)
			sched_yield();
		if (pid > 0)
			kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (round == 0)
			puts("storms");
	}
	return 0;
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "", *how = argc > 2 ? argv[2] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "reuse"))
		return run_reuse(how);
	if (!strcmp(what, "options"))
		return run_options(*how);
	if (!strcmp(what, "zerocopy"))
		return run_zerocopy();
	if (!strcmp(what, "batch"))
		return run_batch();
	if (!strcmp(what, "landlock"))
		return run_landlock();
	if (!strcmp(what, "bind"))
		return run_bind(atoi(how), argc > 3);
	if (!strcmp(what, "hold") && !strcmp(how, "stderr"))
		return run_hold_stderr();
	if (!strcmp(what, "hold") && !strcmp(how, "file"))
		return run_hold_file();
	if (!strcmp(what, "hold") && !strcmp(how, "group"))
		return run_hold_group();
	if (!strcmp(what, "hold"))
		return run_hold(!strcmp(how, "lock"), argc > 3 ? atoi(argv[3]) : 1,
				argc > 4 ? (uid_t)atoi(argv[4]) : 0);
	if (!strcmp(what, "storm"))
		return run_storm();
	if (!strcmp(what, "linger"))
		return run_linger();
	if (!strcmp(what, "wait"))
		return run_wait(atoi(how));
	return 2;
}
