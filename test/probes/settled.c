/*
 * settled: a number through which much was sent comes to mean another socket, or the socket loses
 * its port; then it sends again. One line:
 *
 *   settled WAY FAMILY PORT    "WAY FAMILY" and, for each socket that sent, the port that it sent from
 *                              (or the errno); destination is PORT of this host. FAMILY is 4 or 6
 *   settled list               the ways
 *   settled outside FAMILY COMMAND...
 *                              run a command that inherits a socket with a port of the system's
 *                              choice, as the ways need it that begin so; run it without the fence
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif

#define INHERITED 100 /* the number of what `outside` hands over */
#define NOWHERE 10

/* glibc exports these names, too; not all libcs declare the others */
int __dup2(int fd, int to);
int __fcntl(int fd, int command, ...);
int fcntl64(int fd, int command, ...);
int pidfd_getfd(int pidfd, int fd, unsigned flags);

static int family;
static struct sockaddr_storage peer;
static socklen_t len;
static int number;  /* sends without asking, in the end */
static int unbound; /* never used so far */

/* Shared with children, whatever they share else. */
static _Atomic int turn, ended; /* between threads, and processes that share memory */

static struct said {
	size_t used;
	char text[1024];
} * said;

static void die(const char *what)
{
	perror(what);
	_exit(2);
}

static int check(int result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

/* ---- sockets ---- */

static int new_socket(int type)
{
	return check(socket(family, type, 0), "socket");
}

static int udp(void)
{
	return new_socket(SOCK_DGRAM);
}

static struct sockaddr_storage host(int port)
{
	struct sockaddr_storage addr = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *in4 = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

	if (family == AF_INET) {
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		in4->sin_port = htons((uint16_t)port);
	} else {
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = htons((uint16_t)port);
	}
	return addr;
}

static int port_of(const struct sockaddr_storage *addr)
{
	/* at one place in both families */
	return ntohs(((const struct sockaddr_in *)addr)->sin_port);
}

static int local_port(int fd)
{
	struct sockaddr_storage local;
	socklen_t size = sizeof(local);

	check(getsockname(fd, (struct sockaddr *)&local, &size), "getsockname");
	return port_of(&local);
}

static int send_from(int fd)
{
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, len) < 0 ? errno : 0;
}

/* The first send finds the port, the second one sees that it is there, the third one need not. */
static int settle(int fd)
{
	int i, error = 0;

	for (i = 0; i < 3 && !error; i++)
		error = send_from(fd);
	return error;
}

static void say(const char *word)
{
	said->used += (size_t)snprintf(said->text + said->used, sizeof(said->text) - said->used,
				       " %s", word);
}

static void say_number(int n)
{
	char word[16];

	snprintf(word, sizeof(word), "%d", n);
	say(word);
}

/* Sends, and says from where. */
static void note(int fd)
{
	int error = settle(fd);

	if (error)
		say(strerrorname_np(error));
	else
		say_number(local_port(fd));
}

/* What the fence's kernel engine has set goes, as a program might have it. */
static void clear_range(int fd)
{
	uint32_t none = 0;

	/* a kernel without the option has nothing to clear */
	setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &none, sizeof(none));
}

/* A port that the kernel has chosen is lost. */
static void dissolve(int fd)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };

	check(connect(fd, &none, sizeof(none)), "connect to AF_UNSPEC");
}

static void set(int fd, int level, int option)
{
	int one = 1;

	check(setsockopt(fd, level, option, &one, sizeof(one)), "setsockopt");
}

static void bind_to(int fd, int port)
{
	struct sockaddr_storage local = host(port);

	check(bind(fd, (struct sockaddr *)&local, len), "bind");
}

/* ---- the number is given another socket ---- */

static void way_dup2(void)
{
	check(dup2(unbound, number), "dup2");
}

static void way_dup2_alias(void)
{
	check(__dup2(unbound, number), "__dup2");
}

static void way_dup3(void)
{
	check(dup3(unbound, number, O_CLOEXEC), "dup3");
}

/* The lowest number that is free is the one just closed. */
static void is_number(int fd, const char *what)
{
	check(fd, what);
	if (fd != number) {
		fprintf(stderr, "%s: %d is not %d\n", what, fd, number);
		_exit(2);
	}
}

