#include "rows.h"

#include "place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * An operation goes from socket() to close(), with the calls that a program
 * would make and no other, so that fenced and plain differ in the fence alone.
 *
 * A TCP client closes with SO_LINGER 0: its RST frees the port at once on both
 * sides, so no TIME_WAIT piles up on ports, and a batch ends as it began. That
 * is one more setsockopt, the same for all.
 *
 * Datagrams go to a socket that is never read and has the smallest receive
 * buffer: after the first few the kernel drops them at the receiver, at a
 * constant cost, and send() succeeds all the same.
 */

extern char **environ;

static struct sockaddr_in near4, sink4, udp4, any4;
static struct sockaddr_in6 near6;

__attribute__((constructor)) static void fill_addresses(void)
{
	near4.sin_family = sink4.sin_family = udp4.sin_family = any4.sin_family = AF_INET;
	near4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sink4.sin_addr = udp4.sin_addr = near4.sin_addr;
	near4.sin_port = htons(PLACE_NEAR);
	sink4.sin_port = htons(PLACE_SINK);
	udp4.sin_port = htons(PLACE_UDP);
	near6.sin6_family = AF_INET6;
	near6.sin6_addr = in6addr_loopback;
	near6.sin6_port = htons(PLACE_NEAR);
}

/* Closes, and tells what went wrong before. */
static int finish(int fd, int failed)
{
	int error = failed ? errno : 0;

	close(fd);
	return error;
}

/* ---- TCP ---- */

static int connect_once(const void *to, socklen_t len, int family)
{
	static const struct linger reset = { .l_onoff = 1 };
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		return finish(fd, 1);
	return finish(fd, connect(fd, to, len));
}

static int tcp4_connect(struct rows_state *state)
{
	(void)state;
	return connect_once(&near4, sizeof(near4), AF_INET);
}

static int tcp6_connect(struct rows_state *state)
{
	(void)state;
	return connect_once(&near6, sizeof(near6), AF_INET6);
}

static int bind_once(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		return errno;
	return finish(fd, bind(fd, (const struct sockaddr *)&any4, sizeof(any4)));
}

static int bind_tcp(struct rows_state *state)
{
	(void)state;
	return bind_once(SOCK_STREAM);
}

static int listen_once(struct rows_state *state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	if (fd < 0)
		return errno;
	return finish(fd, listen(fd, 1));
}

static int open_tcp_send(struct rows_state *state)
{
	state->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (state->fd < 0 || connect(state->fd, (const struct sockaddr *)&sink4, sizeof(sink4)))
		return errno;
	return 0;
}

/* One byte, without TCP_NODELAY: most are only appended to what waits. */
static int send_once(struct rows_state *state)
{
	return send(state->fd, "x", 1, 0) == 1 ? 0 : errno;
}

/* ---- UDP ---- */

static int bind_udp(struct rows_state *state)
{
	(void)state;
	return bind_once(SOCK_DGRAM);
}

static int sendto_fd(int fd)
{
	return sendto(fd, "x", 1, 0, (const struct sockaddr *)&udp4, sizeof(udp4)) == 1 ? 0 : errno;
}

static int udp_first(struct rows_state *state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	if (fd < 0)
		return errno;
	return finish(fd, sendto_fd(fd));
}

static int udp_connect(struct rows_state *state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	if (fd < 0)
		return errno;
	return finish(fd, connect(fd, (const struct sockaddr *)&udp4, sizeof(udp4)));
}

/* A socket that has its port. */
static int open_udp(struct rows_state *state)
{
	int i;

	state->fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (state->fd < 0)
		return errno;
	state->data.iov_base = (char *)"x";
	state->data.iov_len = 1;
	for (i = 0; i < ROWS_MESSAGES; i++) {
		struct msghdr *message = &state->messages[i].msg_hdr;

		message->msg_name = &udp4;
		message->msg_namelen = sizeof(udp4);
		message->msg_iov = &state->data;
		message->msg_iovlen = 1;
	}
	return sendto_fd(state->fd);
}

static int open_udp_connected(struct rows_state *state)
{
	int error = open_udp(state);

	if (!error && connect(state->fd, (const struct sockaddr *)&udp4, sizeof(udp4)))
		error = errno;
	return error;
}

static int udp_socket(struct rows_state *state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	return fd < 0 ? errno : finish(fd, 0);
}

static int sendto_once(struct rows_state *state)
{
	return sendto_fd(state->fd);
}

static int sendmsg_once(struct rows_state *state)
{
	return sendmsg(state->fd, &state->messages[0].msg_hdr, 0) == 1 ? 0 : errno;
}

static int sendmmsg_once(struct rows_state *state)
{
	int n = sendmmsg(state->fd, state->messages, ROWS_MESSAGES, 0);

	return n == ROWS_MESSAGES ? 0 : n < 0 ? errno : EAGAIN;
}

/* ---- what is none of ours ---- */

static int open_null(struct rows_state *state)
{
	state->fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return state->fd < 0 ? errno : 0;
}

static int write_once(struct rows_state *state)
{
	return write(state->fd, "x", 1) == 1 ? 0 : errno;
}

/* Datagram: nobody has to accept, and nothing can queue up. */
static int unix_connect(struct rows_state *state)
{
	static const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0" PLACE_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	if (fd < 0)
		return errno;
	return finish(fd, connect(fd, (const struct sockaddr *)&to,
				  offsetof(struct sockaddr_un, sun_path) + sizeof(PLACE_UNIX)));
}

