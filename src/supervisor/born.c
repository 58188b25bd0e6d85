#include "born.h"

#include "../core/timing.h"
#include "caller.h"
#include "reserve.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Where nobody may look into a program, no call gives us its socket. So we make its
 * sockets, hand them over, and keep a duplicate of each. /proc says which socket a
 * descriptor of the program is, by the inode's number, and asks for less than
 * pidfd_getfd(2) does (PTRACE_MODE_READ, which Yama does not restrict).
 *
 * A duplicate keeps the socket open after the program has closed it. So it must be
 * gone before anybody can notice: as soon as the socket has its port, and before an
 * epoll set learns of it (trap.c). What is left are sockets that never got a port. They
 * hold nothing that others could want, and are looked for from time to time.
 *
 * A number is another socket's only after 2^32 more inodes (fs/inode.c, get_next_ino).
 * While we have the duplicate it is no other's.
 */

/* the first look comes after 2 milliseconds, each other one after twice the time: for 2 seconds */
#define LOOKS 10
#define FIRST_LOOK_MS 2
#define SWEEP_LEAST 512
#define EARLY (1ULL << 63)

void born_start(struct born *born)
{
	int i;

	pthread_mutex_init(&born->lock, NULL);
	for (i = 0; i < BORN_SOCKETS; i++) {
		born->socket[i].fd = -1;
		born->socket[i].next = i + 1 < BORN_SOCKETS ? i + 1 : -1;
		born->list[i] = -1;
	}
	born->bound = -1;
	born->due = UINT64_MAX;
	born->sweep_at = SWEEP_LEAST;
}

static uint64_t now_ms(void)
{
	return (uint64_t)timing_ns(CLOCK_MONOTONIC) / 1000000;
}

/* ---- with the lock held ---- */

static int *list_of(struct born *born, uint64_t inode)
{
	return &born->list[inode % BORN_SOCKETS];
}

static struct born_socket *find_kept(struct born *born, uint64_t inode)
{
	int i = *list_of(born, inode);

	while (i >= 0 && born->socket[i].inode != inode)
		i = born->socket[i].next;
	return i >= 0 ? &born->socket[i] : NULL;
}

static void drop_kept(struct born *born, struct born_socket *socket)
{
	int place = (int)(socket - born->socket), *link = list_of(born, socket->inode);

	while (*link != place)
		link = &born->socket[*link].next;
	*link = socket->next;
	if (socket->bound) {
		for (link = &born->bound; *link != place;)
			link = &born->socket[*link].next_bound;
		*link = socket->next_bound;
	}
	close(socket->fd);
	--*reserve_of_user(&born->of_user, socket->user);
	*socket = (struct born_socket){ .fd = -1, .next = born->free };
	born->free = place;
	born->kept--;
}

static void note_settled(struct born *born, uint64_t inode, bool early)
{
	born->settled[inode % BORN_REMEMBERED] = early ? inode | EARLY : inode;
}

/* ---- sockets that nobody has any more ---- */

struct sweep {
	struct born *born;
	bool seen[BORN_SOCKETS];
};

static int note_seen(uint32_t inode, void *context)
{
	struct sweep *sweep = context;
	const struct born_socket *socket = find_kept(sweep->born, inode);

	if (socket)
		sweep->seen[socket - sweep->born->socket] = true;
	return 0;
}

static int note_sockets(const struct caller *process, void *sweep)
{
	int rc;

	/* the tree of a root without CAP_SYS_PTRACE is seen only so */
	rights_look(process);
	rc = caller_sockets(process, note_seen, sweep);
	rights_look_away();
	return rc == -EPERM || rc == -ESRCH ? 0 : rc;
}

/* Which of the kept sockets has another process? Those that none has are dropped. */
static void drop_closed(struct born *born)
{
	static struct sweep sweep;
	const int64_t start = timing_ns(CLOCK_MONOTONIC);
	int i, rc;

	memset(&sweep, 0, sizeof(sweep));
	sweep.born = born;
	rc = caller_each(note_sockets, &sweep);
	for (i = 0; !rc && i < BORN_SOCKETS; i++)
		if (born->socket[i].given && !sweep.seen[i])
			drop_kept(born, &born->socket[i]);
	born->sweep_at = 2 * born->kept > SWEEP_LEAST ? 2 * born->kept : SWEEP_LEAST;
	born->sweep_from = timing_next_search(start);
}