/* Past the fence, so that what makes the next one has to notice by itself. */
static void vanish(int fd)
{
	check((int)syscall(SYS_close, fd), "SYS_close");
}

static void way_close_dup(void)
{
	vanish(number);
	is_number(dup(unbound), "dup");
}

static void way_close_dupfd(void)
{
	vanish(number);
	is_number(fcntl(unbound, F_DUPFD, number), "F_DUPFD");
}

static void way_close_dupfd_cloexec(void)
{
	vanish(number);
	is_number(fcntl(unbound, F_DUPFD_CLOEXEC, number), "F_DUPFD_CLOEXEC");
}

static void way_close_dupfd_alias(void)
{
	vanish(number);
	is_number(__fcntl(unbound, F_DUPFD, number), "F_DUPFD");
}

static void way_close_dupfd_64(void)
{
	vanish(number);
	is_number(fcntl64(unbound, F_DUPFD, number), "F_DUPFD");
}

static void way_close_socket(void)
{
	vanish(number);
	is_number(udp(), "socket");
}

/* What is made past the fence is sent through by it. */
static void way_close_raw(void)
{
	close(number);
	is_number((int)syscall(SYS_socket, family, SOCK_DGRAM, 0), "SYS_socket");
}

static void way_fclose_socket(void)
{
	FILE *file = fdopen(number, "w");

	if (!file || fclose(file))
		die("fclose");
	is_number(udp(), "socket");
}

static void way_freopen_socket(void)
{
	number = check(dup2(number, 0), "dup2");
	settle(number);
	if (!freopen("/dev/null", "r", stdin))
		die("freopen");
	fclose(stdin);
	is_number(udp(), "socket");
}

static void way_pidfd(void)
{
	int self = check((int)syscall(SYS_pidfd_open, getpid(), 0), "pidfd_open");

	vanish(number);
	is_number(pidfd_getfd(self, unbound, 0), "pidfd_getfd");
}

/* ---- the number comes with a message ---- */

union control {
	struct cmsghdr head;
	char room[256];
};

static void send_descriptors(int to, const int *fds, unsigned count)
{
	union control control = { .room = { 0 } };
	static char byte = 'x';
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	check((int)sendmsg(to, &message, 0), "sendmsg");
}

static void expect_message(struct msghdr *message, union control *control, struct iovec *data,
			   size_t room)
{
	static char byte;

	*data = (struct iovec){ &byte, 1 };
	*message = (struct msghdr){
		.msg_iov = data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room
	};
}

static void is_received(const union control *control, unsigned place, int fd)
{
	int got;

	memcpy(&got, CMSG_DATA(&control->head) + place * sizeof(int), sizeof(got));
	if (got != fd) {
		fprintf(stderr, "received %d, not %d\n", got, fd);
		_exit(2);
	}
}

static void way_recvmsg(void)
{
	union control control;
	struct msghdr message;
	struct iovec data;
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	send_descriptors(pair[0], &unbound, 1);
	vanish(number);
	expect_message(&message, &control, &data, sizeof(control));
	check((int)recvmsg(pair[1], &message, 0), "recvmsg");
	is_received(&control, 0, number);
}

/* Looked at only: the descriptors come all the same. */
static void way_recvmsg_peek(void)
{
	union control control;
	struct msghdr message;
	struct iovec data;
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	send_descriptors(pair[0], &unbound, 1);
	vanish(number);
	expect_message(&message, &control, &data, sizeof(control));
	check((int)recvmsg(pair[1], &message, MSG_PEEK), "recvmsg");
	is_received(&control, 0, number);
}

/* @room: for how many of three. All of the numbers were settled before. */
static void receive_of_three(unsigned room)
{
	int pair[2], fds[3], numbers[3];
	union control control;
	struct msghdr message;
	struct iovec data;
	unsigned i;

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	for (i = 0; i < 3; i++)
		fds[i] = udp();
	for (i = 0; i < 3; i++) {
		numbers[i] = udp();
		note(numbers[i]);
	}
	send_descriptors(pair[0], fds, 3);
	for (i = 0; i < 3; i++)
		vanish(numbers[i]);
	/* no padding: the last one ends where the room does */
	expect_message(&message, &control, &data, CMSG_LEN(room * sizeof(int)));
	check((int)recvmsg(pair[1], &message, 0), "recvmsg");
	if (!(message.msg_flags & MSG_CTRUNC) != (room == 3))
		die("MSG_CTRUNC");
	for (i = 0; i < room; i++) {
		is_received(&control, i, numbers[i]);
		note(numbers[i]);
	}
}

