#include "relay_wait.h"

#include "../core/timing.h"
#include "aside.h"
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* include/linux/errno.h: a call that begins anew, or fails with EINTR, as the signal's handler has it */
#define ERESTARTSYS 512

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define BEGIN_NS 2000000
#define CHECK_US 20000
#define CHECK_LATER_US 200000
#define LATER_US 1000000
#define SHARE 128 /* a user's checks take at most one part in so many of a processor */
#define NEVER INT64_MAX

/*
 * Theory of operation
 *
 * The caller's connect() waits for our answer, and only a fatal signal ends that (see
 * filter.c). So neither its signals may have to wait nor its socket outlive it.
 *
 * The socket is a blocking one, and whether it blocks is not ours to change, as others
 * may use it. So a thread begins the connect(), and is interrupted by a timer if that
 * takes longer than a connect() on this machine does. The connection goes on being
 * made. From then on one thread polls all such sockets and their callers' pidfds. When
 * a socket is ready, a thread asks for the result by connect() once more; it does not
 * wait then, unless the socket's lock is held or another thread of the program uses the
 * socket, and in that case only this errand waits.
 *
 * That a caller has got a signal, nothing announces: /proc has to be read. The checks of a user's
 * callers are so far apart that all of them together take less than 1 % of a processor. So the more a user
 * has, the later they learn of their signals, and nobody else's do.
 *
 * An errand takes two of our descriptors, as long as it waits. So that nobody takes them all, a new one needs as
 * many free descriptors as its user has errands (reserve.h), and as many again as its process has. So a process
 * leaves room for the others of its user, and a user for other users, however many processes it has.
 */

/* A connect() on its way. */
struct errand {
	struct errand *next;
	struct errand *other, **link; /* of all that there are, under the lock */
	struct claims *claims;
	struct caller caller; /* with a pidfd of its own */
	pid_t process;
	uid_t user;
	int fd;
	union addr to;
	socklen_t len;
	int result;    /* see end_aside() */
	int64_t limit; /* how long the socket lets a connect() wait, in microseconds; 0: for ever */
	int64_t begun;
};

/* The errands that wait. */
static struct {
	pthread_once_t once;
	int wake; /* eventfd; -1 if there is none */
	pthread_mutex_t lock;
	struct errand *added; /* under the lock */
	struct errand *all;   /* under the lock; those that are connecting, too */
	/* the rest is the polling thread's */
	struct errand **errand;
	struct pollfd *poll; /* the eventfd's, then two for each errand */
	size_t count;
	size_t room;
	/* by number modulo RESERVE_USERS */
	struct {
		size_t count;  /* errands that wait */
		int64_t check; /* when they are checked next */
		bool young;    /* one of them has begun a short time before */
	} user[RESERVE_USERS];
} waiting = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t now_us(void)
{
	return timing_ns(CLOCK_MONOTONIC) / 1000;
}

/* Notes an errand. Return: false if there is no room for it */
static bool note_errand(struct errand *errand)
{
	const struct errand *other;
	rlim_t own = 0;
	bool room;

	pthread_mutex_lock(&waiting.lock);
	for (other = waiting.all; other; other = other->other)
		own += (other->process == errand->process) + (other->user == errand->user);
	room = reserve_spares(errand->fd, own);
	if (room) {
		errand->other = waiting.all;
		errand->link = &waiting.all;
		if (waiting.all)
			waiting.all->link = &errand->other;
		waiting.all = errand;
	}
	pthread_mutex_unlock(&waiting.lock);
	return room;
}

static void forget_errand(const struct errand *errand)
{
	pthread_mutex_lock(&waiting.lock);
	*errand->link = errand->other;
	if (errand->other)
		errand->other->link = errand->link;
	pthread_mutex_unlock(&waiting.lock);
}

static void end_errand(struct errand *errand, int rc)
{
	struct seccomp_notif_resp answer = { .id = errand->caller.id, .error = rc };

	/* a caller that was killed meanwhile needs no answer */
	while (ioctl(errand->caller.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) && errno == EINTR)
		;
	close(errand->fd);
	caller_close(&errand->caller);
	forget_errand(errand);
	free(errand);
}

/* ---- the threads that connect ---- */

static void ignore_tick(int number)
{
	(void)number;
}

