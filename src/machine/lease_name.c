#include "lease_name.h"

#include "../core/fd.h"
#include "../core/policy.h"
#include "../core/siphash.h"
#include "../core/text.h"
#include "array.h"
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A block that has a name is held by a read lock in the lease file, so that
 * several holders can have it, while it is in the way of every other lease, which
 * is a write lock. Who may have it is decided here: the file of names is in a
 * place where no other user can write, so that nobody can name a block of another
 * user's, or keep this user's names.
 *
 * The file is like a lease file: byte n is the place of a holder, who has a write
 * lock on it and a record. Behind the records come one byte, on which there is a
 * write lock as long as somebody takes a name, and the names. Each holder has a
 * read lock on the first byte of its name. The name stays when all holders have
 * gone, and gets the same block again, until its entry is needed for another.
 *
 * A process that ends closes its two files one after the other, in an order that
 * the kernel is free to choose. Between the two, its name would look held while
 * another name gets the block. So what says that the block is a name's is a lock
 * in the lease file itself: a read lock on a byte behind the records, far away
 * and at random, that only the name's entry tells. The kernel ends all locks of
 * one open file at once (fs/locks.c, locks_remove_posix).
 */

#define TURN LEASE_FILE_END
#define ENTRIES (LEASE_FILE_END + 64)
#define ENTRIES_MOST 4096
#define TURN_WAITS 30        /* of a second each, in which nobody gets on, until it is given up */
#define TURN_TRIES 50        /* in a second, where no timer ends a wait */
#define TURN_TRY_NS 20000000 /* between two of them */
#define DYING_NS 5000000     /* between two looks at a block whose holder may be ending */
#define DYING_LOOKS 20
#define RELEASE_MS 5000

struct entry {
	uint32_t used;
	uint16_t first, last;
	int64_t since; /* nanoseconds, CLOCK_REALTIME: when it was last taken */
	/* the lease file that the block is in */
	uint64_t device;
	uint64_t inode;
	uint64_t id; /* of the block's time with this name; random, see instance_offset() */
	char name[LEASE_NAME_MOST];
	char rest[24];
};

_Static_assert(sizeof(struct entry) == 128, "it has no padding");

/* The names, while it is this process's turn. */
struct names {
	int fd;
	int lease_fd;
	struct stat lease_file;
	struct entry *entry;
	uint32_t count;
};

/* ---- names ---- */

/*
 * Does this mark a repository? A mark that another user has put into a folder like /tmp would give folders below it
 * that have nothing in common one name.
 */
static bool is_mark(const char *path, uid_t folder_owner)
{
	struct stat mark;

	return !lstat(path, &mark) &&
	       (!mark.st_uid || mark.st_uid == geteuid() || mark.st_uid == folder_owner);
}

/* The nearest folder above, with this one, that is a repository or a worktree; else this one. */
static int find_folder(char ret_path[PATH_MAX])
{
	static const char *const marks[] = { ".git", ".hg", ".jj", ".svn" };
	char path[PATH_MAX + 8];
	struct stat folder;
	size_t i, len;

	if (!getcwd(ret_path, PATH_MAX) || stat(".", &folder))
		return -errno;
	strcpy(path, ret_path);
	for (len = strlen(path); len; len = (size_t)(strrchr(path, '/') - path), path[len] = '\0') {
		for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
			snprintf(path + len, sizeof(path) - len, "/%s", marks[i]);
			if (is_mark(path, folder.st_uid)) {
				path[len] = '\0';
				strcpy(ret_path, path);
				return 0;
			}
		}
		path[len] = '\0';
	}
	return 0;
}

static int name_folder(char ret_name[LEASE_NAME_MOST + 1], struct reason *ret_why)
{
	const struct siphash_key key = { { 0x706f727466656e63, 0x6c656173656e616d } };
	char path[PATH_MAX], base[32];
	int rc = find_folder(path);

	if (rc)
		return reason_refuse(ret_why, "the current folder cannot be found: %s",
				     strerror(-rc));
	snprintf(base, sizeof(base), "%s", policy_base_name(path));
	text_make_safe(base);
	snprintf(ret_name, LEASE_NAME_MOST + 1, "@%s-%016llx", base,
		 (unsigned long long)siphash(&key, path, strlen(path)));
	return 0;
}