static void way_recvmsg_several(void)
{
	receive_of_three(3);
}

static void way_recvmsg_truncated(void)
{
	receive_of_three(1);
	receive_of_three(2);
}

/* The credentials come first, in the same buffer. */
static void way_recvmsg_second(void)
{
	int pair[2], place = number;
	struct cmsghdr *control_message;
	union control control;
	struct msghdr message;
	struct iovec data;

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	set(pair[1], SOL_SOCKET, SO_PASSCRED);
	send_descriptors(pair[0], &unbound, 1);
	vanish(number);
	expect_message(&message, &control, &data, sizeof(control));
	check((int)recvmsg(pair[1], &message, 0), "recvmsg");
	control_message = CMSG_NXTHDR(&message, &control.head);
	if (!control_message || control_message->cmsg_type != SCM_RIGHTS ||
	    memcmp(CMSG_DATA(control_message), &place, sizeof(place)))
		die("SCM_RIGHTS");
}

static void way_recvmmsg(void)
{
	union control controls[2];
	struct mmsghdr messages[2];
	struct iovec data[2];
	int pair[2], other = udp(), i;

	check(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "socketpair");
	note(other);
	send_descriptors(pair[0], &unbound, 1);
	i = udp();
	send_descriptors(pair[0], &i, 1);
	vanish(number);
	vanish(other);
	for (i = 0; i < 2; i++)
		expect_message(&messages[i].msg_hdr, &controls[i], &data[i], sizeof(controls[i]));
	check(recvmmsg(pair[1], messages, 2, 0, NULL), "recvmmsg");
	is_received(&controls[0], 0, number);
	is_received(&controls[1], 0, other);
	note(other);
}

/* ---- processes and threads ---- */

static void wait_for(pid_t pid)
{
	int status;

	check(pid, "child");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	if (status) {
		fprintf(stderr, "child's status %#x\n", status);
		_exit(2);
	}
}

static void *call_body(void *body)
{
	(*(void (**)(void))body)();
	return NULL;
}

static void run_thread(void (*body)(void))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, call_body, &body) || pthread_join(thread, NULL))
		die("thread");
}

static void way_fork(void)
{
	pid_t pid = fork();

	if (!pid) {
		check(dup2(unbound, number), "dup2");
		note(number);
		_exit(0);
	}
	wait_for(pid);
}

/* The child of a thread: its numbers and its memory are not of one moment. */
static void way_fork_thread(void)
{
	run_thread(way_fork);
}

/* A child that shares memory gives its number another socket; ours stays. */
static void way_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		if (dup2(unbound, number) >= 0)
			note(number);
		_exit(0);
	}
	wait_for(pid);
}

/* What it sees of its own number must not be believed of ours. */
static void way_vfork_other(void)
{
	pid_t pid = vfork();

	if (!pid) {
		if (dup2(number, unbound) >= 0)
			settle(unbound);
		_exit(0);
	}
	wait_for(pid);
	note(unbound);
}

static void way_vfork_tcp(void)
{
	pid_t pid = vfork();

	if (!pid) {
		close(unbound);
		socket(family, SOCK_STREAM, 0);
		_exit(0);
	}
	wait_for(pid);
	note(unbound);
}

/*
 * In a table of its own, a number comes to mean a socket that has its port;
 * for the others it still means one that has none.
 */
static void misguide(void)
{
	check(dup2(number, unbound), "dup2");
	if (settle(unbound))
		die("send");
}

static void unshare_files(void)
{
	check(unshare(CLONE_FILES), "unshare");
	misguide();
}

static void way_unshare_files(void)
{
	run_thread(unshare_files);
	note(unbound);
}

/* A new TCP socket there, under the number that means a UDP socket to the others. */
static void unshare_files_tcp(void)
{
	check(unshare(CLONE_FILES), "unshare");
	vanish(unbound);
	if (new_socket(SOCK_STREAM) != unbound)
		die("socket");
}

