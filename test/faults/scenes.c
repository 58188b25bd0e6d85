/* scenes: what a program does under the fence while a call fails; each call is recorded. */
#include "faults.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int bindresvport(int fd, struct sockaddr_in *addr);

/* The program's own calls, past the library */
#define raw(call, ...) syscall(SYS_##call, __VA_ARGS__)

#define DESCRIPTORS 256
#define ERRNO_BEFORE EXDEV

static struct sockaddr_in peer = { .sin_family = AF_INET };
static struct sockaddr_in6 peer6 = { .sin6_family = AF_INET6 };
static const struct sockaddr_in any = { .sin_family = AF_INET };

/* ---- what is looked at before and after ---- */

struct options {
	int reuse_addr, reuse_port, flags, v6_only;
	char device[16];
};

struct snapshot {
	uint8_t open[DESCRIPTORS];
	long pages;
	struct options options;
	sigset_t mask;
};

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	raw(getsockopt, fd, level, name, &value, &len);
	return value;
}

static long mapped_pages(void)
{
	char text[64] = "";
	long fd = raw(openat, AT_FDCWD, "/proc/self/statm", O_RDONLY);

	raw(read, fd, text, sizeof(text) - 1);
	raw(close, fd);
	return strtol(text, NULL, 10);
}

static void look(int fd, struct snapshot *ret)
{
	socklen_t len = sizeof(ret->options.device);
	int i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < DESCRIPTORS; i++)
		ret->open[i] = raw(fcntl, i, F_GETFD, 0) >= 0;
	ret->pages = mapped_pages();
	raw(rt_sigprocmask, SIG_BLOCK, NULL, &ret->mask, 8);
	ret->options.reuse_addr = option(fd, SOL_SOCKET, SO_REUSEADDR);
	ret->options.reuse_port = option(fd, SOL_SOCKET, SO_REUSEPORT);
	ret->options.v6_only = option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	ret->options.flags = (int)raw(fcntl, fd, F_GETFL, 0);
	raw(getsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, ret->options.device, &len);
}

static int local_port(int fd)
{
	struct sockaddr_in6 local = { .sin6_port = 0 };
	socklen_t len = sizeof(local);

	raw(getsockname, fd, &local, &len);
	return ntohs(local.sin6_port);
}

static struct snapshot before;
static int fd_before;

static void prepare(int fd)
{
	look(fd, &before);
	fd_before = fd;
	errno = ERRNO_BEFORE;
}

static void report(const struct record *record)
{
	raw(write, REPORT_FD, record, sizeof(*record));
}

/* @seen: the port that the peer saw, or 0 */
static void judge(const char *call, long result, int seen)
{
	struct record record = { .result = result < 0 ? -1 : 0, .error = result < 0 ? errno : 0 };
	struct snapshot after;

	if (result >= 0 && errno != ERRNO_BEFORE)
		record.wrong |= WRONG_ERRNO;
	snprintf(record.call, sizeof(record.call), "%s", call);
	look(fd_before, &after);
	record.port = local_port(fd_before);
	if (seen && seen != record.port)
		record.wrong |= WRONG_PEER;
	if (memcmp(before.open, after.open, sizeof(after.open)) != 0)
		record.wrong |= WRONG_DESCRIPTORS;
	if (before.pages != after.pages)
		record.wrong |= WRONG_MAPPINGS;
	if (memcmp(&before.mask, &after.mask, 8) != 0)
		record.wrong |= WRONG_MASK;
	/* shown by a TCP socket that the bind engine has connected, or tried to (libportfence(8)) */
	if (!strcmp(call, "connect") || !strcmp(call, "sendto"))
		after.options.reuse_addr = before.options.reuse_addr;
	if (memcmp(&before.options, &after.options, sizeof(after.options)) != 0)
		record.wrong |= WRONG_OPTIONS;
	report(&record);
}

#define JUDGE(name, fd, call)                                                                      \
	({                                                                                         \
		long judge_result;                                                                 \
                                                                                                   \
		prepare(fd);                                                                       \
		judge_result = call;                                                               \
		judge(name, judge_result, 0);                                                      \
		judge_result;                                                                      \
	})

/* ---- peers, which the fence does not know of ---- */

