#include "mark.h"

#include "../machine/procfs.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The mark is the process's soft limit RLIMIT_RSS. Linux has not looked at that limit since 2.4.30
 * (getrlimit(2)), and a mark is larger than any memory. A child inherits it however it is made, execve(2) keeps
 * it, and so do an empty environment, a daemon's second fork and a program that closes all descriptors or
 * writes over its environment. It is open to everybody: prlimit(2) tells it of one's own processes, and
 * /proc/PID/stat of all. So no process is looked into. A program that sets this limit itself, as
 * `ulimit -m` does, leaves the run.
 */

#define MARK_PREFIX 0x7066ULL /* above 2^62: no amount of memory, and not RLIM64_INFINITY */
#define MARK_BITS 48
#define LOOK_NS 50000000 /* where a process's end cannot be waited for */

struct limit {
	uint64_t soft;
	uint64_t hard;
};

/* As prlimit(2), which has 64 bits for programs of all sizes. Return: 0, -errno */
static int use_limit(pid_t id, const struct limit *new, struct limit *ret_old)
{
	return syscall(SYS_prlimit64, id, RLIMIT_RSS, new, ret_old) ? -errno : 0;
}

static uint64_t mark_in(uint64_t limit)
{
	return limit >> MARK_BITS == MARK_PREFIX ? limit : 0;
}

uint64_t mark_draw(void)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return 0;
	return MARK_PREFIX << MARK_BITS | random >> (64 - MARK_BITS);
}

int mark_set(uint64_t mark)
{
	struct limit limit, set;
	int rc = use_limit(0, NULL, &limit);

	if (rc)
		return rc;
	set = (struct limit){ mark, limit.hard };
	/* the kernel has EINVAL for a soft limit above the hard one */
	rc = use_limit(0, &set, NULL);
	if (rc)
		return rc == -EINVAL ? -EPERM : rc;
	rc = use_limit(0, NULL, &set);
	if (rc || set.soft == mark)
		return rc;
	/* with 32 bits, it is infinity (kernel/sys.c, rlim64_to_rlim) */
	use_limit(0, &limit, NULL);
	return -EOPNOTSUPP;
}

uint64_t mark_of(pid_t id)
{
	struct procfs_stat stat;
	struct limit limit;

	if (!use_limit(id, NULL, &limit))
		return mark_in(limit.soft);
	/* prlimit(2) tells it of one's own user's processes alone */
	return procfs_is_ours() && !procfs_stat(id, &stat) ? mark_in(stat.rss_limit) : 0;
}

struct visit {
	void (*each)(uint64_t mark, void *context);
	void *context;
};

static int visit(pid_t process, void *context)
{
	const struct visit *visit = context;
	const uint64_t mark = mark_of(process);

	if (mark)
		visit->each(mark, visit->context);
	return 0;
}

int mark_each(void (*each)(uint64_t mark, void *context), void *context)
{
	struct visit all = { each, context };

	return procfs_is_ours() ? procfs_each(visit, &all) : -ENOSYS;
}

/* ---- waiting ---- */

/* Who is left? One of them, to wait for */
struct search {
	uint64_t mark;
	int pidfd; /* of the one that was found; -1: none, or it cannot be waited for */
};

/* Has all of the process ended, although its parent has not asked for its status yet? */
static bool has_ended(pid_t process, int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	struct procfs_status status;
	struct procfs_stat stat;

	if (pidfd >= 0)
		return poll(&end, 1, 0) == 1;
	return procfs_stat(process, &stat) || procfs_status(process, &status) ||
	       (stat.state == 'Z' && status.threads <= 1);
}

/*
 * Anybody can take the mark, as anybody can read it. So of users that are neither root nor this process's own,
 * none keeps what this user holds. What root holds is for the users that root's programs become.
 */
static bool may_belong(pid_t process)
{
	struct procfs_status status;

	return !geteuid() || procfs_status(process, &status) || !status.uid ||
	       status.uid == geteuid();
}

static int try_process(pid_t process, void *context)
{
	struct search *search = context;
	int pidfd;

	if (mark_of(process) != search->mark || !may_belong(process))
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, process, 0);
	/* the number may be another process's by now */
	if (mark_of(process) == search->mark && !has_ended(process, pidfd)) {
		search->pidfd = pidfd;
		return -EEXIST;
	}
	if (pidfd >= 0)
		close(pidfd);
	return 0;
}

/* Waits for the end of one process that carries the mark. Return: false if there was none */
static bool wait_for_one(uint64_t mark)
{
	const struct timespec look = { 0, LOOK_NS };
	struct search search = { .mark = mark, .pidfd = -1 };
	struct pollfd end = { .events = POLLIN };

	if (!procfs_each(try_process, &search))
		return false;
	/* it cannot be waited for, or the list cannot be read now */
	if (search.pidfd < 0) {
		nanosleep(&look, NULL);
		return true;
	}
	end.fd = search.pidfd;
	while (poll(&end, 1, -1) < 0)
		;
	close(search.pidfd);
	return true;
}

/*
 * While it is read, the list of processes misses a child whose number lies behind, and its parent if that
 * ends before its own number comes. So only the second search in a row that finds nobody is believed.
 */
void mark_wait(uint64_t mark)
{
	int nobody = 0;

	while (nobody < 2)
		nobody = wait_for_one(mark) ? 0 : nobody + 1;
}