int lease_name_read(const char *text, char ret_name[LEASE_NAME_MOST + 1], struct reason *ret_why)
{
	char safe[160];

	if (!strcmp(text, LEASE_NAME_FOLDER))
		return name_folder(ret_name, ret_why);
	if (!*text)
		return reason_refuse(ret_why, "the name is empty");
	snprintf(safe, sizeof(safe), "%s", text);
	text_make_safe(safe);
	if (strlen(text) > LEASE_NAME_MOST)
		return reason_refuse(ret_why,
				     "the name '%s' is longer than %d bytes; write a shorter one",
				     safe, LEASE_NAME_MOST);
	if (strchr(text, '/') || strcmp(text, safe) != 0)
		return reason_refuse(
			ret_why,
			"the name '%s' has a slash, a control character or a byte that "
			"is not UTF-8; write it without",
			safe);
	strcpy(ret_name, text);
	return 0;
}

int lease_name_open(const struct settings *settings, bool write, struct reason *ret_why)
{
	return lease_file_open_own(settings, "names", write, ret_why);
}

/* ---- the table ---- */

static off_t entry_offset(uint32_t index)
{
	return ENTRIES + (off_t)index * (off_t)sizeof(struct entry);
}

/* The byte of the lease file that holders of the entry's name lock, together with the block. */
static off_t instance_offset(const struct entry *entry)
{
	return LEASE_FILE_END + (off_t)(entry->id >> 2);
}

static bool is_held(int fd, uint32_t index)
{
	struct flock lock;

	return lease_file_find_lock(fd, entry_offset(index), entry_offset(index), &lock) != 0;
}

/* In a lease file of all users, anybody can find the first lock and set it. The second one is for this user alone. */
static bool has_block(const struct names *names, const struct entry *entry)
{
	struct flock lock;

	return lease_file_find_lock(names->lease_fd, instance_offset(entry), instance_offset(entry),
				    &lock) == 1 &&
	       is_held(names->fd, (uint32_t)(entry - names->entry));
}

static void sleep_ns(long ns)
{
	const struct timespec time = { 0, ns };

	nanosleep(&time, NULL);
}

static void interrupt(int number)
{
	(void)number;
}

static bool is_not_our_turn(int rc)
{
	return rc == -EAGAIN || rc == -EACCES || rc == -EINTR;
}

/* Asks for the turn again and again, for a second at most. Return: 0, -errno */
static int try_for_turn(int fd)
{
	int rc = -EAGAIN, tries;

	for (tries = 0; tries < TURN_TRIES && is_not_our_turn(rc); tries++) {
		sleep_ns(TURN_TRY_NS);
		rc = lease_file_lock(fd, F_WRLCK, TURN, 1);
	}
	return rc;
}

/* Waits for the turn in the kernel's own queue (fs/locks.c), for a second at most. Return: 0, -errno */
static int wait_for_turn(int fd)
{
	const int number = SIGRTMAX;
	struct sigaction wakes = { .sa_handler = interrupt }, action;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
	/* once more and again: the first one may come before the call */
	const struct itimerspec often = { { 1, 0 }, { 1, 0 } };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TURN, .l_len = 1 };
	sigset_t only, mask;
	timer_t timer;
	int rc;

	/* EAGAIN: this user may have no more timers (RLIMIT_SIGPENDING) */
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		return try_for_turn(fd);
	sigemptyset(&only);
	sigaddset(&only, number);
	sigaction(number, &wakes, &action);
	pthread_sigmask(SIG_UNBLOCK, &only, &mask);
	timer_settime(timer, 0, &often, NULL);
	rc = fcntl(fd, F_OFD_SETLKW, &lock) ? -errno : 0;
	timer_delete(timer);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	sigaction(number, &action, NULL);
	return rc;
}

/* Gives up if nobody has taken a name in many waits: each of them writes to the file. */
static int begin_turn(int fd)
{
	int rc = lease_file_lock(fd, F_WRLCK, TURN, 1), waits = 0;
	struct stat st = { .st_nlink = 1 }, before;

	fstat(fd, &before);
	while (is_not_our_turn(rc) && waits < TURN_WAITS) {
		rc = wait_for_turn(fd);
		fstat(fd, &st);
		waits = st.st_mtim.tv_sec == before.st_mtim.tv_sec &&
					st.st_mtim.tv_nsec == before.st_mtim.tv_nsec
				? waits + 1
				: 0;
		before = st;
	}
	if (is_not_our_turn(rc))
		return -EBUSY;
	if (!rc && !fstat(fd, &st) && !st.st_nlink)
		rc = -ESTALE;
	return rc;
}

