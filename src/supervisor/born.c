#include "born.h"

#include "../core/timing.h"
#include "aside.h"
#include "caller.h"
#include "reserve.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
 * Other processes have the socket, too, and may do with it what they like. Whoever closes the last duplicate
 * waits for as long as SO_LINGER says, and whoever asks for the port waits for the socket's lock. So neither
 * is done with our lock held, nor where a call of somebody else's would wait for it.
 *
 * A number is another socket's only after 2^32 more inodes (fs/inode.c, get_next_ino).
 * While we have the duplicate it is no other's.
 */

/* the first look comes after 2 milliseconds, each other one after twice the time: for 2 seconds */
#define LOOKS 10
#define FIRST_LOOK_MS 2
#define SWEEP_LEAST 512
/* how long a call waits for the end of a search or of a look at all */
#define SWEEP_MS 1000
#define LOOK_MS 20
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

static bool lingers(int fd)
{
	struct linger linger = { .l_onoff = 1 };
	socklen_t len = sizeof(linger);

	/* without the socket's lock (net/core/sock.c, sk_getsockopt) */
	return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) || linger.l_onoff;
}

/* Nobody finds the socket any more. Its place is to be given to close_chain(), alone or behind @chain. Return: the place */
static int take_out(struct born *born, struct born_socket *socket, int chain)
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
	socket->given = false;
	socket->next = chain;
	return place;
}

static void note_settled(struct born *born, uint64_t inode, bool early)
{
	born->settled[inode % BORN_REMEMBERED] = early ? inode | EARLY : inode;
}

/* ---- without it ---- */

/* Closes sockets that were taken out. It may wait. Until a socket is closed, its place and its descriptor are its user's. */
static void close_chain(struct born *born, int place)
{
	while (place >= 0) {
		struct born_socket *socket = &born->socket[place];
		const int next = socket->next;

		close(socket->fd);
		pthread_mutex_lock(&born->lock);
		--*reserve_of_user(&born->of_user, socket->user);
		*socket = (struct born_socket){ .fd = -1, .next = born->free };
		born->free = place;
		born->kept--;
		pthread_mutex_unlock(&born->lock);
		place = next;
	}
}

/* ---- sockets that nobody has any more ---- */

static int note_seen(uint32_t inode, void *context)
{
	struct born *born = context;
	struct born_socket *socket;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		socket->unseen = false;
	pthread_mutex_unlock(&born->lock);
	return 0;
}

static int note_sockets(const struct caller *process, void *born)
{
	int rc;

	/* the tree of a root without CAP_SYS_PTRACE is seen only so */
	rights_look(process);
	rc = caller_sockets(process, note_seen, born);
	rights_look_away();
	return rc == -EPERM || rc == -ESRCH ? 0 : rc;
}

/*
 * With the lock held. Takes out what no other process has. Sockets whose close may wait come last, so that the others
 * do not wait for them. Return: what is to be closed
 */
static int take_out_unseen(struct born *born)
{
	int i, pass, chain = -1;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < BORN_SOCKETS; i++) {
			struct born_socket *socket = &born->socket[i];

			if (!socket->given || !socket->unseen)
				continue;
			if (!pass)
				socket->lingers = lingers(socket->fd);
			if (socket->lingers == !pass)
				chain = take_out(born, socket, chain);
		}
	return chain;
}

/*
 * Searches all processes for the sockets that are kept, and closes those that none has. A process may have as many
 * descriptors as it likes, so the search is made without the lock, and nobody waits for its end.
 */
static void *sweep(void *context)
{
	const int64_t start = timing_ns(CLOCK_MONOTONIC);
	struct born *born = context;
	int rc = caller_each(note_sockets, born), closed = -1;

	pthread_mutex_lock(&born->lock);
	if (!rc)
		closed = take_out_unseen(born);
	born->sweep_at = 2 * born->kept > SWEEP_LEAST ? 2 * born->kept : SWEEP_LEAST;
	born->sweep_from = timing_next_search(start);
	born->sweeping = false;
	pthread_mutex_unlock(&born->lock);
	close_chain(born, closed);
	return NULL;
}

/* Is there room for another one of a user's? As for its descriptor, as many places have to be free as the user has. */
static bool has_room(struct born *born, uid_t user, int fd)
{
	const unsigned own = *reserve_of_user(&born->of_user, user);

	return born->free >= 0 && born->kept + own < BORN_SOCKETS && reserve_spares(fd, own);
}

/* With the lock held. Return: true if a search is to be made, which has begun then */
static bool begin_sweep(struct born *born, uid_t user, int fd)
{
	int i;

	/* a user who has no room may ask again and again */
	if (born->sweeping ||
	    (born->kept < born->sweep_at &&
	     (has_room(born, user, fd) || timing_ns(CLOCK_MONOTONIC) < born->sweep_from)))
		return false;
	for (i = 0; i < BORN_SOCKETS; i++)
		born->socket[i].unseen = born->socket[i].given;
	born->sweeping = true;
	return true;
}