static void way_unshare_files_tcp(void)
{
	run_thread(unshare_files_tcp);
	check(connect(unbound, (struct sockaddr *)&peer, len), "connect");
	/* nobody may be there to receive it; that the first send does not know yet */
	check((int)send(unbound, "x", 1, 0), "send");
	say_number(local_port(unbound));
}

static void close_range_unshare(void)
{
	check(close_range(1000, 1000, CLOSE_RANGE_UNSHARE), "close_range");
	misguide();
}

static void way_close_range_unshare(void)
{
	run_thread(close_range_unshare);
	note(unbound);
}

static int misguide_thread(void *unused)
{
	(void)unused;
	misguide();
	atomic_store(&ended, 1);
	syscall(SYS_exit, 0);
	return 0;
}

/* A thread that has a table of its own from birth. It uses our errno, so we wait without a call. */
static void way_clone_thread(void)
{
	static char stack[256 << 10] __attribute__((aligned(64)));

	check(clone(misguide_thread, stack + sizeof(stack),
		    CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, NULL),
	      "clone");
	while (!atomic_load(&ended))
		;
	note(unbound);
}

/* A process that shares memory, not the table; we go on meanwhile. */
static int replace_and_wait(void *unused)
{
	(void)unused;
	if (dup2(unbound, number) < 0)
		return 1;
	atomic_store(&turn, 1);
	while (atomic_load(&turn) != 2)
		;
	note(number);
	return 0;
}

static void way_clone_process(void)
{
	static char stack[256 << 10] __attribute__((aligned(64)));
	pid_t pid = clone(replace_and_wait, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	check(pid, "clone");
	while (atomic_load(&turn) != 1)
		;
	settle(number);
	atomic_store(&turn, 2);
	wait_for(pid);
}

/* ---- another network namespace ---- */

/* Where the ephemeral range does not hold the fence's, so that the kernel would ignore that. */
static void make_namespace_strange(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = check(open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC),
		       "ip_local_port_range");

	check((int)write(fd, "50000 50999", 11), "ip_local_port_range");
	close(fd);
	fd = udp();
	check(ioctl(fd, SIOCSIFFLAGS, &lo), "lo");
	close(fd);
}

/* The namespace has no capture: a socket in it receives. */
static void note_from_the_wire(void)
{
	struct sockaddr_storage from = { 0 };
	int fd = udp(), receiver = udp(), error;
	socklen_t size = sizeof(from);
	char byte;

	bind_to(receiver, port_of(&peer));
	error = send_from(fd);
	if (recvfrom(receiver, &byte, 1, MSG_DONTWAIT, (struct sockaddr *)&from, &size) > 0)
		say_number(port_of(&from));
	else
		say(error ? strerrorname_np(error) : "nothing");
	close(fd);
	close(receiver);
}

static void way_unshare_net(void)
{
	check(unshare(CLONE_NEWNET), "unshare");
	make_namespace_strange();
	note_from_the_wire();
}

static void way_unshare_net_thread(void)
{
	run_thread(way_unshare_net);
	note(udp());
}

static void way_setns(void)
{
	int ready[2], done[2], strange;
	char byte, path[64];
	pid_t pid;

	if (pipe(ready) || pipe(done))
		die("pipe");
	pid = fork();
	if (!pid) {
		check(unshare(CLONE_NEWNET), "unshare");
		make_namespace_strange();
		check((int)write(ready[1], "x", 1), "write");
		_exit(read(done[0], &byte, 1) != 1);
	}
	check((int)read(ready[0], &byte, 1), "read");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	strange = check(open(path, O_RDONLY | O_CLOEXEC), path);
	check(setns(strange, CLONE_NEWNET), "setns");
	check((int)write(done[1], "x", 1), "write");
	wait_for(pid);
	note_from_the_wire();
}

static int clone_net_body(void *unused)
{
	(void)unused;
	make_namespace_strange();
	note_from_the_wire();
	return 0;
}

