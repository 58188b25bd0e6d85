#include "lease.h"

#include "../core/fd.h"
#include "../core/ownership.h"
#include "../core/state.h"
#include "../core/text.h"
#include "../core/timing.h"
#include "array.h"
#include "processes.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Port number n is byte n of a file, and a lease is a lock on its bytes. The
 * kernel finds overlaps, and lets go of the lock when the last copy of the
 * descriptor is closed, however its holders end. Nothing has to be cleaned up,
 * and nobody has to be asked who still lives. An open file description's lock it
 * has to be: a process's own would be lost with whatever else the process closes,
 * and would not outlive a fork.
 *
 * Of such a lock the kernel does not tell whose it is. So the holder writes that
 * into the same file, behind the bytes that are ports, one record for each first
 * port. The file is sparse: a record takes a block of the disk, once used. A
 * record that nobody holds the lock for is nothing, and one that was left by
 * another holder is written over as soon as the lock is had. Where users share
 * the file, each may write what it wants: a record is there to be shown, and
 * what is held is told by the locks alone.
 */

#define PORTS 65536
#define VERSION 1

/* The kernel goes through all locks of a file for each question: somebody may hold thousands. */
#define SEARCH_NS (2 * TIMING_SECOND_NS)

/* Fixed widths: programs of 32 and of 64 bits share the file. */
struct holding {
	uint32_t version;
	uint32_t uid;
	int32_t pid;
	uint16_t first;
	uint16_t last;
	int64_t since;
	char application[LEASE_APPLICATION];
	char command[LEASE_COMMAND];
	char map[LEASE_MAP];
};

_Static_assert(sizeof(struct holding) == 512, "it has no padding");

static off_t record_offset(uint16_t first)
{
	return PORTS + (off_t)first * (off_t)sizeof(struct holding);
}

/* ---- the file ---- */

/*
 * May this file be trusted to be the one that is meant? Where others can change the path,
 * only if it is root's or this user's.
 */
static bool is_meant(int fd, bool safe)
{
	struct stat st;

	return !fstat(fd, &st) && (safe || st.st_uid == 0 || st.st_uid == geteuid());
}

static int open_shared(const char *path, bool write, struct reason *ret_why)
{
	bool safe;
	/* not blocking, in case somebody put a FIFO there */
	int fd =
		ownership_open(path, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY, 0, &safe);
	struct stat st;

	if (fd == -ENOENT)
		/* a cut path must not look like a whole one in a command: where it is too long, the end is cut */
		return reason_fail(
			-ENOTDIR, ret_why,
			"the lease file '%s' is not there; make it with 'touch %s && chmod 666 "
			"%s', or take 'lease-file' out",
			path, path, path);
	if (fd >= 0 && !is_meant(fd, safe)) {
		close(fd);
		fd = -EPERM;
	}
	if (fd == -ELOOP || fd == -EPERM)
		return reason_fail(
			fd, ret_why,
			"the lease file " REASON_QUOTED " is a link or another user's file, in "
			"a folder that others can change; name one in a folder that is root's "
			"alone",
			path);
	if (fd < 0)
		return reason_fail(fd, ret_why,
				   "the lease file " REASON_QUOTED " cannot be opened: %s", path,
				   strerror(-fd));
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return reason_fail(-EINVAL, ret_why,
			   "the lease file " REASON_QUOTED " is not a regular file", path);
}

/*
 * Is this the state folder of one `portfence run --fresh` (see run_fresh)? Leases are common to all
 * runs of a user, so their file stands in the folder above it.
 */
static bool above_fresh_state(const char *state, char ret_folder[PATH_MAX], bool *ret_shared)
{
	const char *name = strrchr(state, '/');
	char path[PATH_MAX];
	unsigned slot, user;
	int own = 0, shared = 0;

	if (!name)
		return false;
	sscanf(name, "/fresh-%u%n-%u%n", &slot, &own, &user, &shared);
	if (!own || name[shared ? shared : own] ||
	    snprintf(path, sizeof(path), "%s/" LEASE_FRESH_LOCK, state) >= (int)sizeof(path) ||
	    access(path, F_OK))
		return false;
	/* the folder above it may be the root */
	snprintf(ret_folder, PATH_MAX, "%.*s/", (int)(name - state), state);
	*ret_shared = shared;
	return true;
}

/*
 * Opens the folder of a user's leases. If it changed with what others do, two runs
 * could have one block. So $XDG_RUNTIME_DIR serves only where there is no /dev/shm
 * at all, and not where another user has taken the name in it.
 */
