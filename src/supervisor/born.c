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
 * Nothing tells when a bind() that went on is over. So one thread looks at all sockets that have been bound, some time
 * after each bind(). A bind() of another socket waits for a round that begins after it, since the port that it names may
 * be that of a socket which the program has closed. Calls that wait at the same time wait for the same round.
 *
 * Other processes have the socket, too, and may do with it what they like. Whoever closes the last duplicate
 * waits for as long as SO_LINGER says, and whoever asks for the port waits for the socket's lock. So neither
 * is done with our lock held, nor where a call of somebody else's would wait for it.
 *
 * A number is another socket's only after 2^32 more inodes (fs/inode.c, get_next_ino).
 * While we have the duplicate it is no other's. So what is remembered of a number is right for as long as the socket
 * lives, and is never given up: a program may listen on a socket long after it has bound it.
 */

/* the first look comes after 2 milliseconds, each other one after twice the time: for 2 seconds */
#define LOOKS 10
#define FIRST_LOOK_MS 2
#define SWEEP_LEAST 512
/* so many bound sockets make rounds long */
#define SWEEP_BOUND 64
/* how long a call waits for the end of a search, if it has no room, and of a look at all */
#define SWEEP_MS 1000
#define LOOK_MS 20
/* what is remembered of a socket that is settled */
enum { NOT_SETTLED, SETTLED, EARLY };

void born_start(struct born *born)
{
	int i;

	pthread_mutex_init(&born->lock, NULL);
	aside_init_condition(&born->asked);
	aside_init_condition(&born->looked_around);
	for (i = 0; i < BORN_SOCKETS; i++) {
		born->socket[i].fd = -1;
		born->socket[i].next = i + 1 < BORN_SOCKETS ? i + 1 : -1;
		born->list[i] = -1;
	}
	born->bound = born->bound_last = -1;
	born->sweep_at = SWEEP_LEAST;
	born->sweep_bound_at = SWEEP_BOUND;
}