static int listener(uint16_t port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = (int)raw(socket, AF_INET6, SOCK_STREAM, 0), yes = 1;

	raw(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (raw(bind, fd, &at, sizeof(at)) || raw(listen, fd, 256)) {
		perror("listener");
		exit(3);
	}
	peer.sin_port = htons(port);
	peer6.sin6_port = htons(port);
	return fd;
}

static int receiver(uint16_t port)
{
	struct sockaddr_in at = peer;
	int fd = (int)raw(socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	at.sin_port = htons(port);
	if (raw(bind, fd, &at, sizeof(at))) {
		perror("receiver");
		exit(3);
	}
	peer.sin_port = htons(port);
	return fd;
}

/* The port that a connection came from. It is accepted and kept; both ends end by a reset. */
static int accepted_port(int server)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	const struct linger linger = { 1, 0 };
	long fd = raw(accept4, server, &from, &len, 0);

	raw(setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return ntohs(from.sin6_port);
}

static int received_port(int fd)
{
	struct sockaddr_in from = { .sin_port = 0 };
	socklen_t len = sizeof(from);
	char byte[64];

	raw(recvfrom, fd, byte, sizeof(byte), 0, &from, &len);
	return ntohs(from.sin_port);
}

static int connect_judged(int fd, int server, const void *addr, socklen_t len)
{
	const struct linger linger = { 1, 0 };
	int result, port, saved;

	prepare(fd);
	result = connect(fd, addr, len);
	saved = errno;
	/* what the peer has accepted is a descriptor more */
	port = result || server < 0 ? 0 : accepted_port(server);
	raw(setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (port) {
		int i = 0;

		while (before.open[i])
			i++;
		before.open[i] = 1;
	}
	errno = saved;
	judge("connect", result, port);
	return result;
}

static int connect_to(int server)
{
	return connect_judged(socket(AF_INET, SOCK_STREAM, 0), server, &peer, sizeof(peer));
}

/* ---- the scenes ---- */

static void nothing(void)
{
	const struct record record = { .call = "nothing" };

	report(&record);
}

static void bind_udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	JUDGE("bind", fd, bind(fd, (struct sockaddr *)&any, sizeof(any)));
}

static void bind_tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	JUDGE("bind", fd, bind(fd, (struct sockaddr *)&any, sizeof(any)));
	JUDGE("listen", fd, listen(fd, 1));
}

static void bind_reuse(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
	JUDGE("bind", fd, bind(fd, (struct sockaddr *)&any, sizeof(any)));
}

static void bind_named(void)
{
	struct sockaddr_in named = any;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	named.sin_port = htons(20050);
	JUDGE("bind", fd, bind(fd, (struct sockaddr *)&named, sizeof(named)));
	JUDGE("listen", fd, listen(fd, 1));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	named.sin_port = htons(9777);
	JUDGE("bind", fd, bind(fd, (struct sockaddr *)&named, sizeof(named)));
}

static void resvport(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	JUDGE("bindresvport", fd, bindresvport(fd, NULL));
}

static void listen_only(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	JUDGE("listen", fd, listen(fd, 1));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	/* not fresh */
	close(dup(fd));
	JUDGE("listen", fd, listen(fd, 1));
}

static void connect_tcp(void)
{
	int server = listener(9001), fd;

	connect_to(server);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	close(dup(fd));
	connect_judged(fd, server, &peer, sizeof(peer));
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	connect_judged(fd, server, &peer6, sizeof(peer6));
}

/* The kernel shows the port of a connection that was refused, and takes another for the next. */
static void connect_stale(void)
{
	int server = listener(9001), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in nobody = peer;

	nobody.sin_port = htons(9999);
	JUDGE("connect", fd, connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
	connect_judged(fd, server, &peer, sizeof(peer));
}

/* Ports that the first connections hold serve the next: sock_diag is asked. */
static void share(void)
{
	int first = listener(9001), second;

	connect_to(first);
	connect_to(first);
	second = listener(9002);
	connect_to(second);
	connect_to(second);
	/* now both ports serve both */
	connect_to(second);
}

/* So many are taken that all are looked at. */
static void crowd(void)
{
	int server = listener(9001), i;
	struct sockaddr_in local = any;

	for (i = 0; i < 40; i++) {
		const struct linger linger = { 1, 0 };
		int fd = (int)raw(socket, AF_INET, SOCK_STREAM, 0), yes = 1;

		local.sin_port = htons((uint16_t)(20000 + i));
		raw(setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		raw(setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		if (raw(bind, fd, &local, sizeof(local)) || raw(connect, fd, &peer, sizeof(peer))) {
			perror("crowd");
			exit(3);
		}
		accepted_port(server);
	}
	connect_to(server);
	connect_to(server);
}

static void time_wait(void)
{
	/* not where an earlier run's are still remembered */
	int server = listener((uint16_t)(10000 + getpid() % 10000)), theirs;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;

	/* whoever closes first keeps the port for a minute */
	if (JUDGE("connect", fd, connect(fd, (struct sockaddr *)&peer, sizeof(peer)))) {
		connect_to(server);
		return;
	}
	theirs = (int)raw(accept4, server, NULL, NULL, 0);
	raw(shutdown, fd, SHUT_WR);
	raw(read, theirs, &byte, 1);
	raw(close, theirs);
	raw(read, fd, &byte, 1);
	close(fd);
	connect_to(server);
}

static void connect_udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	receiver(9001);
	JUDGE("connect", fd, connect(fd, (struct sockaddr *)&peer, sizeof(peer)));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	close(dup(fd));
	JUDGE("connect", fd, connect(fd, (struct sockaddr *)&peer, sizeof(peer)));
	JUDGE("send", fd, send(fd, "x", 1, 0));
}

static void send_judged(int fd, int server, const char *call, long result)
{
	int saved = errno;

	(void)fd;
	errno = saved;
	judge(call, result, result < 0 ? 0 : received_port(server));
}

static void send_udp(void)
{
	char byte = 'x';
	struct iovec data = { &byte, 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &peer,
						.msg_namelen = sizeof(peer),
						.msg_iov = &data,
						.msg_iovlen = 1 } };
	int server = receiver(9001), fd, turn;

	for (turn = 0; turn < 2; turn++) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (turn)
			close(dup(fd));
		prepare(fd);
		send_judged(fd, server, "sendto",
			    sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)));
		prepare(fd);
		send_judged(fd, server, "sendto",
			    sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)));
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (turn)
			close(dup(fd));
		prepare(fd);
		send_judged(fd, server, "sendmsg", sendmsg(fd, &message.msg_hdr, 0));
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (turn)
			close(dup(fd));
		prepare(fd);
		send_judged(fd, server, "sendmmsg", sendmmsg(fd, &message, 1, 0));
	}
}