static int read_names(struct names *names)
{
	long n;

	if (fstat(names->lease_fd, &names->lease_file))
		return -errno;
	names->entry = calloc(ENTRIES_MOST, sizeof(*names->entry));
	if (!names->entry)
		return -ENOMEM;
	n = pread(names->fd, names->entry, ENTRIES_MOST * sizeof(*names->entry), ENTRIES);
	if (n < 0)
		return -errno;
	names->count = (uint32_t)((size_t)n / sizeof(*names->entry));
	return 0;
}

static bool is_entry(const struct names *names, const struct entry *entry, const char *name)
{
	return entry->used == 1 && entry->first && entry->first <= entry->last &&
	       entry->device == names->lease_file.st_dev &&
	       entry->inode == names->lease_file.st_ino &&
	       !strncmp(entry->name, name, sizeof(entry->name));
}

/* Return: the name's entry; else one for it, whose @used is 0; ENTRIES_MOST if all are held */
static uint32_t find_entry(const struct names *names, const char *name)
{
	uint32_t i, oldest = ENTRIES_MOST;

	for (i = 0; i < names->count; i++)
		if (is_entry(names, &names->entry[i], name))
			return i;
	if (names->count < ENTRIES_MOST)
		return names->count;
	for (i = 0; i < names->count; i++)
		if ((oldest == ENTRIES_MOST ||
		     names->entry[i].since < names->entry[oldest].since) &&
		    !is_held(names->fd, i))
			oldest = i;
	if (oldest < ENTRIES_MOST)
		names->entry[oldest].used = 0;
	return oldest;
}

static int write_entry(const struct names *names, uint32_t index, uint64_t id, const char *name,
		       const struct lease *lease)
{
	struct entry entry = {
		.id = id,
		.used = 1,
		.first = lease->first,
		.last = lease->last,
		.since = timing_ns(CLOCK_REALTIME),
		.device = names->lease_file.st_dev,
		.inode = names->lease_file.st_ino,
	};
	long n;

	memcpy(entry.name, name, strnlen(name, sizeof(entry.name)));
	if (lseek(names->fd, entry_offset(index), SEEK_SET) < 0)
		return -errno;
	n = fd_write(names->fd, &entry, sizeof(entry));
	if (n < 0)
		return (int)n;
	return n == sizeof(entry) ? 0 : -ENOSPC;
}

/* ---- taking ---- */

/*
 * Takes part in a block that others hold. They hold it before and after our lock is set, so nobody
 * else has had it in between.
 */
static int join_block(const struct names *names, const struct entry *entry, uint32_t count,
		      struct lease *lease)
{
	int rc;

	if (!has_block(names, entry))
		return -ESRCH;
	lease->first = entry->first;
	lease->last = entry->last;
	if (count > entry->last - entry->first + 1U)
		return -EMSGSIZE;
	rc = lease_file_lock(names->lease_fd, F_RDLCK, entry->first,
			     entry->last - entry->first + 1);
	/* the last holder has just gone, and another lease may have come */
	if (rc == -EAGAIN || rc == -EACCES || (!rc && !has_block(names, entry)))
		return -EADDRINUSE;
	return rc;
}

/* The block that the name had, if it is free and in the pool. */
static int take_same(const struct names *names, const struct range *pool, const struct entry *entry,
		     uint32_t count, struct lease *lease)
{
	const uint32_t last = entry->first + count - 1;
	struct flock lock;
	uint32_t port;
	int looks;

	if (last >= LEASE_FILE_PORTS)
		return -EADDRINUSE;
	for (port = entry->first; port <= last; port++)
		if (!range_has(pool, (uint16_t)port))
			return -EADDRINUSE;
	for (looks = 0; looks < DYING_LOOKS &&
			lease_file_find_lock(names->lease_fd, entry->first, last, &lock) == 1;
	     looks++)
		sleep_ns(DYING_NS);
	lease->first = entry->first;
	return lease_take_at(names->lease_fd, entry->first, count);
}