/* Is there room for another one of a user's? As for its descriptor, as many places have to be free as the user has. */
static bool has_room(struct born *born, uid_t user, int fd)
{
	const unsigned own = *reserve_of_user(&born->of_user, user);

	return born->free >= 0 && born->kept + own < BORN_SOCKETS && reserve_spares(fd, own);
}

/* ---- for all ---- */

int born_keep(struct born *born, int fd, uint64_t *ret_inode)
{
	struct born_socket *socket;
	struct stat st;
	int rc = -ENFILE;

	if (fstat(fd, &st))
		return -errno;
	*ret_inode = st.st_ino;
	pthread_mutex_lock(&born->lock);
	/* a user who has no room may ask again and again */
	if (born->kept >= born->sweep_at ||
	    (!has_room(born, st.st_uid, fd) && timing_ns(CLOCK_MONOTONIC) >= born->sweep_from))
		drop_closed(born);
	if (has_room(born, st.st_uid, fd)) {
		socket = &born->socket[born->free];
		born->free = socket->next;
		*socket = (struct born_socket){ .inode = st.st_ino,
						.fd = fd,
						.user = st.st_uid,
						.next = *list_of(born, st.st_ino) };
		*list_of(born, st.st_ino) = (int)(socket - born->socket);
		born->kept++;
		++*reserve_of_user(&born->of_user, st.st_uid);
		rc = 0;
	}
	/* of another socket that had this number */
	if ((born->settled[st.st_ino % BORN_REMEMBERED] & ~EARLY) == st.st_ino)
		born->settled[st.st_ino % BORN_REMEMBERED] = 0;
	pthread_mutex_unlock(&born->lock);
	return rc;
}

void born_give(struct born *born, uint64_t inode)
{
	struct born_socket *socket;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		socket->given = true;
	pthread_mutex_unlock(&born->lock);
}

enum born_state born_find(struct born *born, uint64_t inode, int *ret_fd, bool *ret_late)
{
	const struct born_socket *socket;
	enum born_state state = BORN_UNKNOWN;
	uint64_t settled;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	settled = born->settled[inode % BORN_REMEMBERED];
	if (socket) {
		state = BORN_KEPT;
		*ret_fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
		*ret_late = socket->bound_late;
	} else if (settled == inode) {
		state = BORN_SETTLED;
	} else if (settled == (inode | EARLY)) {
		state = BORN_EARLY;
	}
	pthread_mutex_unlock(&born->lock);
	return state;
}

/* Sets when a socket is looked at next. */
static void set_due(struct born *born, struct born_socket *socket, uint64_t now)
{
	socket->due = now + ((uint64_t)FIRST_LOOK_MS << (LOOKS - socket->looks));
	if (socket->due < born->due)
		born->due = socket->due;
}

void born_note_bind(struct born *born, uint64_t inode, bool late)
{
	struct born_socket *socket;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket) {
		if (!socket->bound) {
			socket->bound = true;
			socket->next_bound = born->bound;
			born->bound = (int)(socket - born->socket);
		}
		socket->bound_late |= late;
		socket->looks = LOOKS;
		set_due(born, socket, now_ms());
	}
	pthread_mutex_unlock(&born->lock);
}

void born_settle(struct born *born, uint64_t inode, bool early)
{
	struct born_socket *socket;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		drop_kept(born, socket);
	note_settled(born, inode, early);
	pthread_mutex_unlock(&born->lock);
}

void born_drop(struct born *born, uint64_t inode)
{
	struct born_socket *socket;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		drop_kept(born, socket);
	pthread_mutex_unlock(&born->lock);
}

int born_look(struct born *born, bool (*has_port)(int fd, const void *context), const void *context,
	      bool all)
{
	const uint64_t now = now_ms();
	bool looks;
	int i, next, wait;

	pthread_mutex_lock(&born->lock);
	looks = all || born->due <= now;
	if (looks)
		born->due = UINT64_MAX;
	for (i = looks ? born->bound : -1; i >= 0; i = next) {
		struct born_socket *socket = &born->socket[i];
		const bool is_due = socket->looks && socket->due <= now;

		next = socket->next_bound;
		if ((is_due || all) && has_port(socket->fd, context)) {
			note_settled(born, socket->inode, false);
			drop_kept(born, socket);
			continue;
		}
		socket->looks -= is_due;
		if (socket->looks && is_due)
			set_due(born, socket, now);
		else if (socket->looks && socket->due < born->due)
			born->due = socket->due;
	}
	wait = born->due == UINT64_MAX ? -1 : born->due > now ? (int)(born->due - now) : 0;
	pthread_mutex_unlock(&born->lock);
	return wait;
}