/* Shares memory, and waits for it as vfork does, but in a namespace of its own. */
static void way_clone_net(void)
{
	static char stack[256 << 10] __attribute__((aligned(64)));

	wait_for(clone(clone_net_body, stack + sizeof(stack),
		       CLONE_VM | CLONE_VFORK | CLONE_NEWNET | SIGCHLD, NULL));
}

/* ---- the socket loses its port ---- */

static void way_unspec(void)
{
	clear_range(number);
	dissolve(number);
}

static void way_unspec_twin(void)
{
	int twin = check(dup(number), "dup");

	settle(number);
	clear_range(number);
	dissolve(twin);
}

/* The twin has too high a number to be remembered. */
static void way_unspec_high(void)
{
	int twin;

	twin = check(dup2(number, 5000), "dup2");
	settle(number);
	clear_range(number);
	dissolve(twin);
}

/* By another process that shares it; what the fence has set stays. */
static void way_unspec_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		dissolve(number);
		_exit(0);
	}
	wait_for(pid);
}

static void way_unspec_thread(void)
{
	run_thread(way_unspec);
}

/* In a thread that goes on with it, while we send. With the option in place. */
static void *unspec_in_a_loop(void *unused)
{
	while (!atomic_load(&ended))
		dissolve(number);
	return unused;
}

static void way_unspec_loop(void)
{
	pthread_t thread;
	int i, port;

	if (pthread_create(&thread, NULL, unspec_in_a_loop, NULL))
		die("thread");
	for (i = 0; i < 1000; i++)
		if (send_from(number))
			die("send");
	atomic_store(&ended, 1);
	pthread_join(thread, NULL);
	port = local_port(number);
	if (port)
		say_number(port);
}

/* A send without destination takes back a port that the kernel gave it; a twin must notice. */
static void way_undo_twin(void)
{
	int twin = check(dup(number), "dup");

	settle(number);
	if (send(twin, "x", 1, 0) >= 0 || errno != EDESTADDRREQ)
		die("send without destination");
}

/* The same by a connect() that fails. */
static void way_undo_connect(void)
{
	static const struct sockaddr wrong = { .sa_family = AF_UNIX };
	int twin = check(dup(number), "dup");

	settle(number);
	if (!connect(twin, &wrong, sizeof(wrong)))
		die("connect to AF_UNIX");
}

/* ---- a send without a destination fails, and leaves the port that the kernel has chosen ---- */

static void drew_port(long result, int fd)
{
	if (result >= 0 || errno != EDESTADDRREQ || !local_port(fd))
		die("a send without destination");
}

static int written(int fd)
{
	drew_port(write(fd, "x", 1), fd);
	return fd;
}

static void way_write(void)
{
	note(written(unbound));
}

static void way_writev(void)
{
	char byte = 'x';
	const struct iovec data = { &byte, 1 };

	drew_port(writev(unbound, &data, 1), unbound);
	note(unbound);
}

static void way_sendfile(void)
{
	int file = check(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");

	drew_port(sendfile(unbound, file, NULL, 1), unbound);
	note(unbound);
}

static void way_splice(void)
{
	int ends[2];

	check(pipe(ends), "pipe");
	check((int)write(ends[1], "x", 1), "write");
	drew_port(splice(ends[0], NULL, unbound, NULL, 1, 0), unbound);
	note(unbound);
}

/* By each call that may follow, before a send without one shows where it comes from. */
static void way_write_connect(void)
{
	check(connect(written(unbound), (struct sockaddr *)&peer, len), "connect");
	check((int)send(unbound, "x", 1, 0), "send");
	say_number(local_port(unbound));
}

static void way_write_sendmsg(void)
{
	char byte = 'x';
	struct iovec data = { &byte, 1 };
	const struct msghdr message = {
		.msg_name = &peer, .msg_namelen = len, .msg_iov = &data, .msg_iovlen = 1
	};

	check((int)sendmsg(written(unbound), &message, 0), "sendmsg");
	say_number(local_port(unbound));
}

static void way_write_sendmmsg(void)
{
	char byte = 'x';
	struct iovec data = { &byte, 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &peer,
						.msg_namelen = len,
						.msg_iov = &data,
						.msg_iovlen = 1 } };

	check(sendmmsg(written(unbound), &message, 1, 0), "sendmmsg");
	say_number(local_port(unbound));
}