static int take_anew(const struct names *names, const struct range *pool, uint32_t count,
		     const struct entry *before, struct lease *lease, struct lease_named *named)
{
	int rc = -EADDRINUSE;

	if (before->used) {
		count = count ? count : before->last - before->first + 1U;
		rc = take_same(names, pool, before, count, lease);
	}
	if (!count)
		return -ENOENT;
	if (rc == -EADDRINUSE)
		rc = lease_take(names->lease_fd, pool, count, &lease->first);
	if (rc)
		return rc;
	lease->last = (uint16_t)(lease->first + count - 1);
	named->moved = before->used && before->first != lease->first;
	named->before_first = before->first;
	named->before_last = before->last;
	/* from now on, holders of the same name can have it as well */
	return lease_file_lock(names->lease_fd, F_RDLCK, lease->first, count);
}

/* A place that no other holder has. Most likely, the one by the process's number is one. */
static int take_slot(int fd, uint32_t *ret_slot)
{
	const uint32_t begin = (uint32_t)getpid();
	uint32_t i;
	int rc = -EAGAIN;

	for (i = 0; i < LEASE_FILE_PORTS - 1 && (rc == -EAGAIN || rc == -EACCES); i++) {
		*ret_slot = 1 + (begin + i) % (LEASE_FILE_PORTS - 1);
		rc = lease_file_lock(fd, F_WRLCK, *ret_slot, 1);
	}
	return rc == -EAGAIN || rc == -EACCES ? -ENOSPC : rc;
}

static int take_name(struct names *names, const struct range *pool, uint32_t count,
		     const char *name, struct lease *lease, struct lease_named *named)
{
	struct entry *entry;
	uint32_t index;
	int rc = read_names(names);

	if (rc)
		return rc;
	index = find_entry(names, name);
	if (index == ENTRIES_MOST)
		return -ENOSPC;
	entry = &names->entry[index];
	rc = entry->used ? join_block(names, entry, count, lease) : -ESRCH;
	named->joined = rc != -ESRCH;
	if (!named->joined)
		rc = take_anew(names, pool, count, entry, lease, named);
	if (!rc && !named->joined && getrandom(&entry->id, sizeof(entry->id), 0) < 0)
		rc = -errno;
	named->id = entry->id;
	if (!rc)
		rc = lease_file_lock(names->lease_fd, F_RDLCK, instance_offset(entry), 1);
	strcpy(lease->name, name);
	if (!rc)
		rc = write_entry(names, index, entry->id, name, lease);
	if (!rc)
		rc = lease_file_lock(names->fd, F_RDLCK, entry_offset(index), 1);
	if (!rc)
		rc = take_slot(names->fd, &named->slot);
	if (!rc)
		rc = lease_name_publish(names->fd, named, lease);
	if (!rc && !named->joined)
		rc = lease_publish(names->lease_fd, lease);
	return rc;
}

int lease_name_take(int fd, int lease_fd, const struct range *pool, uint32_t count,
		    const char *name, struct lease *entry, struct lease_named *ret_named)
{
	struct names names = { .fd = fd, .lease_fd = lease_fd };
	struct lease_named named = { .slot = 0 };
	int rc = begin_turn(fd);

	if (rc)
		return rc;
	rc = take_name(&names, pool, count, name, entry, &named);
	free(names.entry);
	if (rc) {
		/* a length of 0 is all that there may ever be (fcntl(2)) */
		lease_file_lock(lease_fd, F_UNLCK, 0, 0);
		lease_file_lock(fd, F_UNLCK, 0, 0);
		return rc;
	}
	lease_file_lock(fd, F_UNLCK, TURN, 1);
	*ret_named = named;
	return 0;
}

int lease_name_publish(int fd, const struct lease_named *named, const struct lease *entry)
{
	return lease_file_write(fd, named->slot, entry);
}

/* ---- a port of a map ---- */

/* Do others who hold the name lock this byte? In a lease file of all users, anybody can set the second lock. */
static bool is_told(int fd, int lease_fd, off_t byte)
{
	struct flock lock;

	return lease_file_find_lock(fd, byte, byte, &lock) == 1 &&
	       lease_file_find_lock(lease_fd, byte, byte, &lock) == 1;
}

