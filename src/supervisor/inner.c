#include "inner.h"

#include "../core/fd.h"
#include "../core/text.h"
#include "../core/timing.h"
#include "aside.h"
#include "filter.h"
#include "mark.h"
#include "reserve.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 *	run inside (inner_ask, inner_submit)         supervisor
 *	  bind(-1, INNER_OPEN)              -->  makes a pair of sockets, hands one end over, and writes its
 *	                                         offer into the other
 *	  reads the offer               <--
 *	  sets its mark; sends its rule, and the files that it has opened, through its end
 *	  bind(-1, INNER_ENTER)             -->  reads the request, and the caller's mark
 *	  0 or an error                 <--
 *
 * So no name and no file is needed, and it works in every sandbox that lets a program make a socket.
 * From then on, a process that carries the mark is served by that rule. A process that has lost the mark is
 * served by the outer run's rule, so each is served by one.
 *
 * Nothing tells when the last process of a run has ended. So once there are many runs, the processes of all
 * of them are looked for. A run is forgotten when two searches in a row have found no process of it.
 */

#define INNER_VERSION 1
#define SWEEP_LEAST 32
#define MISSED_MOST 2

/* The descriptors that come with a request, in this order, as far as they are there */
enum { FILE_ERRORS, FILE_STATE, FILE_LOG, FILE_RECORD, FILES };

struct request {
	uint64_t version;
	uint64_t files; /* which of them are there, by bit */
	char rule[HANDOVER_MAX];
};

/* ---- state files that others may shorten ---- */

static _Atomic(struct state_file *) shared[INNER_MOST + 1];

static bool exchange_shared(struct state_file *from, struct state_file *to)
{
	struct state_file *expected;
	size_t i;

	for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		expected = from;
		if (atomic_compare_exchange_strong(&shared[i], &expected, to))
			return true;
	}
	return false;
}

bool inner_share(struct state_file *file)
{
	return exchange_shared(NULL, file);
}

struct state_file *inner_shared_at(uintptr_t address)
{
	uintptr_t start;
	size_t i;

	for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		start = (uintptr_t)atomic_load(&shared[i]);
		if (start && address >= start && address - start < sizeof(struct state_file))
			return (struct state_file *)start;
	}
	return NULL;
}

/* ---- messages ---- */

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(FILES * sizeof(int))];
};

/* Closes the descriptors that are open. */
static void close_files(int files[FILES])
{
	int i;

	for (i = 0; i < FILES; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = -1;
	}
}

/* Return: 0, -EPROTO, and nothing is open; -errno */
static int receive_request(int channel, struct request *ret_request, int ret_files[FILES])
{
	struct iovec part = { ret_request, sizeof(*ret_request) };
	union control control;
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	const ssize_t n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	/* an empty message can have descriptors, too */
	const struct cmsghdr *head = n >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
	int came[FILES] = { -1, -1, -1, -1 }, i, next = 0, count = 0;

	memset(ret_files, -1, FILES * sizeof(ret_files[0]));
	if (n < 0)
		return -errno;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		count = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(came, CMSG_DATA(head), (size_t)count * sizeof(int));
	}
	for (i = 0; i < FILES && n == (ssize_t)sizeof(*ret_request); i++)
		if (ret_request->files >> i & 1 && next < count)
			ret_files[i] = came[next++];
	if (n == (ssize_t)sizeof(*ret_request) && next == count &&
	    ret_request->version == INNER_VERSION &&
	    memchr(ret_request->rule, '\0', sizeof(ret_request->rule)))
		return 0;
	close_files(came);
	memset(ret_files, -1, FILES * sizeof(ret_files[0]));
	return -EPROTO;
}