/* ---- for all ---- */

int born_keep(struct born *born, int fd, uint64_t *ret_inode)
{
	struct born_socket *socket;
	struct stat st;
	int rc = -ENFILE;
	bool sweeps;

	if (fstat(fd, &st))
		return -errno;
	*ret_inode = st.st_ino;
	pthread_mutex_lock(&born->lock);
	sweeps = begin_sweep(born, st.st_uid, fd);
	if (sweeps) {
		pthread_mutex_unlock(&born->lock);
		aside_wait(sweep, born, SWEEP_MS);
		pthread_mutex_lock(&born->lock);
	}
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
static void set_due(struct born_socket *socket)
{
	socket->due = now_ms() + ((uint64_t)FIRST_LOOK_MS << (LOOKS - socket->looks));
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
		set_due(socket);
	}
	pthread_mutex_unlock(&born->lock);
}

void born_settle(struct born *born, uint64_t inode, bool early)
{
	struct born_socket *socket;
	int closed = -1;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		closed = take_out(born, socket, -1);
	note_settled(born, inode, early);
	pthread_mutex_unlock(&born->lock);
	close_chain(born, closed);
}

void born_drop(struct born *born, uint64_t inode)
{
	struct born_socket *socket;
	int closed = -1;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		closed = take_out(born, socket, -1);
	pthread_mutex_unlock(&born->lock);
	close_chain(born, closed);
}

/* ---- looks ---- */

int born_due(struct born *born)
{
	uint64_t due = UINT64_MAX, now;
	int i;

	pthread_mutex_lock(&born->lock);
	now = born->bound < 0 ? 0 : now_ms();
	for (i = born->bound; i >= 0; i = born->socket[i].next_bound) {
		const struct born_socket *socket = &born->socket[i];

		if (socket->looks && !socket->looked_at && socket->due < due)
			due = socket->due;
	}
	pthread_mutex_unlock(&born->lock);
	return due == UINT64_MAX ? -1 : due > now ? (int)(due - now) : 0;
}

/* A round of looks, and the socket that it is at */
struct round {
	struct born *born;
	born_has_port *has_port;
	const void *context;
	bool all;
	uint64_t number;
	uint64_t inode;
	int fd; /* our own, so that the socket may be settled meanwhile */
};

/* With the lock held. Return: false if no socket is left that nobody looks at */
static bool find_next(struct round *round)
{
	struct born *born = round->born;
	int i;

	for (i = born->bound; i >= 0; i = born->socket[i].next_bound) {
		struct born_socket *socket = &born->socket[i];

		if (socket->looked_at || socket->round == round->number ||
		    (!round->all && !(socket->looks && socket->due <= now_ms())))
			continue;
		socket->looked_at = true;
		socket->round = round->number;
		round->inode = socket->inode;
		round->fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
		return true;
	}
	return false;
}

/* With the lock held. Return: what is to be closed */
static int note_look(const struct round *round, bool has_port)
{
	struct born *born = round->born;
	struct born_socket *socket = find_kept(born, round->inode);

	if (!socket || !socket->looked_at)
		return -1;
	socket->looked_at = false;
	if (has_port) {
		note_settled(born, socket->inode, false);
		return take_out(born, socket, -1);
	}
	if (socket->looks && socket->due <= now_ms() && --socket->looks)
		set_due(socket);
	return -1;
}

static void look_around(struct round *round)
{
	struct born *born = round->born;
	bool has_port;
	int closed;

	pthread_mutex_lock(&born->lock);
	round->number = ++born->round;
	while (find_next(round)) {
		pthread_mutex_unlock(&born->lock);
		has_port = round->fd >= 0 && round->has_port(round->fd, round->context);
		pthread_mutex_lock(&born->lock);
		closed = note_look(round, has_port);
		pthread_mutex_unlock(&born->lock);
		if (round->fd >= 0)
			close(round->fd);
		close_chain(born, closed);
		pthread_mutex_lock(&born->lock);
	}
	pthread_mutex_unlock(&born->lock);
}

void born_look(struct born *born, born_has_port *has_port, const void *context)
{
	struct round round = { .born = born, .has_port = has_port, .context = context };

	look_around(&round);
}

static void *run_round(void *context)
{
	look_around(context);
	free(context);
	return NULL;
}

static bool is_any_bound(struct born *born)
{
	bool any = false;
	int i;

	pthread_mutex_lock(&born->lock);
	for (i = born->bound; i >= 0 && !any; i = born->socket[i].next_bound)
		any = !born->socket[i].looked_at;
	pthread_mutex_unlock(&born->lock);
	return any;
}

void born_look_at_all(struct born *born, born_has_port *has_port, const void *context)
{
	struct round *round = is_any_bound(born) ? malloc(sizeof(*round)) : NULL;

	if (!round)
		return;
	*round = (struct round){
		.born = born, .has_port = has_port, .context = context, .all = true
	};
	aside_wait(run_round, round, LOOK_MS);
}