static void way_write_reuse(void)
{
	set(unbound, SOL_SOCKET, SO_REUSEADDR);
	note(written(unbound));
}

static void way_write_twin(void)
{
	note(check(dup(written(unbound)), "dup"));
}

static void way_write_child(void)
{
	pid_t pid;

	written(unbound);
	pid = fork();
	if (!pid) {
		note(unbound);
		_exit(0);
	}
	wait_for(pid);
}

/* After its port of the range is gone, which one that was bound by hand is not. */
static void way_write_unspec(void)
{
	note(unbound);
	clear_range(unbound);
	dissolve(unbound);
	check(write(unbound, "x", 1) < 0 ? 0 : -1, "write");
	note(unbound);
}

static void way_write_raw(void)
{
	note(written(check((int)syscall(SYS_socket, family, SOCK_DGRAM, 0), "SYS_socket")));
}

/* ---- above the numbers that are remembered, and at their end ---- */

static void way_high(void)
{
	static const int high[] = { 4085, 4086, 4087, 4088, 5000, 8000 };
	size_t i;

	for (i = 0; i < sizeof(high) / sizeof(high[0]); i++) {
		check(dup2(number, high[i]), "dup2");
		settle(high[i]);
		check(dup2(udp(), high[i]), "dup2");
		note(high[i]);
	}
}

/* Changes nothing, and so forgets nothing that is not true. */
static void way_dup2_itself(void)
{
	check(dup2(number, number), "dup2");
	check(dup2(unbound, unbound), "dup2");
	note(unbound);
	if (dup3(number, number, 0) >= 0)
		die("dup3");
}

static void way_dup2_fails(void)
{
	if (dup2(999, number) >= 0)
		die("dup2");
}

/* ---- before the process has a socket ---- */

static pthread_t early_thread;

/* It has a table of its own before there is anything to remember, and uses its numbers later. */
static void *leave_early(void *unused)
{
	check(unshare(CLONE_FILES), "unshare");
	atomic_store(&turn, 1);
	while (atomic_load(&turn) != 2)
		sched_yield();
	check(dup2(udp(), unbound), "dup2");
	if (settle(unbound))
		die("send");
	return unused;
}

static void begin_early_unshare(void)
{
	if (pthread_create(&early_thread, NULL, leave_early, NULL))
		die("thread");
	while (atomic_load(&turn) != 1)
		sched_yield();
}

static void way_early_unshare(void)
{
	atomic_store(&turn, 2);
	pthread_join(early_thread, NULL);
	note(unbound);
}

/* The child's first socket is none of its parent's. */
static void begin_early_fork(void)
{
	pid_t pid = fork();

	if (!pid) {
		number = udp();
		unbound = udp();
		note(number);
		way_fork();
		way_dup2();
		note(number);
		_exit(0);
	}
	wait_for(pid);
}

static void way_early_fork(void)
{
	way_fork();
	way_dup2();
}

static void begin(void (*way)(void))
{
	if (way == way_early_unshare)
		begin_early_unshare();
	else if (way == way_early_fork)
		begin_early_fork();
}

