#include "lease_portserver.h"

#include "../core/timing.h"
#include "../machine/array.h"
#include "../machine/procfs.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST 100 /* bytes, as portserver.py reads */
#define CLIENTS_MOST 512
#define ACCEPTED_MOST 64                    /* before those that wait are served again */
#define PATIENCE_NS (10 * TIMING_SECOND_NS) /* for a client that has not sent its request */
#define BACKLOG 4096
#define LOCK_NS 50000000 /* between two tries to lock a folder */
#define TRIES_UNSAID 20

/* A client that has not been answered. */
struct client {
	int fd;
	uid_t uid;
	pid_t pid;
	int64_t end; /* of our patience */
	size_t len;
	char text[REQUEST + 1];
};

/* A port that was given out. */
struct served {
	int process; /* pidfd */
	int lease;   /* the descriptor that holds it */
	uid_t uid;   /* of the client that asked for it */
	uint16_t port;
};

struct server {
	const struct lease_block *block;
	const struct settings *settings;
	struct lease_hold *hold;
	int listener;
	int signals;
	struct client *client;
	size_t clients;
	struct served *served;
	size_t serves;
	size_t room; /* for ports of other users */
	/* ports of the pool that are not given out: of the others, the kernel need not be asked */
	struct range_set *left;
	struct pollfd *watched;
	bool said; /* that there was no port for somebody, since the last one that was given */
	bool full; /* no descriptor was left for the last client */
};

/* ---- the socket ---- */

static socklen_t read_address(const char *address, struct sockaddr_un *ret_name)
{
	const size_t len = strlen(address);

	memset(ret_name, 0, sizeof(*ret_name));
	ret_name->sun_family = AF_UNIX;
	if (len >= sizeof(ret_name->sun_path))
		return 0;
	memcpy(ret_name->sun_path, address, len);
	if (*address != '@')
		return sizeof(*ret_name);
	ret_name->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* Removes a socket that nobody listens on, which a server that was killed has left. */
static int remove_stale(const char *path, const struct sockaddr_un *name, socklen_t len)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : say_failure("'%s': %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return say_failure("'%s' is there and no socket; name another path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = fd < 0 || connect(fd, (const struct sockaddr *)name, len) ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (rc == ECONNREFUSED)
		return unlink(path)
			       ? say_failure("'%s' cannot be removed: %s", path, strerror(errno))
			       : 0;
	/* EAGAIN: its queue is full (unix(7)) */
	if (rc && rc != EAGAIN)
		return say_failure(
			"what is at '%s' does not say whether a server is there: %s; name "
			"another path",
			path, strerror(rc));
	return say_failure("at '%s' there is a server already; name another path", path);
}

static int bind_socket(int fd, const char *address, const struct sockaddr_un *name, socklen_t len)
{
	/* only root serves other users */
	const mode_t mask = umask(geteuid() ? 0177 : 0111);
	int rc = bind(fd, (const struct sockaddr *)name, len) || listen(fd, BACKLOG) ? errno : 0;

	umask(mask);
	if (rc == EADDRINUSE)
		return say_failure("at '%s' there is a server already; name another path", address);
	return rc ? say_failure("no socket can be made at '%s': %s", address, strerror(rc)) : 0;
}

/*
 * Locks the folder of a socket, so that of two servers that start at once, the second does not remove
 * the first one's socket. In a folder such as /tmp, anybody may keep that lock.
 *
 * Return: descriptor, -1 if the folder cannot be opened, -2 if @hold was over before
 */
static int lock_folder(const char *path, struct lease_hold *hold)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int fd, tries = 0;

	strcpy(folder, path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		if (tries++ == TRIES_UNSAID)
			say_warning(NULL,
				    "the folder of the socket is locked by another process, see "
				    "lslocks(8); waiting for it");
		if (!lease_hold_wait(hold, LOCK_NS)) {
			close(fd);
			return -2;
		}
	}
	return fd;
}