static int open_lease_folder(const char *state, const char *runtime)
{
	bool squatted;

	return state_folder(state, access("/dev/shm", F_OK) ? runtime : NULL, &squatted);
}

static int open_own(const struct settings *settings, bool write, struct reason *ret_why)
{
	const int flags = (write ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
	char name[32] = "leases", where[PATH_MAX], outside[PATH_MAX];
	const char *state = settings->state;
	bool shared = state;
	int folder, fd;
	off_t bytes;

	if (state && above_fresh_state(state, outside, &shared))
		state = outside;
	folder = open_lease_folder(state, settings->runtime);
	if (folder < 0 && !state)
		return reason_fail(
			folder == -ENOENT ? -ENOTDIR : folder, ret_why,
			"the folder for leases, /dev/shm/portfence-%u, cannot be used: %s; "
			"set 'state' or 'lease-file'",
			geteuid(), strerror(-folder));
	if (folder < 0)
		return reason_fail(folder == -ENOENT ? -ENOTDIR : folder, ret_why,
				   "the folder for leases, " REASON_QUOTED ", cannot be used: %s",
				   state, strerror(-folder));
	/* a folder that is named may be other users', too; state files do not begin so */
	if (shared)
		snprintf(name, sizeof(name), ".leases.%u", geteuid());
	/* only the kernel can tell */
	if (ownership_path(folder, where))
		*where = '\0';
	fd = fd_openat(folder, name, flags, 0600);
	close(folder);
	if (fd < 0)
		return reason_fail(fd, ret_why, "the lease file '%.160s/%s' cannot be opened: %s",
				   where, name, strerror(-fd));
	if (ownership_is_private(fd, &bytes))
		return fd;
	close(fd);
	return reason_fail(
		-EPERM, ret_why,
		"the lease file '%.160s/%s' is not a file that only this user can use; remove it",
		where, name);
}

int lease_open(const struct settings *settings, bool write, struct reason *ret_why)
{
	if (settings->policy.lease_file)
		return open_shared(settings->policy.lease_file, write, ret_why);
	return open_own(settings, write, ret_why);
}

/* ---- locks ---- */

/* Bytes that are still to be asked about */
struct span {
	uint16_t first, last;
};

/* A lock that keeps others from the ports from @first to @last. Return: 1, 0 if there is none, -errno */
static int find_lock(int fd, uint32_t first, uint32_t last, struct flock *ret_lock)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)first,
		.l_len = (off_t)(last - first + 1),
	};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	*ret_lock = lock;
	return lock.l_type != F_UNLCK;
}

/* The last byte of a lock, which may go beyond all ports */
static uint32_t lock_end(const struct flock *lock)
{
	off_t end = lock->l_start + lock->l_len - 1;

	/* a length of 0 is all that there may ever be (fcntl(2)) */
	return !lock->l_len || end >= PORTS ? PORTS - 1 : (uint32_t)end;
}

static int set_lock(int fd, short type, uint32_t first, uint32_t count)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)first,
		.l_len = (off_t)count,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* ---- taking ---- */

/* Ports that a socket is on, by how much that matters */
enum { IS_FREE, IS_WAITING, IS_USED };

static int find_used(unsigned char ret_used[PORTS])
{
	struct sockets sockets;
	size_t i;
	int rc = sockets_read(0, &sockets);

	memset(ret_used, IS_FREE, PORTS);
	for (i = 0; !rc && i < sockets.count; i++) {
		const struct sockets_entry *entry = &sockets.entry[i];
		unsigned char *used = &ret_used[entry->local_port];

		if (entry->protocol != IPPROTO_TCP || entry->state != SOCKETS_TIME_WAIT)
			*used = IS_USED;
		else if (*used == IS_FREE)
			*used = IS_WAITING;
	}
	sockets_free(&sockets);
	return rc;
}

/* Return: the highest port from @first to @last that is used more than @allowed, 0 if none is */
static uint32_t last_used(const unsigned char used[PORTS], uint32_t first, uint32_t last,
			  int allowed)
{
	uint32_t port;

	for (port = last; port >= first && used[port] <= allowed; port--)
		;
	return port >= first ? port : 0;
}

/* What a block is looked for with. */
struct search {
	int fd;
	const struct range *pool;
	uint32_t count;
	unsigned char used[PORTS]; /* IS_ values, by port */
	int allowed;               /* at most so much used */
	int64_t end;               /* when to give up, see search_end() */
};