static const struct way {
	const char *name;
	void (*go)(void);
	bool inherits; /* the number is INHERITED */
	bool ends;     /* there is nothing to send afterwards */
} ways[] = {
	{ "clone-net", way_clone_net, false, true },
	{ "clone-process", way_clone_process, false, false },
	{ "clone-thread", way_clone_thread, false, false },
	{ "close-dup", way_close_dup, false, false },
	{ "close-dupfd", way_close_dupfd, false, false },
	{ "close-dupfd-64", way_close_dupfd_64, false, false },
	{ "close-dupfd-alias", way_close_dupfd_alias, false, false },
	{ "close-dupfd-cloexec", way_close_dupfd_cloexec, false, false },
	{ "close-range-unshare", way_close_range_unshare, false, false },
	{ "close-raw", way_close_raw, false, false },
	{ "close-socket", way_close_socket, false, false },
	{ "dup2", way_dup2, false, false },
	{ "dup2-alias", way_dup2_alias, false, false },
	{ "dup2-fails", way_dup2_fails, false, false },
	{ "dup2-itself", way_dup2_itself, false, false },
	{ "dup3", way_dup3, false, false },
	{ "early-fork", way_early_fork, false, false },
	{ "early-unshare", way_early_unshare, false, false },
	{ "fclose-socket", way_fclose_socket, false, false },
	{ "fork", way_fork, false, false },
	{ "fork-thread", way_fork_thread, false, false },
	{ "freopen-socket", way_freopen_socket, false, false },
	{ "high", way_high, false, false },
	{ "outside-undo-connect", way_undo_connect, true, false },
	{ "outside-undo-twin", way_undo_twin, true, false },
	{ "outside-unspec", way_unspec, true, false },
	{ "outside-unspec-child", way_unspec_child, true, false },
	{ "outside-unspec-high", way_unspec_high, true, false },
	{ "outside-unspec-thread", way_unspec_thread, true, false },
	{ "outside-unspec-twin", way_unspec_twin, true, false },
	{ "pidfd", way_pidfd, false, false },
	{ "recvmmsg", way_recvmmsg, false, false },
	{ "recvmsg", way_recvmsg, false, false },
	{ "recvmsg-peek", way_recvmsg_peek, false, false },
	{ "recvmsg-second", way_recvmsg_second, false, false },
	{ "recvmsg-several", way_recvmsg_several, false, false },
	{ "recvmsg-truncated", way_recvmsg_truncated, false, false },
	{ "sendfile", way_sendfile, false, false },
	{ "setns", way_setns, false, true },
	{ "splice", way_splice, false, false },
	{ "unshare-files", way_unshare_files, false, false },
	{ "unshare-files-tcp", way_unshare_files_tcp, false, false },
	{ "unshare-net", way_unshare_net, false, true },
	{ "unshare-net-thread", way_unshare_net_thread, false, true },
	{ "unspec", way_unspec, false, false },
	{ "unspec-child", way_unspec_child, false, false },
	{ "unspec-high", way_unspec_high, false, false },
	{ "unspec-loop", way_unspec_loop, false, true },
	{ "unspec-thread", way_unspec_thread, false, false },
	{ "unspec-twin", way_unspec_twin, false, false },
	{ "vfork", way_vfork, false, false },
	{ "vfork-other", way_vfork_other, false, false },
	{ "vfork-tcp", way_vfork_tcp, false, false },
	{ "write", way_write, false, false },
	{ "write-child", way_write_child, false, false },
	{ "write-connect", way_write_connect, false, false },
	{ "write-raw", way_write_raw, false, false },
	{ "write-reuse", way_write_reuse, false, false },
	{ "write-sendmmsg", way_write_sendmmsg, false, false },
	{ "write-sendmsg", way_write_sendmsg, false, false },
	{ "write-twin", way_write_twin, false, false },
	{ "write-unspec", way_write_unspec, false, false },
	{ "writev", way_writev, false, false },
};

static const struct way *find_way(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	return NULL;
}

static void list_ways(void)
{
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		puts(ways[i].name);
}

/* A socket that the kernel has bound, by a send to a port that nobody looks at. */
static void hand_over(char *command[])
{
	int fd = udp();

	peer = host(NOWHERE);
	if (send_from(fd))
		die("send");
	check(dup2(fd, INHERITED), "dup2");
	close(fd);
	execvp(command[0], command);
	die(command[0]);
}

static void go(const struct way *way, int port)
{
	const struct rlimit limit = { 10000, 10000 };

	check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	peer = host(way->inherits ? NOWHERE : port);
	begin(way->go);
	number = way->inherits ? INHERITED : udp();
	unbound = udp();
	if (way->inherits)
		settle(number);
	else
		note(number);
	way->go();
	peer = host(port);
	if (!way->ends)
		note(number);
}

int main(int argc, char *argv[])
{
	const struct way *way;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		list_ways();
		return 0;
	}
	if (argc < 4)
		return 2;
	family = argv[2][0] == '6' ? AF_INET6 : AF_INET;
	len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (!strcmp(argv[1], "outside"))
		hand_over(argv + 3);
	way = find_way(argv[1]);
	if (!way)
		return 2;
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		die("mmap");
	go(way, atoi(argv[3]));
	printf("%s %s%s\n", way->name, argv[2], said->text);
	return 0;
}