void born_ask_by(struct born *born, born_has_port *has_port, const void *context)
{
	born->has_port = has_port;
	born->context = context;
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

/* Puts a socket at the end of those that have been bound. */
static void append_bound(struct born *born, struct born_socket *socket)
{
	const int place = (int)(socket - born->socket);

	socket->next_bound = -1;
	socket->previous_bound = born->bound_last;
	if (born->bound_last < 0)
		born->bound = place;
	else
		born->socket[born->bound_last].next_bound = place;
	born->bound_last = place;
}

static void remove_bound(struct born *born, const struct born_socket *socket)
{
	if (socket->previous_bound < 0)
		born->bound = socket->next_bound;
	else
		born->socket[socket->previous_bound].next_bound = socket->next_bound;
	if (socket->next_bound < 0)
		born->bound_last = socket->previous_bound;
	else
		born->socket[socket->next_bound].previous_bound = socket->previous_bound;
}

/* Nobody finds the socket any more. Its place is to be given to close_chain(), alone or behind @chain. Return: the place */
static int take_out(struct born *born, struct born_socket *socket, int chain)
{
	int place = (int)(socket - born->socket), *link = list_of(born, socket->inode);

	while (*link != place)
		link = &born->socket[*link].next;
	*link = socket->next;
	if (socket->bound) {
		remove_bound(born, socket);
		born->bounds--;
	}
	socket->given = false;
	socket->next = chain;
	return place;
}

/* Return: what is remembered, in two bits from @ret_shift on; NULL: nothing, and there is no memory for it if @make */
static uint8_t *find_settled(struct born *born, uint64_t inode, bool make, int *ret_shift)
{
	uint8_t **chunk = &born->settled[(uint32_t)inode / BORN_CHUNK];

	if (!*chunk && make)
		*chunk = calloc(BORN_CHUNK / 4, 1);
	*ret_shift = (int)(inode % 4) * 2;
	return *chunk ? *chunk + (uint32_t)inode % BORN_CHUNK / 4 : NULL;
}

static int get_settled(struct born *born, uint64_t inode)
{
	int shift;
	const uint8_t *place = find_settled(born, inode, false, &shift);

	return place ? *place >> shift & 3 : NOT_SETTLED;
}

static void set_settled(struct born *born, uint64_t inode, int settled)
{
	int shift;
	uint8_t *place = find_settled(born, inode, settled != NOT_SETTLED, &shift);

	if (place)
		*place = (uint8_t)((*place & ~(3 << shift)) | settled << shift);
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
	born->sweep_bound_at = 2 * born->bounds > SWEEP_BOUND ? 2 * born->bounds : SWEEP_BOUND;
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
	const bool crowded = born->bounds >= born->sweep_bound_at || !has_room(born, user, fd);
	int i;

	/* a user who has no room may ask again and again */
	if (born->sweeping || (born->kept < born->sweep_at &&
			       !(crowded && timing_ns(CLOCK_MONOTONIC) >= born->sweep_from)))
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
	unsigned wait;
	bool sweeps;

	if (fstat(fd, &st))
		return -errno;
	*ret_inode = st.st_ino;
	pthread_mutex_lock(&born->lock);
	sweeps = begin_sweep(born, st.st_uid, fd);
	if (sweeps) {
		wait = has_room(born, st.st_uid, fd) ? 0 : SWEEP_MS;
		pthread_mutex_unlock(&born->lock);
		aside_wait(sweep, born, wait);
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
	set_settled(born, st.st_ino, NOT_SETTLED);
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
	int settled;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	settled = get_settled(born, inode);
	if (socket) {
		state = BORN_KEPT;
		*ret_fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
		*ret_late = socket->bound_late;
	} else if (settled == SETTLED) {
		state = BORN_SETTLED;
	} else if (settled == EARLY) {
		state = BORN_EARLY;
	}
	pthread_mutex_unlock(&born->lock);
	return state;
}

void born_settle(struct born *born, uint64_t inode, bool early)
{
	struct born_socket *socket;
	int closed = -1;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket)
		closed = take_out(born, socket, -1);
	set_settled(born, inode, early ? EARLY : SETTLED);
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

/* Sets when a socket is looked at next. */
static void set_due(struct born_socket *socket)
{
	socket->due = now_ms() + ((uint64_t)FIRST_LOOK_MS << (LOOKS - socket->looks));
}

/* With the lock held. Return: when a socket is to be looked at, milliseconds; UINT64_MAX: none is */
static uint64_t first_due(const struct born *born)
{
	uint64_t due = UINT64_MAX;
	int i;

	for (i = born->bound; i >= 0; i = born->socket[i].next_bound) {
		const struct born_socket *socket = &born->socket[i];

		if (socket->looks && !socket->looked_at && socket->due < due)
			due = socket->due;
	}
	return due;
}

/*
 * With the lock held. Those that this round has passed stand at the end.
 * Return: the next socket, which nobody else looks at; NULL: this was all
 */
static struct born_socket *next_in_round(struct born *born, bool all, uint64_t now)
{
	struct born_socket *socket;

	while (born->bound >= 0 && born->socket[born->bound].round != born->round) {
		socket = &born->socket[born->bound];
		socket->round = born->round;
		remove_bound(born, socket);
		append_bound(born, socket);
		if (!socket->looked_at && (all || (socket->looks && socket->due <= now)))
			return socket;
	}
	return NULL;
}

/* With the lock held, but for the time of the look. It may wait for as long as a program likes that holds the socket's lock. */
static void look_at(struct born *born, struct born_socket *socket)
{
	const uint64_t inode = socket->inode;
	/* our own, so that the socket may be settled meanwhile */
	const int fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
	int closed = -1;
	bool has_port;

	socket->looked_at = true;
	pthread_mutex_unlock(&born->lock);
	has_port = fd >= 0 && born->has_port(fd, born->context);
	pthread_mutex_lock(&born->lock);
	born->looks++;
	socket = find_kept(born, inode);
	if (socket && socket->looked_at) {
		socket->looked_at = false;
		if (has_port) {
			set_settled(born, inode, SETTLED);
			closed = take_out(born, socket, -1);
		} else if (socket->looks && socket->due <= now_ms() && --socket->looks) {
			set_due(socket);
		}
	}
	pthread_mutex_unlock(&born->lock);
	if (fd >= 0)
		close(fd);
	close_chain(born, closed);
	pthread_mutex_lock(&born->lock);
}

/* With the lock held, but for the looks. @looker: the caller's number */
static void look_around(struct born *born, uint64_t looker)
{
	const bool all = born->round_of_all < born->wanted;
	const uint64_t round = ++born->round, now = now_ms();
	struct born_socket *socket;

	while (born->looker == looker && (socket = next_in_round(born, all, now)))
		look_at(born, socket);
	if (all && born->looker == looker) {
		born->round_of_all = round;
		pthread_cond_broadcast(&born->looked_around);
	}
}

/* The thread that looks, as long as there is something to look at. It ends if another one has taken its place. */
static void *look_when_due(void *context)
{
	struct born *born = context;
	uint64_t looker;

	pthread_mutex_lock(&born->lock);
	looker = ++born->looker;
	while (born->looker == looker) {
		born->looks_at = first_due(born);
		if (born->round_of_all < born->wanted || born->looks_at <= now_ms()) {
			look_around(born, looker);
		} else if (born->looks_at != UINT64_MAX) {
			aside_wait_until(&born->asked, &born->lock,
					 (int64_t)born->looks_at * 1000000);
		} else {
			born->looking = false;
			break;
		}
	}
	pthread_mutex_unlock(&born->lock);
	return NULL;
}

/* With the lock held. Sees to it that sockets are looked at until then, milliseconds. */
static void ask_for_look(struct born *born, uint64_t until)
{
	if (born->looking && until < born->looks_at)
		pthread_cond_signal(&born->asked);
	if (born->looking)
		return;
	born->looks_at = 0;
	born->looking = !aside_start(look_when_due, born);
	/* where there can be no thread, we look ourselves */
	if (!born->looking)
		look_around(born, ++born->looker);
}

void born_note_bind(struct born *born, uint64_t inode, bool late)
{
	struct born_socket *socket;

	pthread_mutex_lock(&born->lock);
	socket = find_kept(born, inode);
	if (socket) {
		if (!socket->bound) {
			socket->bound = true;
			socket->round = born->round;
			append_bound(born, socket);
			born->bounds++;
		}
		socket->bound_late |= late;
		socket->looks = LOOKS;
		set_due(socket);
		ask_for_look(born, socket->due);
	}
	pthread_mutex_unlock(&born->lock);
}

void born_look_at_all(struct born *born)
{
	const int64_t end = timing_ns(CLOCK_MONOTONIC) + LOOK_MS * (int64_t)1000000;
	uint64_t wanted, looks;

	pthread_mutex_lock(&born->lock);
	wanted = born->round + 1;
	looks = born->looks;
	if (born->bound >= 0) {
		born->wanted = wanted;
		ask_for_look(born, 0);
	}
	while (born->bound >= 0 && born->round_of_all < wanted &&
	       aside_wait_until(&born->looked_around, &born->lock, end))
		;
	/* the thread is at a socket that somebody keeps: another one goes on with the rest */
	if (born->bound >= 0 && born->round_of_all < wanted && born->looks == looks) {
		born->looker++;
		born->looking = false;
		ask_for_look(born, 0);
	}
	pthread_mutex_unlock(&born->lock);
}