/* The bytes behind that of instance_offset() say what became of a port of the holders' map. */
static int keep_port(int fd, int lease_fd, uint64_t id, uint16_t port)
{
	const struct entry entry = { .id = id };
	const off_t moved = instance_offset(&entry) + 2L * port, kept = moved + 1;
	off_t told;
	int rc, lock_rc;

	if (is_told(fd, lease_fd, moved))
		rc = -EADDRINUSE;
	else if (is_told(fd, lease_fd, kept))
		rc = 0;
	else
		rc = lease_keep(lease_fd, port);
	/* from now on, holders of the same name can have it as well */
	if (!rc)
		rc = lease_file_lock(lease_fd, F_RDLCK, port, 1);
	/* the last holder has just gone, and another lease has come */
	if (rc == -EAGAIN || rc == -EACCES)
		rc = -EADDRINUSE;
	if (rc && rc != -EADDRINUSE)
		return rc;
	told = rc ? moved : kept;
	lock_rc = lease_file_lock(fd, F_RDLCK, told, 1);
	if (!lock_rc)
		lock_rc = lease_file_lock(lease_fd, F_RDLCK, told, 1);
	return lock_rc ? lock_rc : rc;
}

int lease_name_keep(int fd, int lease_fd, const struct lease_named *named, uint16_t port)
{
	int rc = begin_turn(fd);

	if (rc)
		return rc;
	rc = keep_port(fd, lease_fd, named->id, port);
	lease_file_lock(fd, F_UNLCK, TURN, 1);
	return rc;
}

/* ---- listing ---- */

static int add_holders(void *context, uint32_t first, uint32_t last)
{
	struct lease_list *holders = context;
	uint32_t slot;
	struct lease lease, *added;

	for (slot = first; slot <= last; slot++) {
		if (!lease_file_read(holders->fd, slot, &lease) || !*lease.name)
			continue;
		added = array_add(&holders->lease, &holders->count, sizeof(*added));
		if (!added)
			return -ENOMEM;
		*added = lease;
	}
	return 0;
}

static int compare_holders(const void *a, const void *b)
{
	const struct lease *one = a, *other = b;

	if (one->first != other->first)
		return one->first - other->first;
	return one->since < other->since ? -1 : one->since > other->since;
}

int lease_name_list(int fd, struct lease **ret_lease, size_t *ret_count)
{
	struct lease_list list;
	int rc = lease_list_by(fd, add_holders, compare_holders, &list);

	if (rc >= 0) {
		*ret_lease = list.lease;
		*ret_count = list.count;
	}
	return rc;
}

/* ---- giving back ---- */

/* Does a process have the file open? Its number could be one of another PID namespace. */
static bool has_open(pid_t pid, int fd)
{
	int list = procfs_open(pid, "fd", O_RDONLY | O_DIRECTORY);
	DIR *folder = list < 0 ? NULL : fdopendir(list);
	struct stat file, other;
	const struct dirent *item;
	bool found = false;

	if (!folder) {
		if (list >= 0)
			close(list);
		return false;
	}
	while (!found && !fstat(fd, &file) && (item = readdir(folder)))
		found = !fstatat(dirfd(folder), item->d_name, &other, 0) &&
			other.st_dev == file.st_dev && other.st_ino == file.st_ino;
	closedir(folder);
	return found;
}

/* Return: 1 if the lease is still held, 0 if it is not, -errno */
static int is_listed(int fd, const struct lease *lease)
{
	struct lease *list = NULL;
	size_t count = 0, i;
	int cut = lease_name_list(fd, &list, &count);
	bool found = false;

	for (i = 0; i < count && !found; i++)
		found = list[i].pid == lease->pid && list[i].since == lease->since &&
			list[i].detached && !strcmp(list[i].name, lease->name);
	free(list);
	/* it may be in the part that is not listed */
	return found ? 1 : cut > 0 ? -EBUSY : cut;
}

int lease_name_release(int fd, const struct lease *lease)
{
	struct pollfd process = { .events = POLLIN };
	int error, rc;

	process.fd = (int)syscall(SYS_pidfd_open, lease->pid, 0);
	error = process.fd < 0 ? -errno : -ESRCH;
	rc = is_listed(fd, lease);
	if (process.fd < 0 || rc <= 0) {
		if (process.fd >= 0)
			close(process.fd);
		return rc == 1 ? error : rc;
	}
	/* it holds the lease now, and did before: so no other process had its number meanwhile */
	rc = error;
	if (has_open(lease->pid, fd))
		rc = syscall(SYS_pidfd_send_signal, process.fd, SIGTERM, NULL, 0) ? -errno : 0;
	if (!rc && poll(&process, 1, RELEASE_MS) != 1)
		rc = -ETIMEDOUT;
	close(process.fd);
	return rc;
}