/* Locks the first block that fits. Return: 0; -EADDRINUSE; another -errno */
static int lock_first(const struct search *search, uint16_t *ret_first)
{
	const struct range *pool = search->pool;
	const uint32_t count = search->count;
	struct flock lock;
	uint32_t i, first, taken;
	int rc;

	for (i = 0; i < pool->spans; i++) {
		for (first = pool->span[i].first; first + count - 1 <= pool->span[i].last;
		     first = taken + 1) {
			taken = last_used(search->used, first, first + count - 1, search->allowed);
			if (taken)
				continue;
			rc = find_lock(search->fd, first, first + count - 1, &lock);
			if (!rc)
				rc = set_lock(search->fd, F_WRLCK, first, count);
			if (!rc) {
				*ret_first = (uint16_t)first;
				return 0;
			}
			/* asked again, the kernel tells who was faster */
			taken = rc == 1 ? lock_end(&lock) : first - 1;
			if (rc != 1 && rc != -EAGAIN && rc != -EACCES)
				return rc;
			if (timing_ns(CLOCK_MONOTONIC) >= search->end)
				return -EADDRINUSE;
		}
	}
	return -EADDRINUSE;
}

/*
 * One look at the sockets before, so as to pass over what is in use, and one behind
 * the lock: the sockets that the first one has seen may be those of before the last
 * holder. Ports on which there is a socket by then are passed over from then on.
 */
static int take_block(struct search *search, uint16_t *ret_first)
{
	uint16_t first = 0;
	int rc;

	while (!(rc = lock_first(search, &first))) {
		rc = find_used(search->used);
		if (!rc &&
		    !last_used(search->used, first, first + search->count - 1, search->allowed)) {
			*ret_first = first;
			return 0;
		}
		set_lock(search->fd, F_UNLCK, first, search->count);
		if (rc || timing_ns(CLOCK_MONOTONIC) >= search->end)
			return rc ? rc : -EADDRINUSE;
	}
	return rc;
}

int lease_take(int fd, const struct range *pool, uint32_t count, uint16_t *ret_first)
{
	struct search *search = calloc(1, sizeof(*search));
	struct stat st;
	int rc;

	if (!search)
		return -ENOMEM;
	search->fd = fd;
	search->pool = pool;
	search->count = count;
	search->end = timing_ns(CLOCK_MONOTONIC) + SEARCH_NS;
	rc = find_used(search->used);
	for (search->allowed = IS_FREE; !rc && search->allowed < IS_USED; search->allowed++) {
		rc = take_block(search, ret_first);
		if (rc != -EADDRINUSE)
			break;
		rc = search->allowed == IS_WAITING ? rc : 0;
	}
	free(search);
	/* logind removes what a user has left in /dev/shm (logind.conf(5), RemoveIPC) */
	if (!rc && !fstat(fd, &st) && !st.st_nlink)
		rc = -ESTALE;
	return rc;
}

/* ---- records ---- */

int lease_publish(int fd, const struct lease *lease)
{
	struct holding record = {
		.version = VERSION,
		.uid = getuid(),
		.pid = (int32_t)lease->pid,
		.first = lease->first,
		.last = lease->last,
		.since = timing_ns(CLOCK_REALTIME),
	};
	long n;

	snprintf(record.application, sizeof(record.application), "%s", lease->application);
	snprintf(record.command, sizeof(record.command), "%s", lease->command);
	snprintf(record.map, sizeof(record.map), "%s", lease->map);
	if (lseek(fd, record_offset(lease->first), SEEK_SET) < 0)
		return -errno;
	/* a RLIMIT_FSIZE would kill us, and the record of a high port is some megabytes further on */
	n = fd_write(fd, &record, sizeof(record));
	if (n < 0)
		return (int)n;
	return n == sizeof(record) ? 0 : -ENOSPC;
}

/* Copies what any user may have written, so that it can be shown. */
static void copy_text(const char *from, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%.*s", (int)size - 1, from);
	text_make_safe(ret_text);
}

/* Without a record that fits the lock, the rest is not known. */
static void read_record(int fd, struct lease *lease)
{
	struct holding record;

	if (pread(fd, &record, sizeof(record), record_offset(lease->first)) != sizeof(record) ||
	    record.version != VERSION || record.first != lease->first ||
	    record.last != lease->last || record.pid <= 0)
		return;
	lease->known = true;
	lease->pid = record.pid;
	lease->uid = record.uid;
	lease->since = record.since;
	copy_text(record.application, lease->application, sizeof(lease->application));
	copy_text(record.command, lease->command, sizeof(lease->command));
	copy_text(record.map, lease->map, sizeof(lease->map));
}