/* The address is in memory that the library has to look at first. */
static void send_far(void)
{
	struct sockaddr_in *far =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int server = receiver(9001), fd = socket(AF_INET, SOCK_DGRAM, 0);

	*far = peer;
	prepare(fd);
	send_judged(fd, server, "sendto",
		    sendto(fd, "x", 1, 0, (struct sockaddr *)far, sizeof(*far)));
}

/* The kernel gives it a port before it notices that there is no destination. */
static void send_nowhere(void)
{
	static char long_one[70000];
	const uint32_t elsewhere = 50099U << 16 | 50000; /* IP_LOCAL_PORT_RANGE */
	int server = receiver(9001), fd = socket(AF_INET, SOCK_DGRAM, 0);

	JUDGE("send", fd, send(fd, "x", 1, 0));
	prepare(fd);
	send_judged(fd, server, "sendto",
		    sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)));
	/* a connection from outside has to survive that */
	fd = (int)raw(socket, AF_INET, SOCK_DGRAM, 0);
	raw(setsockopt, fd, IPPROTO_IP, 51, &elsewhere, sizeof(elsewhere));
	raw(connect, fd, &peer, sizeof(peer));
	JUDGE("send", fd, send(fd, long_one, sizeof(long_one), 0));
	prepare(fd);
	send_judged(fd, server, "write", raw(write, fd, "x", 1));
}

static void fast_open(void)
{
	int server = listener(9001), fd = socket(AF_INET, SOCK_STREAM, 0);
	const struct linger linger = { 1, 0 };

	raw(setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)server;
	JUDGE("sendto", fd,
	      sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&peer, sizeof(peer)));
}