/* Return: 0 or errno, ECHILD if it says that it has failed */
static int spawn(const char *path, const posix_spawn_file_actions_t *actions, char *argv[])
{
	int error, status;
	pid_t pid;

	error = posix_spawn(&pid, path, actions, NULL, argv, environ);
	if (error)
		return error;
	if (waitpid(pid, &status, 0) != pid)
		return errno;
	return status ? ECHILD : 0;
}

static int spawn_once(struct rows_state *state)
{
	char *argv[] = { (char *)"true", NULL };

	(void)state;
	return spawn("/bin/true", NULL, argv);
}

/* Runs a command by what is to launch it, or without. */
static int run_once(struct rows_state *state)
{
	char *launcher = getenv("BENCH_LAUNCHER");
	char *argv[] = { launcher, (char *)"run", (char *)"--", (char *)"/bin/true", NULL };

	return launcher ? spawn(launcher, NULL, argv) : spawn_once(state);
}

/* The path of a file beside this program (see views.c). Return: errno's value */
static int find_beside(const char *name, char ret_path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", ret_path, PATH_MAX - 32);

	if (len < 0)
		return errno;
	ret_path[len] = '\0';
	strcpy(strrchr(ret_path, '/') + 1, name);
	return 0;
}

/* Runs portfence to its end. Return: errno's value */
static int spawn_portfence(posix_spawn_file_actions_t *actions, char *argv[])
{
	char path[PATH_MAX];
	int error = find_beside("portfence", path);

	if (error)
		return error;
	error = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	return error ? error : spawn(path, actions, argv);
}

static int view_once(char *argv[])
{
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	error = spawn_portfence(&actions, argv);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int status_once(struct rows_state *state)
{
	char range[16];
	char *argv[] = { (char *)"portfence", (char *)"status", (char *)"--range", range, NULL };

	(void)state;
	snprintf(range, sizeof(range), "%u-%u", PLACE_VIEW, PLACE_VIEW + PLACE_VIEW_SIZE - 1);
	return view_once(argv);
}

static int leases_once(struct rows_state *state)
{
	char *argv[] = { (char *)"portfence", (char *)"leases", NULL };

	(void)state;
	return view_once(argv);
}

/* Takes a lease, which ends at once with the standard input. */
static int lease_once(struct rows_state *state)
{
	char *argv[] = { (char *)"portfence", (char *)"lease", NULL };
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions), input[2];

	(void)state;
	if (error)
		return error;
	if (pipe2(input, O_CLOEXEC))
		return errno;
	close(input[1]);
	error = posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
	if (!error)
		error = spawn_portfence(&actions, argv);
	close(input[0]);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Becomes fixture.py, which finds portfence in PATH. */
__attribute__((noreturn)) static void become_fixture(int end)
{
	char path[PATH_MAX];

	if (find_beside("", path) || setenv("PATH", path, 1))
		_exit(126);
	dup2(end, STDIN_FILENO);
	dup2(end, STDOUT_FILENO);
	execl("/usr/bin/python3", "python3", "test/bench/fixture.py", NULL);
	_exit(127);
}

/* Waits for an answer: a byte. It has ended if there is none. */
static int ask_fixture(struct rows_state *state)
{
	char byte = 0;

	if (write(state->fd, &byte, 1) != 1)
		return errno;
	return read(state->fd, &byte, 1) == 1 ? 0 : ECHILD;
}

/* It ends with the socket. A process in between is its parent, so that none has to wait for it. */
static int open_fixture(struct rows_state *state)
{
	int ends[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return errno;
	state->fd = ends[0];
	pid = fork();
	if (!pid) {
		if (!fork())
			become_fixture(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	return waitpid(pid, &status, 0) == pid ? ask_fixture(state) : errno;
}

static const struct rows table[] = {
	{ "tcp4-connect", NULL, tcp4_connect },
	{ "tcp6-connect", NULL, tcp6_connect },
	{ "bind-tcp", NULL, bind_tcp },
	{ "bind-udp", NULL, bind_udp },
	{ "listen", NULL, listen_once },
	{ "udp-first", NULL, udp_first },
	{ "udp-connect", NULL, udp_connect },
	{ "sendto", open_udp, sendto_once },
	{ "sendmsg", open_udp, sendmsg_once },
	{ "sendmmsg", open_udp, sendmmsg_once },
	{ "udp-send", open_udp_connected, send_once },
	{ "tcp-send", open_tcp_send, send_once },
	{ "write", open_null, write_once },
	{ "unix-connect", NULL, unix_connect },
	{ "spawn", NULL, spawn_once },
	{ "run", NULL, run_once },
	{ "status", NULL, status_once },
	{ "lease", NULL, lease_once },
	{ "leases", NULL, leases_once },
	{ "fixture", open_fixture, ask_fixture },
	/* of a supervisor that makes sockets, a birth */
	{ "udp-socket", NULL, udp_socket },
};

const struct rows *rows_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(table[i].name, name))
			return &table[i];
	}
	return NULL;
}

void rows_close(struct rows_state *state)
{
	if (state->fd >= 0)
		close(state->fd);
	state->fd = -1;
}

int rows_where(void)
{
	struct sockaddr_in local = { .sin_port = 0 };
	socklen_t len = sizeof(local);
	int fd = socket(AF_INET, SOCK_STREAM, 0), port;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&any4, sizeof(any4)) ||
	    getsockname(fd, (struct sockaddr *)&local, &len))
		port = -errno;
	else
		port = ntohs(local.sin_port);
	close(fd);
	return port;
}