static int send_request(int channel, const struct request *request, const int files[FILES])
{
	struct iovec part = { (void *)request, sizeof(*request) };
	union control control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t count = 0;
	int i;

	for (i = 0; i < FILES; i++)
		if (files[i] >= 0)
			memcpy(CMSG_DATA(&control.head) + count++ * sizeof(int), &files[i],
			       sizeof(int));
	if (count) {
		control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	/* the bare call, as libc's name is that of the outer run's library */
	return syscall(SYS_sendmsg, channel, &message, MSG_NOSIGNAL) == sizeof(*request) ? 0
											 : -EPIPE;
}

/* ---- the supervisor: runs that have ended ---- */

/* Ends what others know of a run: its claims, and its state file, which is mapped still. */
static void withdraw_run(struct inners *inners, struct inner *inner)
{
	claims_end(inners->claims, &inner->fence.state);
	if (inner->fence.state.file)
		exchange_shared(inner->fence.state.file, NULL);
}

/* Frees a run that was withdrawn. Not under the lock: a member of the run may keep its record locked. */
static void free_run(struct inner *inner)
{
	run_log_finish(&inner->run_log);
	if (inner->log.record.file)
		record_repair(&inner->log.record);
	if (inner->log.record.file)
		close(inner->log.record.file);
	if (inner->log.file)
		close(inner->log.file);
	if (inner->fence.state.file)
		state_close(&inner->fence.state);
	arena_free(&inner->arena);
	free(inner);
}

/*
 * The runs that carry a mark, one after the other, from @at on; NULL behind the last one. Several users may have given
 * their runs the same mark, as anybody can read it.
 */
static struct inner *next_with_mark(const struct inners *inners, uint64_t mark, unsigned *at)
{
	while (mark && *at < inners->count)
		if (inners->run[(*at)++]->mark == mark)
			return inners->run[*at - 1];
	return NULL;
}

static void note_living(uint64_t mark, void *context)
{
	struct inners *inners = context;
	struct inner *inner;
	unsigned at = 0;

	pthread_mutex_lock(&inners->lock);
	while ((inner = next_with_mark(inners, mark, &at)))
		inner->missed = 0;
	pthread_mutex_unlock(&inners->lock);
}

/* What is to be ended, by a thread of its own: a member may have given us what close(2) waits for. */
struct ending {
	struct inner *first;
	int channel; /* -1: none */
};

static void *end_now(void *context)
{
	struct ending *ending = context;
	struct inner *inner;

	while ((inner = ending->first)) {
		ending->first = inner->next;
		free_run(inner);
	}
	if (ending->channel >= 0)
		close(ending->channel);
	free(ending);
	return NULL;
}

static void end_aside(struct inner *first, int channel)
{
	struct ending *ending = first || channel >= 0 ? malloc(sizeof(*ending)) : NULL;

	if (!ending)
		return;
	*ending = (struct ending){ first, channel };
	if (aside_start(end_now, ending))
		end_now(ending);
}

/* Searches all processes for those of the runs. Not under the lock, as that takes long. Return: 0, -errno */
static int search_living(struct inners *inners)
{
	unsigned i, round;
	int rc = 0;

	for (round = 0; !rc && round < MISSED_MOST; round++) {
		pthread_mutex_lock(&inners->lock);
		for (i = 0; i < inners->count; i++)
			inners->run[i]->missed++;
		pthread_mutex_unlock(&inners->lock);
		rc = mark_each(note_living, inners);
	}
	return rc;
}

/* Forgets the runs that were missed. Return: them, for end_aside() without the lock */
static struct inner *forget_missed(struct inners *inners)
{
	struct inner *ended = NULL;
	unsigned i;

	for (i = 0; i < inners->count;) {
		struct inner *inner = inners->run[i];

		if (inner->missed < MISSED_MOST || inner->users) {
			i++;
			continue;
		}
		inners->run[i] = inners->run[--inners->count];
		withdraw_run(inners, inner);
		inner->next = ended;
		ended = inner;
	}
	inners->sweep_at = 2 * inners->count > SWEEP_LEAST ? 2 * inners->count : SWEEP_LEAST;
	return ended;
}

/*
 * Finds out whether there is room for a new run. As many places have to be free as its user has already, so that no
 * user takes them all, except the outer run's own. Its files need descriptors as well. Return: 0, -EMFILE, -ENOSPC
 */
static int find_room(const struct inners *inners, const struct inner *new)
{
	const int record = new->log.record.file;
	const uid_t user = new->starter.uid;
	unsigned i, own = 0;

	for (i = 0; i < inners->count; i++)
		own += inners->run[i]->starter.uid == user;
	if (!reserve_spares(new->log.file > record ? new->log.file : record, own))
		return -EMFILE;
	if (user && user != geteuid())
		return inners->count + own < INNER_MOST ? 0 : -ENOSPC;
	return inners->count < INNER_MOST ? 0 : -ENOSPC;
}

/*
 * Forgets the runs that have ended, if there are many, or no room for a new one. There is one search at a time. Where
 * members ask for run after run, they wait for the next one.
 */
static void sweep(struct inners *inners, const struct inner *new)
{
	const int64_t start = timing_ns(CLOCK_MONOTONIC);
	struct inner *ended = NULL;
	bool due;

	pthread_mutex_lock(&inners->lock);
	due = start >= inners->sweep_from &&
	      (inners->count >= inners->sweep_at || find_room(inners, new));
	if (due)
		inners->sweep_from = INT64_MAX;
	pthread_mutex_unlock(&inners->lock);
	if (!due)
		return;
	if (search_living(inners))
		due = false;
	pthread_mutex_lock(&inners->lock);
	if (due)
		ended = forget_missed(inners);
	inners->sweep_from = timing_next_search(start);
	pthread_mutex_unlock(&inners->lock);
	end_aside(ended, -1);
}

/* ---- the supervisor: new runs ---- */

void inner_start(struct inners *inners, const struct inner_offer *offer, struct claims *claims)
{
	pthread_mutex_init(&inners->lock, NULL);
	inners->offer = *offer;
	inners->offer.version = INNER_VERSION;
	inners->claims = claims;
	inners->sweep_at = SWEEP_LEAST;
}

/* Has the other end of a channel been closed? */
static bool is_left(int channel)
{
	struct pollfd end = { .fd = channel };

	return poll(&end, 1, 0) == 1;
}

/*
 * Finds a place for a new channel: the caller's own from before, one that is free or was left, or the oldest of the
 * caller's user. Only a user who has none takes that of another. Return: NULL if too few descriptors are left
 */
static struct inner_opened *find_place(struct inners *inners, pid_t thread, uid_t user, int channel)
{
	struct inner_opened *place = NULL, *oldest = inners->opened, *users = NULL, *one;
	rlim_t own = 0;

	for (one = inners->opened; one < inners->opened + INNER_OPENED; one++) {
		if (one->thread == thread)
			return one;
		if (!one->thread || is_left(one->channel))
			place = one;
		if (one->number < oldest->number)
			oldest = one;
		if (!one->thread || one->user != user)
			continue;
		own++;
		if (!users || one->number < users->number)
			users = one;
	}
	if (users && !(place && reserve_spares(channel, own)))
		return users;
	if (!reserve_spares(channel, 0))
		return NULL;
	return place ? place : oldest;
}

int inner_open(struct inners *inners, const struct caller *caller)
{
	struct inner_opened *place, old = { .thread = 0 };
	int ends[2], rc;
	uid_t user;
	gid_t group;

	rc = caller_user(caller, &user, &group);
	if (rc)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	if (send(ends[0], &inners->offer, sizeof(inners->offer), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		close(ends[0]);
		close(ends[1]);
		return -EPIPE;
	}
	pthread_mutex_lock(&inners->lock);
	place = find_place(inners, caller->thread, user, ends[0]);
	if (place) {
		old = *place;
		*place = (struct inner_opened){
			.thread = caller->thread,
			.user = user,
			.channel = ends[0],
			.number = ++inners->last_opened,
		};
	}
	pthread_mutex_unlock(&inners->lock);
	end_aside(NULL, old.thread ? old.channel : -1);
	if (place)
		return ends[1];
	close(ends[0]);
	close(ends[1]);
	return -EMFILE;
}

/* Return: the end of the channel that was made for this caller, or -EBADF */
static int take_channel(struct inners *inners, const struct caller *caller)
{
	int channel = -EBADF;
	unsigned i;

	pthread_mutex_lock(&inners->lock);
	for (i = 0; i < INNER_OPENED; i++) {
		if (inners->opened[i].thread != caller->thread)
			continue;
		channel = inners->opened[i].channel;
		inners->opened[i].thread = 0;
	}
	pthread_mutex_unlock(&inners->lock);
	return channel;
}

/* May the member who has opened it write to it? */
static bool is_writable(int fd)
{
	const int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY;
}

/* And is it what a path can be opened as? */
static bool is_open_to_write(int fd)
{
	struct stat st;

	return is_writable(fd) && !fstat(fd, &st) &&
	       (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

/*
 * The lines go where the run's own lines go, if the run has opened that file. syslog and the journal tell their
 * readers the user of the sender, who is ours, so another user's lines do not go there.
 */
static void start_log(struct inner *inner, const struct handover *handover, int files[FILES],
		      bool is_ours)
{
	struct log *log = &inner->log;
	struct stat st;

	log->calls = inner->fence.calls;
	log->application = inner->rule.name;
	log->verbose = handover->verbose;
	log->destination = log_destination_of(handover->log);
	log->stderr_fd = -1;
	if (is_writable(files[FILE_ERRORS]) && !fstat(files[FILE_ERRORS], &st)) {
		log->stderr_dev = st.st_dev;
		log->stderr_ino = st.st_ino;
	}
	if (log->destination.to == LOG_TO_FILE && is_open_to_write(files[FILE_LOG])) {
		log->file = files[FILE_LOG];
		files[FILE_LOG] = -1;
	} else if (log->destination.to == LOG_TO_FILE ||
		   (log->destination.to > LOG_TO_STDERR && !is_ours)) {
		log->destination.to = LOG_TO_WARNINGS;
	}
	if (handover->record.path && is_open_to_write(files[FILE_RECORD])) {
		log->record = handover->record;
		log->record.file = files[FILE_RECORD];
		files[FILE_RECORD] = -1;
	}
}

/* Builds a run from a request. Return: 0, -errno */
static int build(struct inner *new, const struct request *request, int files[FILES],
		 const struct caller *caller, const struct socket_calls *calls)
{
	struct handover handover;
	int rc = handover_read_foreign(request->rule, &new->arena, &handover);

	rc = rc ? rc : caller_rights(caller, &new->starter);
	if (rc)
		return rc;
	if (text_has_control(handover.rule->name))
		return -EINVAL;
	new->rule = *handover.rule;
	new->rule.engine = ENGINE_BIND;
	run_log_start(&new->run_log, &new->log);
	new->fence.calls = calls;
	new->fence.rule = &new->rule;
	new->fence.kernel = new->kernel;
	new->fence.sources = &new->sources;
	rc = state_use(files[FILE_STATE], &new->rule, &new->fence.state);
	files[FILE_STATE] = -1;
	if (rc)
		return rc;
	start_log(new, &handover, files, new->starter.uid == geteuid());
	return 0;
}

static bool has_marked_one(const struct inners *inners, const struct inner *new)
{
	const struct inner *inner;
	unsigned at = 0;

	while ((inner = next_with_mark(inners, new->mark, &at)))
		if (inner->starter.uid == new->starter.uid)
			return true;
	return false;
}

/* Adds a run. Return: 0, -EEXIST, -ENOSPC, -EMFILE */
static int add_run(struct inners *inners, struct inner *new)
{
	int rc;

	sweep(inners, new);
	pthread_mutex_lock(&inners->lock);
	rc = has_marked_one(inners, new) ? -EEXIST : find_room(inners, new);
	if (!rc && !inner_share(new->fence.state.file))
		rc = -ENOSPC;
	if (!rc)
		inners->run[inners->count++] = new;
	pthread_mutex_unlock(&inners->lock);
	return rc;
}

int inner_enter(struct inners *inners, const struct caller *caller,
		const struct socket_calls *calls)
{
	int channel = take_channel(inners, caller), files[FILES], rc;
	struct inner *new = calloc(1, sizeof(*new));
	struct request request;

	rc = channel < 0 ? channel : receive_request(channel, &request, files);
	if (channel >= 0)
		close(channel);
	if (rc || !new) {
		if (!rc)
			close_files(files);
		free(new);
		return rc ? rc : -ENOMEM;
	}
	rc = inners->offer.polices ? -EPERM : caller_mark(caller, &new->mark);
	if (!rc && !new->mark)
		rc = -EINVAL;
	if (!rc)
		rc = build(new, &request, files, caller, calls);
	if (!rc)
		rc = add_run(inners, new);
	close_files(files);
	if (rc) {
		withdraw_run(inners, new);
		free_run(new);
	}
	return rc;
}

/*
 * Anybody can take the mark, as anybody can read it. And a program that gains rights, as a setuid one does, carries
 * the mark of the user who starts it, who may not say where it sends what. So no caller becomes a member that may do
 * anything that the run's own user may not. What root starts is for the users that root's programs become. In a tree
 * without any right, no program gains one.
 */
static bool may_belong(const struct inner *inner, const struct caller_rights *now)
{
	const struct caller_rights *starter = &inner->starter;

	return !starter->uid || rights_are_plain() ||
	       (now && !now->mixed && now->uid == starter->uid && now->gid == starter->gid &&
		!(now->permitted & ~starter->permitted));
}

/*
 * Finds the run of a caller that carries a mark. @now: what the caller may do; NULL: it was not asked yet, as that is
 * dear, and root's runs are for everybody. Return: NULL for none, with @ret_any whether another run has the mark
 */
static struct inner *take_member(struct inners *inners, uint64_t mark,
				 const struct caller_rights *now, bool *ret_any)
{
	struct inner *inner;
	unsigned at = 0;

	*ret_any = false;
	pthread_mutex_lock(&inners->lock);
	while ((inner = next_with_mark(inners, mark, &at)) && !may_belong(inner, now))
		*ret_any = true;
	if (inner)
		inner->users++;
	pthread_mutex_unlock(&inners->lock);
	return inner;
}

int inner_find(struct inners *inners, const struct caller *caller, struct inner **ret_inner)
{
	struct caller_rights now;
	uint64_t mark;
	bool any;
	int rc;

	*ret_inner = NULL;
	if (!inners->count)
		return 0;
	rc = caller_mark(caller, &mark);
	if (rc || !mark)
		return rc;
	*ret_inner = take_member(inners, mark, NULL, &any);
	if (!*ret_inner && any && !caller_rights(caller, &now))
		*ret_inner = take_member(inners, mark, &now, &any);
	return 0;
}

void inner_leave(struct inners *inners, struct inner *inner)
{
	if (!inner)
		return;
	pthread_mutex_lock(&inners->lock);
	inner->users--;
	pthread_mutex_unlock(&inners->lock);
}

/* ---- the run inside ---- */

/* Asks the supervisor. The length is that of an address, as shorter ones do not stop. Return: >= 0, -errno */
static int ask(unsigned long what)
{
	const long rc = syscall(SYS_bind, -1, what, sizeof(struct sockaddr_storage));

	return rc < 0 ? -errno : (int)rc;
}

int inner_ask(struct inner_offer *ret_offer)
{
	const int channel = ask(INNER_OPEN);

	if (channel < 0)
		return channel;
	if (recv(channel, ret_offer, sizeof(*ret_offer), MSG_DONTWAIT) == sizeof(*ret_offer) &&
	    ret_offer->version == INNER_VERSION)
		return channel;
	close(channel);
	return -EBADF;
}

int inner_compare(const struct inner_offer *offer, const struct settings *settings, bool exact,
		  struct obstacle *ret_obstacle)
{
	const struct rule *rule = settings->rule;
	const char *why = NULL;

	if (offer->polices)
		why = "the rule of the outer 'portfence run' polices ports by its 'bind' key, so no "
		      "other is served inside";
	else if (rule && offer->io_uring && !rule->io_uring)
		why = "the outer 'portfence run' allows io_uring";
	else if (rule && offer->any_mptcp && rule->mptcp != MPTCP_ALLOW)
		why = "the outer 'portfence run' allows MPTCP sockets";
	else if (rule && !offer->gate && settings->gate && rule->bind != BIND_ALLOW)
		why = "the outer 'portfence run' has a supervisor alone, which cannot tell the "
		      "library's binds from the program's";
	else if (exact && !filter_knows_exact())
		why = "before Linux 5.19, a signal can make a supervisor send a mapped message "
		      "twice";
	if (!why)
		return 0;
	obstacle_set(ret_obstacle, "%s", why);
	ret_obstacle->outer = true;
	return -EPERM;
}

/* What the supervisor may not open by a name that we give it. Why there is no state file, the library says itself. */
static void open_files(const struct settings *settings, int ret_files[FILES])
{
	struct log log = { .application = settings->rule->name };
	const char *warning;

	log_start(&log, settings->log);
	ret_files[FILE_ERRORS] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	ret_files[FILE_STATE] =
		state_find(settings->state, settings->runtime, settings->rule, &warning);
	if (warning && !settings->gate)
		log_say(&log, "warning", warning);
	ret_files[FILE_LOG] = log.destination.to == LOG_TO_FILE ? log_open(&log) : -1;
	ret_files[FILE_RECORD] = settings->record.path ? record_open(&settings->record) : -1;
}

static int send_rule(int channel, const struct settings *settings)
{
	const struct handover handover = {
		.rule = settings->rule,
		.log = settings->log,
		.record = settings->record,
		.verbose = settings->verbose,
	};
	struct request request = { .version = INNER_VERSION };
	int files[FILES], i, rc;

	rc = handover_write(&handover, request.rule);
	if (rc)
		return rc;
	open_files(settings, files);
	for (i = 0; i < FILES; i++)
		request.files |= (uint64_t)(files[i] >= 0) << i;
	rc = send_request(channel, &request, files);
	close_files(files);
	return rc;
}

int inner_submit(int channel, const struct settings *settings, struct obstacle *ret_obstacle)
{
	int rc = send_rule(channel, settings);

	rc = rc ? rc : ask(INNER_ENTER);
	close(channel);
	if (rc == -E2BIG)
		obstacle_set(ret_obstacle, "the range has too many gaps to tell it to the "
					   "supervisor of the outer 'portfence run'");
	else if (rc == -ENOSPC)
		obstacle_set(ret_obstacle,
			     "the outer 'portfence run' has too many others inside already");
	else if (rc)
		obstacle_set(ret_obstacle, "the supervisor of the outer 'portfence run' fails: %s",
			     strerror(-rc));
	if (rc)
		ret_obstacle->outer = true;
	return rc;
}