static void dissolve(void)
{
	const struct sockaddr_in none = { .sin_family = AF_UNSPEC };
	int server = receiver(9001), fd = socket(AF_INET, SOCK_DGRAM, 0);

	JUDGE("connect", fd, connect(fd, (struct sockaddr *)&peer, sizeof(peer)));
	JUDGE("connect", fd, connect(fd, (struct sockaddr *)&none, sizeof(none)));
	prepare(fd);
	send_judged(fd, server, "sendto",
		    sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)));
}

static void write_text(const char *path, const char *text)
{
	long fd = raw(openat, AT_FDCWD, path, O_WRONLY);

	raw(write, fd, text, strlen(text));
	raw(close, fd);
}

/* The system's range is changed under the kernel engine. */
static void moved(void)
{
	int server = listener(9001);

	connect_to(server);
	write_text("/proc/sys/net/ipv4/ip_local_port_range", "50000 50999");
	connect_to(-1);
	connect_to(server);
	write_text("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999");
}

/* ---- programs that are started ---- */

static void child_record(const char *call, int result)
{
	const struct record record = { .result = result ? -1 : 0, .error = result };
	struct record copy = record;

	snprintf(copy.call, sizeof(copy.call), "%s", call);
	report(&copy);
}

static char *const child_argv[] = { (char *)"faults", (char *)"scene", (char *)"child", NULL };

#define CHILD "exec \"$FAULTS_SELF\" scene child"

/* No room for it on a thread's stack */
static void start_large(void)
{
	static char *envp[1200];
	int i, status, error;
	pid_t pid;

	for (i = 0; i < 1199; i++)
		envp[i] = (char *)"A=1";
	errno = 0;
	pid = fork();
	if (pid == 0) {
		execve("/proc/self/exe", child_argv, envp);
		child_record("execve", errno);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, child_argv, envp);
	if (error)
		child_record("posix_spawn", error);
	else
		waitpid(pid, &status, 0);
}

/* The environment as it was before, but for all that keeps a program fenced */
static void wipe(const char *injector, const char *self)
{
	clearenv();
	setenv("FAULTS_SELF", self, 1);
	setenv("LD_PRELOAD", injector, 1);
}

static void shell(void)
{
	const char *injector = strdup(strchr(getenv("LD_PRELOAD"), ':') + 1);
	const char *self = strdup(getenv("FAULTS_SELF"));
	FILE *pipe;

	wipe(injector, self);
	if (system(CHILD))
		child_record("system", errno);
	wipe(injector, self);
	pipe = popen(CHILD, "r");
	if (pipe)
		pclose(pipe);
	else
		child_record("popen", errno);
}

/* What the children do: neither of them is looked at closer. */
static void child(void)
{
	bind_udp();
}

#define BIND "[faults]\nengine = bind\nrange = 20000-20099\n"
#define KERNEL "[faults]\nengine = kernel\nrange = 40000-40099\n"
#define AUTO "[faults]\nrange = 40000-40099\n"
#define BOTH(name, body)                                                                           \
	{ name "-bind", BIND, "", 0, 20000, 20099, body },                                         \
	{                                                                                          \
		name "-auto", AUTO, "", 0, 40000, 40099, body                                      \
	}