/* Return: 0, or say_status() */
static int open_socket(const char *address, struct lease_hold *hold, int *ret_fd)
{
	struct sockaddr_un name;
	const socklen_t len = read_address(address, &name);
	int fd, lock = -1, rc = 0;

	if (!len)
		return say_failure("the path '%s' is too long for a socket, which has %zu bytes",
				   address, sizeof(name.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say_failure("no socket can be made: %s", strerror(errno));
	if (*address != '@') {
		lock = lock_folder(address, hold);
		rc = lock == -2 ? say_failure("nobody is left to serve at '%s'", address)
				: remove_stale(address, &name, len);
	}
	if (!rc)
		rc = bind_socket(fd, address, &name, len);
	if (lock >= 0)
		close(lock);
	*ret_fd = fd;
	return rc;
}

/* ---- ports ---- */

static void say_once(struct server *server, const char *text)
{
	if (!server->said)
		say_warning(NULL, text);
	server->said = true;
}

/*
 * Gives back the ports of processes that have ended. poll(2) looks at them behind the clients, so a process
 * that has ended before a request has come is among them.
 */
static void free_ended(struct server *server, const struct pollfd *process)
{
	size_t i = server->serves;

	while (i-- > 0) {
		if (!process[i].revents)
			continue;
		close(server->served[i].process);
		close(server->served[i].lease);
		range_set_add(server->left, server->served[i].port, server->served[i].port);
		server->served[i] = server->served[--server->serves];
	}
}

/* Each user but the server's own has as many ports at most as are left for all others. */
static bool has_share_left(const struct server *server, uid_t uid)
{
	size_t i, own = 0;

	if (!uid || uid == geteuid())
		return true;
	for (i = 0; i < server->serves; i++)
		own += server->served[i].uid == uid;
	return own + server->serves < server->room;
}

/* May the client have a port for this process? Return: the process's descriptor, -1 if not */
static int judge_request(const struct client *client, pid_t pid)
{
	char ours[64], theirs[64];
	struct procfs_status status;
	struct pollfd process = { .events = POLLIN };

	/* a client in no PID namespace of ours has the number 0, and names a process by another number than ours */
	if (pid <= 1 || !client->pid || (client->uid && geteuid() && client->uid != geteuid()))
		return -1;
	/* the number of a process would be another one's here */
	if (!procfs_link(PROCFS_SELF, "ns/pid", ours, sizeof(ours)) &&
	    !procfs_link(client->pid, "ns/pid", theirs, sizeof(theirs)) &&
	    strcmp(ours, theirs) != 0)
		return -1;
	process.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process.fd < 0)
		return -1;
	/* if it still lives afterwards, that was its status */
	if (!procfs_status(pid, &status) && (!client->uid || status.uid == client->uid) &&
	    poll(&process, 1, 0) == 0)
		return process.fd;
	close(process.fd);
	return -1;
}

/* Leases the first port that is left. Return: 0 or -errno, as lease_take() */
static int lease_left(const struct server *server, int fd, uint16_t *ret_port)
{
	static struct range_set one; /* the stack may be small (setrlimit(2)) */
	struct arena arena = { 0 };
	const struct range *pool;
	int rc = range_build(server->left, &arena, &pool);

	rc = rc == -EINVAL ? -EADDRINUSE : rc;
	if (!rc)
		rc = lease_take(fd, pool, 1, ret_port);
	arena_free(&arena);
	if (rc)
		return rc;
	range_set_clear(&one);
	range_set_add(&one, *ret_port, *ret_port);
	range_set_remove(server->left, &one);
	return 0;
}

/* Takes a port. Return: 0 if there is none */
static uint16_t take_port(struct server *server, uid_t uid, pid_t pid, int process)
{
	struct lease entry = { .pid = pid };
	struct served *served;
	struct reason why;
	int fd, rc;

	if (!has_share_left(server, uid)) {
		say_once(
			server,
			"a client's user has as many ports as are left for all others, and gets no "
			"more; use a larger '--pool'");
		return 0;
	}
	fd = lease_open(server->settings, true, &why);
	if (fd < 0) {
		say_once(server, why.text);
		return 0;
	}
	rc = lease_left(server, fd, &entry.first);
	entry.last = entry.first;
	lease_command_of(pid, entry.command, sizeof(entry.command));
	if (!rc)
		rc = lease_publish(fd, &entry);
	served = rc ? NULL : array_add(&server->served, &server->serves, sizeof(*served));
	if (!served) {
		say_once(
			server,
			rc == -EADDRINUSE
				? "no port of the pool is free of leases and sockets for a client; "
				  "use a larger '--pool', and see 'portfence leases'"
				: "no port can be taken for a client");
		if (entry.first)
			range_set_add(server->left, entry.first, entry.first);
		close(fd);
		return 0;
	}
	*served =
		(struct served){ .process = process, .lease = fd, .uid = uid, .port = entry.first };
	server->said = false;
	return entry.first;
}

/* ---- clients ---- */

static void answer_request(struct server *server, const struct client *client)
{
	char *end, text[8];
	const long pid = strtol(client->text, &end, 10);
	int process = -1, len;
	uint16_t port;

	while (*end == '\r' || *end == ' ' || *end == '\n')
		end++;
	if (client->text[0] >= '0' && client->text[0] <= '9' && !*end && pid <= INT32_MAX)
		process = judge_request(client, (pid_t)pid);
	if (process < 0)
		return;
	port = take_port(server, client->uid, (pid_t)pid, process);
	if (!port) {
		close(process);
		return;
	}
	/* a client that does not read it keeps the port until the process has ended */
	len = snprintf(text, sizeof(text), "%d\n", port);
	send(client->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Return: true once the client has been answered, or will not be */
static bool serve_client(struct server *server, struct client *client)
{
	long n = recv(client->fd, client->text + client->len, REQUEST - client->len, MSG_DONTWAIT);

	if (n < 0)
		return errno != EAGAIN && errno != EINTR;
	client->len += (size_t)n;
	client->text[client->len] = '\0';
	if (n && client->len < REQUEST && !strchr(client->text, '\n'))
		return false;
	answer_request(server, client);
	return true;
}

static void remove_client(struct server *server, struct client *client)
{
	close(client->fd);
	*client = server->client[--server->clients];
}

static size_t count_clients(const struct server *server, uid_t uid)
{
	size_t i, own = 0;

	for (i = 0; i < server->clients; i++)
		own += server->client[i].uid == uid;
	return own;
}

/*
 * Makes room for a client. The user with the most clients loses the one that has waited longest, which
 * has had the most time to send its request.
 */
static void remove_oldest(struct server *server)
{
	struct client *client = server->client, *oldest = client;
	size_t most = count_clients(server, oldest->uid), own, i;

	for (i = 1; i < server->clients; i++) {
		own = client[i].uid == oldest->uid ? most : count_clients(server, client[i].uid);
		if (own < most || (own == most && client[i].end >= oldest->end))
			continue;
		most = own;
		oldest = &client[i];
	}
	serve_client(server, oldest);
	remove_client(server, oldest);
}

/* Return: false if there is no memory */
static bool add_client(struct server *server, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct client *client;

	if (server->clients == CLIENTS_MOST)
		remove_oldest(server);
	client = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)
			 ? NULL
			 : array_add(&server->client, &server->clients, sizeof(*client));
	if (!client) {
		close(fd);
		return false;
	}
	client->fd = fd;
	client->uid = peer.uid;
	client->pid = peer.pid;
	client->end = timing_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	return true;
}

static void accept_clients(struct server *server)
{
	int fd, accepted = 0;

	do {
		fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		server->full = fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
	} while (fd >= 0 && add_client(server, fd) && ++accepted < ACCEPTED_MOST);
}

static void serve_clients(struct server *server, const struct pollfd *ready)
{
	const int64_t now = timing_ns(CLOCK_MONOTONIC);
	size_t i = server->clients;

	/* from the end: the last one takes the place of one that is served */
	while (i-- > 0) {
		struct client *client = &server->client[i];

		if ((ready[i].revents && serve_client(server, client)) || client->end <= now)
			remove_client(server, client);
	}
}

/* ---- the loop ---- */

enum { WATCHED_LISTENER = LEASE_HOLD_WATCHED, WATCHED_SIGNALS, WATCHED_CLIENTS };

/* Waits for something to do. Return: false if there is no memory */
static bool wait_for_work(struct server *server)
{
	const size_t count = WATCHED_CLIENTS + server->clients + server->serves;
	struct pollfd *watched = realloc(server->watched, count * sizeof(*watched));
	/* a client that cannot be accepted stays in the queue, so the listener would be ready all the time */
	const int listener = server->full ? -1 : server->listener;
	size_t i;

	if (!watched)
		return false;
	server->watched = watched;
	memcpy(watched, server->hold->watched, sizeof(server->hold->watched));
	watched[WATCHED_LISTENER] = (struct pollfd){ .fd = listener, .events = POLLIN };
	watched[WATCHED_SIGNALS] = (struct pollfd){ .fd = server->signals, .events = POLLIN };
	for (i = 0; i < server->clients; i++)
		watched[WATCHED_CLIENTS + i] =
			(struct pollfd){ .fd = server->client[i].fd, .events = POLLIN };
	for (i = 0; i < server->serves; i++)
		watched[WATCHED_CLIENTS + server->clients + i] =
			(struct pollfd){ .fd = server->served[i].process, .events = POLLIN };
	/* each second, for clients that send nothing, and for those that could not be accepted */
	poll(watched, count,
	     server->clients || server->full || watched[LEASE_HOLD_PARENT].fd < 0 ? 1000 : -1);
	return true;
}

static void serve(struct server *server)
{
	while (wait_for_work(server) && !server->watched[WATCHED_SIGNALS].revents &&
	       lease_hold_wait(server->hold, 0)) {
		free_ended(server, server->watched + WATCHED_CLIENTS + server->clients);
		serve_clients(server, server->watched + WATCHED_CLIENTS);
		accept_clients(server);
	}
}

/* The signals that end it, but for those that are ignored, arrive at a descriptor. */
static int catch_signals(sigset_t *ret_before)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, ret_before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int lease_portserver_run(const char *address, const struct lease_block *block,
			 const struct settings *settings, struct lease_hold *hold)
{
	struct server server = { .block = block, .settings = settings, .hold = hold };
	struct rlimit files;
	sigset_t before;
	int rc;

	server.left = calloc(1, sizeof(*server.left));
	if (!server.left)
		return say_failure("%s", strerror(ENOMEM));
	range_set_add_range(server.left, block->pool);
	server.room = block->pool->count;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
		/* two descriptors for each port, and half of all are for clients, and for the server's own user */
		if (server.room > files.rlim_cur / 4)
			server.room = files.rlim_cur / 4;
	}
	rc = open_socket(address, hold, &server.listener);
	if (rc)
		return rc;
	server.signals = catch_signals(&before);
	puts(address);
	if (fflush(stdout))
		rc = say_status();
	else
		serve(&server);
	if (*address != '@')
		unlink(address);
	/* what has come ends it as it would have */
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(server.left);
	return rc;
}