/* From now on, this thread is interrupted every BEGIN_NS. Return: false if that cannot be */
static bool start_ticks(timer_t *ret_timer)
{
	const struct sigaction action = { .sa_handler = ignore_tick };
	const struct itimerspec ticks = { { 0, BEGIN_NS }, { 0, BEGIN_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	sigset_t own;

	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	sigemptyset(&own);
	sigaddset(&own, SIGRTMIN);
	return !sigaction(SIGRTMIN, &action, NULL) && !pthread_sigmask(SIG_UNBLOCK, &own, NULL) &&
	       !timer_create(CLOCK_MONOTONIC, &event, ret_timer) &&
	       !timer_settime(*ret_timer, 0, &ticks, NULL);
}

static void hand_over(struct errand *errand)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&waiting.lock);
	errand->next = waiting.added;
	waiting.added = errand;
	pthread_mutex_unlock(&waiting.lock);
	while (write(waiting.wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *run_errand(void *context)
{
	struct errand *errand = context;
	timer_t timer;
	bool ticks = start_ticks(&timer);
	int rc = syscall(SYS_connect, errand->fd, &errand->to, errand->len) ? -errno : 0;

	claims_call_made(errand->claims, &errand->caller);
	if (ticks)
		timer_delete(timer);
	if (rc == -EINTR)
		hand_over(errand);
	else
		end_errand(errand, rc);
	return NULL;
}

static void *run_end(void *context)
{
	struct errand *errand = context;

	end_errand(errand, errand->result);
	return NULL;
}

/*
 * Ends an errand from the thread that polls. If nobody else has the socket any more, and the program has set
 * SO_LINGER, close(2) waits for a peer that may never answer.
 */
static void end_aside(struct errand *errand, int rc)
{
	errand->result = rc;
	if (aside_start(run_end, errand))
		end_errand(errand, rc);
}

/* ---- the thread that polls ---- */

/* Return: false if there is no memory for one more */
static bool make_room(void)
{
	size_t room = waiting.room ? 2 * waiting.room : 64;
	struct errand **errand;
	struct pollfd *polls;

	if (waiting.count < waiting.room)
		return true;
	errand = reallocarray(waiting.errand, room, sizeof(*errand));
	if (errand)
		waiting.errand = errand;
	polls = reallocarray(waiting.poll, 1 + 2 * room, sizeof(*polls));
	if (polls)
		waiting.poll = polls;
	if (!errand || !polls)
		return false;
	waiting.room = room;
	return true;
}

static void add_errand(struct errand *errand)
{
	const size_t user = errand->user % RESERVE_USERS;

	waiting.errand[waiting.count++] = errand;
	if (!waiting.user[user].count++)
		waiting.user[user].check = now_us() + CHECK_US;
}

static void take_added(void)
{
	struct errand *errand, *next;
	uint64_t number;

	while (read(waiting.wake, &number, sizeof(number)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&waiting.lock);
	next = waiting.added;
	waiting.added = NULL;
	pthread_mutex_unlock(&waiting.lock);
	while ((errand = next)) {
		next = errand->next;
		if (make_room())
			add_errand(errand);
		else
			end_aside(errand, -ENOBUFS);
	}
}

static void drop_errand(size_t i)
{
	waiting.user[waiting.errand[i]->user % RESERVE_USERS].count--;
	waiting.errand[i] = waiting.errand[--waiting.count];
}

static void fill_polls(void)
{
	size_t i;

	waiting.poll[0] = (struct pollfd){ .fd = waiting.wake, .events = POLLIN };
	for (i = 0; i < waiting.count; i++) {
		waiting.poll[1 + 2 * i] =
			(struct pollfd){ .fd = waiting.errand[i]->fd, .events = POLLOUT };
		waiting.poll[2 + 2 * i] =
			(struct pollfd){ .fd = waiting.errand[i]->caller.pidfd, .events = POLLIN };
	}
}

/* From the last to the first, so that one that takes a dropped one's place was seen already */
static void end_ready(void)
{
	struct errand *errand;
	size_t i = waiting.count;

	while (i--) {
		errand = waiting.errand[i];
		if (waiting.poll[2 + 2 * i].revents) {
			drop_errand(i);
			end_aside(errand, -ESRCH);
		} else if (waiting.poll[1 + 2 * i].revents) {
			drop_errand(i);
			if (aside_start(run_errand, errand))
				end_aside(errand, -ENOBUFS);
		}
	}
}

/*
 * Return: CALL_CONTINUES if the errand is to wait on; else the call's result, as
 * the kernel has it (net/ipv4/af_inet.c, __inet_stream_connect; include/net/sock.h, sock_intr_errno)
 */
static int check_errand(const struct errand *errand, int64_t now)
{
	if (errand->limit && now - errand->begun >= errand->limit)
		return -EINPROGRESS;
	if (caller_is_signalled(&errand->caller))
		return errand->limit ? -EINTR : -ERESTARTSYS;
	return caller_waits(&errand->caller) ? CALL_CONTINUES : -ESRCH;
}

/* Checks the errands of the users whose turn it is. @cost: of one check, changed if any was made */
static void check_due(int64_t start, int64_t *cost)
{
	const int64_t before = timing_ns(CLOCK_THREAD_CPUTIME_ID);
	int64_t checked = 0, pause;
	struct errand *errand;
	size_t i, user;
	int rc;

	for (i = waiting.count; i--;) {
		errand = waiting.errand[i];
		user = errand->user % RESERVE_USERS;
		/* a limit is kept, however many others wait */
		if (waiting.user[user].check > start &&
		    (!errand->limit || errand->begun + errand->limit > start))
			continue;
		waiting.user[user].young |= start - errand->begun < LATER_US;
		rc = check_errand(errand, start);
		checked++;
		if (rc != CALL_CONTINUES) {
			drop_errand(i);
			end_aside(errand, rc);
		}
	}
	if (checked)
		*cost = (timing_ns(CLOCK_THREAD_CPUTIME_ID) - before) / checked / 1000;
	for (user = 0; user < RESERVE_USERS; user++) {
		if (waiting.user[user].check > start)
			continue;
		pause = (int64_t)waiting.user[user].count * *cost * SHARE;
		if (pause < (waiting.user[user].young ? CHECK_US : CHECK_LATER_US))
			pause = waiting.user[user].young ? CHECK_US : CHECK_LATER_US;
		waiting.user[user].check = start + pause;
		waiting.user[user].young = false;
	}
}

/* Return: when the next check is due; NEVER: none is */
static int64_t find_next_check(void)
{
	int64_t next = NEVER;
	size_t i;

	for (i = 0; i < waiting.count; i++) {
		const struct errand *errand = waiting.errand[i];
		const int64_t check = waiting.user[errand->user % RESERVE_USERS].check;

		if (check < next)
			next = check;
		if (errand->limit && errand->begun + errand->limit < next)
			next = errand->begun + errand->limit;
	}
	return next;
}

static void *poll_errands(void *context)
{
	int64_t next, now, cost = 0;
	int timeout;

	for (;;) {
		fill_polls();
		next = find_next_check();
		now = now_us();
		timeout = next == NEVER ? -1 : next > now ? (int)((next - now) / 1000) + 1 : 0;
		if (poll(waiting.poll, 1 + 2 * waiting.count, timeout) < 0)
			continue;
		end_ready();
		if (waiting.poll[0].revents)
			take_added();
		now = now_us();
		if (now >= next)
			check_due(now, &cost);
	}
	return context;
}

static void start_polling(void)
{
	waiting.wake = eventfd(0, EFD_CLOEXEC);
	if (waiting.wake < 0)
		return;
	if (!make_room() || aside_start(poll_errands, NULL)) {
		close(waiting.wake);
		waiting.wake = -1;
	}
}

/* ---- beginning ---- */

static int64_t find_limit(int fd)
{
	struct timeval limit = { 0 };
	socklen_t len = sizeof(limit);

	getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	return (int64_t)limit.tv_sec * 1000000 + limit.tv_usec;
}

/* Return: 0; -EMFILE if there is no room for it; another -errno */
static int begin_errand(struct trapped_call *trapped, struct errand *errand)
{
	const struct caller *caller = &trapped->caller;
	gid_t group;
	int rc = caller_reopen(caller, &errand->caller);

	if (rc)
		return rc;
	errand->process = caller_process(caller);
	if (caller_user(caller, &errand->user, &group))
		errand->user = geteuid();
	errand->fd = fcntl(trapped->fd, F_DUPFD_CLOEXEC, 3);
	if (!note_errand(errand)) {
		rc = -EMFILE;
	} else {
		rc = aside_start(run_errand, errand);
		if (!rc)
			return 0;
		forget_errand(errand);
	}
	if (errand->fd >= 0)
		close(errand->fd);
	caller_close(&errand->caller);
	return rc;
}

int relay_wait_connect(struct trapped_call *trapped, const union addr *to, socklen_t len)
{
	struct errand *errand = malloc(sizeof(*errand));
	int rc;

	pthread_once(&waiting.once, start_polling);
	if (!errand || waiting.wake < 0) {
		free(errand);
		return -ENOBUFS;
	}
	*errand = (struct errand){ .to = *to, .len = len };
	errand->claims = &trapped->tree->claims;
	errand->limit = find_limit(trapped->fd);
	errand->begun = now_us();
	rc = begin_errand(trapped, errand);
	if (!rc)
		return CALL_ANSWERED;
	free(errand);
	if (rc == -EMFILE)
		trapped_call_refuse(trapped, "so many mapped connects wait that this one fails; "
					     "give the run a higher hard limit of open files "
					     "('ulimit -Hn')");
	return -ENOBUFS;
}