const struct scene scenes[] = {
	{ "start-only", BIND, "", 0, 20000, 20099, nothing },
	{ "start-variables", NULL, "PORTFENCE_RANGE=20000-20099", 0, 20000, 20099, bind_udp },
	{ "start-file", BIND, "", 0, 20000, 20099, bind_udp },
	{ "start-new", BIND, "", SCENE_NEW_STATE, 20000, 20099, bind_udp },
	{ "start-seed", "[faults]\nseed = 1\nrange = 20000-20099\n", "", 0, 20000, 20099,
	  bind_udp },
	{ "start-xdg", BIND, "PORTFENCE_CONFIG= XDG_CONFIG_HOME=@/xdg", 0, 20000, 20099, bind_udp },
	{ "start-home", BIND, "PORTFENCE_CONFIG= XDG_CONFIG_HOME= HOME=@/home", 0, 20000, 20099,
	  bind_udp },
	{ "start-args",
	  "[other]\nargs = *other*\nrange = 1\n[mine]\nargs = *start-args*\nrange = 20000-20099\n",
	  "", 0, 20000, 20099, bind_udp },
	{ "start-match", "[mine]\nmatch = */faults\nrange = 20000-20099\n", "", 0, 20000, 20099,
	  bind_udp },
	{ "start-link", "[really]\nrange = 20000-20099\n", "", 0, 20000, 20099, bind_udp },
	{ "start-lists", "[faults]\nrange = 20000-20099\nexclude = services\nudp.range = system\n",
	  "", 0, 32768, 60999, bind_udp },
	{ "start-handed", BIND, "", SCENE_HANDED, 20000, 20099, bind_udp },
	{ "start-relative", BIND, "", SCENE_RELATIVE, 20000, 20099, shell },
	{ "start-shm", BIND, "PORTFENCE_STATE=", 0, 20000, 20099, bind_udp },
	{ "start-shm-new", BIND, "PORTFENCE_STATE=", SCENE_NEW_STATE, 20000, 20099, bind_udp },
	{ "start-runtime", BIND, "PORTFENCE_STATE= XDG_RUNTIME_DIR=@/runtime", SCENE_NEW_STATE,
	  20000, 20099, bind_udp },
	{ "start-kernel", KERNEL, "", 0, 40000, 40099, connect_udp },
	{ "log-file", BIND, "PORTFENCE_LOG=@/log", 0, 20000, 20099, bind_udp },
	{ "log-stderr", BIND, "PORTFENCE_LOG=stderr", 0, 20000, 20099, bind_udp },
	{ "log-full", BIND, "PORTFENCE_LOG=stderr", SCENE_FULL_PIPE, 20000, 20099, bind_udp },
	{ "log-syslog", BIND, "PORTFENCE_LOG=json:syslog", 0, 20000, 20099, bind_udp },
	{ "log-overlap", BIND "[other]\nrange = 20001\n", "PORTFENCE_LOG=json:@/log", 0, 20000,
	  20099, bind_udp },
	{ "record", BIND, "PORTFENCE_RECORD=@/record", 0, 20000, 20099, bind_udp },
	BOTH("bind-tcp", bind_tcp),
	BOTH("bind-reuse", bind_reuse),
	{ "bind-own", BIND "bind = own\n", "", 0, 20000, 20099, bind_named },
	{ "bind-deny", BIND "bind = deny\n", "", 0, 20000, 20099, bind_named },
	{ "bindresvport", BIND, "", 0, 20000, 20099, resvport },
	BOTH("listen", listen_only),
	{ "listen-kernel", KERNEL, "", 0, 40000, 40099, listen_only },
	BOTH("connect-tcp", connect_tcp),
	{ "connect-kernel", KERNEL, "", 0, 40000, 40099, connect_tcp },
	BOTH("connect-stale", connect_stale),
	BOTH("connect-udp", connect_udp),
	BOTH("send-udp", send_udp),
	{ "send-kernel", KERNEL, "", 0, 40000, 40099, send_udp },
	{ "send-far", BIND, "", 0, 20000, 20099, send_far },
	BOTH("send-nowhere", send_nowhere),
	BOTH("fast-open", fast_open),
	BOTH("dissolve", dissolve),
	{ "dissolve-kernel", KERNEL, "", 0, 40000, 40099, dissolve },
	{ "share", "[faults]\nengine = bind\norder = sequential\nrange = 20000-20001\n", "", 0,
	  20000, 20001, share },
	{ "share-any", "[faults]\nengine = bind\nrange = 20000-20001\nexhausted = system\n", "", 0,
	  20000, 20001, share },
	{ "crowd", "[faults]\nengine = bind\norder = sequential\nrange = 20000-20049\n", "",
	  SCENE_NEW_STATE, 20000, 20049, crowd },
	{ "time-wait", "[faults]\nengine = bind\nrange = 21000\n", "", SCENE_TIME_WAIT, 21000,
	  21000, time_wait },
	{ "moved", KERNEL, "", 0, 40000, 40099, moved },
	{ "exec-large", BIND, "", 0, 20000, 20099, start_large },
	{ "exec-shell", BIND, "", 0, 20000, 20099, shell },
	{ "child", NULL, NULL, 0, 0, 0, child },
	{ .name = NULL },
};

const struct scene *scene_find(const char *name)
{
	const struct scene *scene = scenes;

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer6.sin6_addr = in6addr_loopback;
	while (scene->name && strcmp(scene->name, name) != 0)
		scene++;
	return scene->name ? scene : NULL;
}