static int compare_leases(const void *a, const void *b)
{
	const struct lease *one = a, *other = b;

	return one->first - other->first;
}

static int add_lease(int fd, uint32_t first, uint32_t last, struct lease **list, size_t *count)
{
	struct lease *lease = array_add(list, count, sizeof(*lease));

	if (!lease)
		return -ENOMEM;
	lease->first = (uint16_t)first;
	lease->last = (uint16_t)last;
	read_record(fd, lease);
	return 0;
}

/*
 * Where there are several locks, the kernel tells one of them, which need not be
 * the first; what lies before it and behind it is still to be asked for.
 */
static int list_locks(int fd, struct span *todo, struct lease **list, size_t *count)
{
	size_t pending = 0;
	const int64_t end = timing_ns(CLOCK_MONOTONIC) + SEARCH_NS;
	struct flock lock;
	int rc = 0;

	todo[pending++] = (struct span){ 1, PORTS - 1 };
	while (!rc && pending) {
		const struct span span = todo[--pending];
		uint32_t first, last;

		rc = find_lock(fd, span.first, span.last, &lock);
		if (rc <= 0)
			continue;
		first = lock.l_start < span.first ? span.first : (uint32_t)lock.l_start;
		last = lock_end(&lock) > span.last ? span.last : lock_end(&lock);
		if (first > span.first)
			todo[pending++] = (struct span){ span.first, (uint16_t)(first - 1) };
		if (last < span.last)
			todo[pending++] = (struct span){ (uint16_t)(last + 1), span.last };
		rc = add_lease(fd, first, last, list, count);
		if (!rc && pending && timing_ns(CLOCK_MONOTONIC) >= end)
			return 1;
	}
	return rc;
}

int lease_list(int fd, struct lease **ret_lease, size_t *ret_count)
{
	struct span *todo = malloc(PORTS * sizeof(*todo));
	struct lease *list = NULL;
	size_t count = 0;
	int rc = todo ? list_locks(fd, todo, &list, &count) : -ENOMEM;

	free(todo);
	if (rc < 0) {
		free(list);
		return rc;
	}
	array_sort(list, count, sizeof(*list), compare_leases);
	*ret_lease = list;
	*ret_count = count;
	return rc;
}

/* ---- text ---- */

void lease_set_map(struct lease *lease, const struct portmap *map)
{
	char text[PORTMAP_TEXT];

	portmap_format(map, text, sizeof(text));
	while (strlen(text) >= sizeof(lease->map))
		*strrchr(text, ',') = '\0';
	strcpy(lease->map, text);
}

bool lease_map(const struct lease *lease, struct portmap *ret_map)
{
	struct portmap map;
	struct reason why;
	uint32_t i;

	if (portmap_parse(lease->map, &map, &why))
		return false;
	for (i = 0; i < map.count; i++)
		if (!map.entry[i].real)
			return false;
	*ret_map = map;
	return true;
}

void lease_command(char *const argv[], char ret_text[LEASE_COMMAND])
{
	size_t used = 0, i;

	*ret_text = '\0';
	for (i = 0; argv[i] && used < LEASE_COMMAND; i++)
		used += (size_t)snprintf(ret_text + used, LEASE_COMMAND - used, "%s%s",
					 i ? " " : "", argv[i]);
}

void lease_format_since(const struct lease *lease, char ret_text[LEASE_SINCE])
{
	time_t seconds = (time_t)(lease->since / 1000000000);
	struct tm tm;

	/* with a year of more than four digits, somebody has made it up */
	if (lease->since < 0 || !localtime_r(&seconds, &tm) ||
	    !strftime(ret_text, LEASE_SINCE, "%Y-%m-%d %H:%M:%S", &tm))
		strcpy(ret_text, "?");
}

void lease_format(const struct lease *lease, char ret_text[LEASE_TEXT])
{
	char user[PROCESSES_USER], since[LEASE_SINCE], pid[16] = "?";

	if (!lease->known) {
		snprintf(ret_text, LEASE_TEXT, "%d-%d, holder unknown", lease->first, lease->last);
		return;
	}
	processes_format_user(lease->uid, user);
	lease_format_since(lease, since);
	if (lease->pid)
		snprintf(pid, sizeof(pid), "%d", (int)lease->pid);
	snprintf(ret_text, LEASE_TEXT, "%d-%d by '%s'%s%s (pid %s, %s, since %s)", lease->first,
		 lease->last, lease->command, *lease->heir ? ", now " : "", lease->heir, pid, user,
		 since);
}
