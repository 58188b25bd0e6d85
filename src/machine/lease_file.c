#include "lease_file.h"

#include "../core/fd.h"
#include "../core/ownership.h"
#include "../core/state.h"
#include "../core/text.h"
#include "../core/timing.h"

#include <errno.h>
#include <limits.h>
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

#define VERSION 4

/* What a holder writes. Fixed widths: programs of 32 and of 64 bits share the file. */
struct holding {
	uint16_t version;
	uint16_t detached;
	uint32_t uid;
	int32_t pid;
	uint16_t first;
	uint16_t last;
	int64_t since;
	int64_t boottime;
	char application[LEASE_APPLICATION];
	char command[LEASE_COMMAND];
	char map[PORTMAP_TEXT];
	char name[LEASE_NAME_MOST]; /* without a NUL if it is as long as it may be */
};

_Static_assert(sizeof(struct holding) == 1416, "it has no padding");

_Static_assert(LEASE_FILE_PORTS *(sizeof(struct holding) + 1) == LEASE_FILE_END,
	       "see lease_file.h");

static off_t record_offset(uint32_t index)
{
	return LEASE_FILE_PORTS + (off_t)index * (off_t)sizeof(struct holding);
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

int lease_file_open_shared(const char *path, bool write, struct reason *ret_why)
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
 * at all, and not where another user has taken the name in it, or where it is another user
 * namespace's.
 */
static int open_lease_folder(const char *state, const char *runtime, enum state_shm *ret_shm)
{
	return state_folder(state, access("/dev/shm", F_OK) ? runtime : NULL, ret_shm);
}

int lease_file_open_own(const struct settings *settings, const char *own_name, bool write,
			struct reason *ret_why)
{
	const int flags = (write ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
	char name[32], where[PATH_MAX], outside[PATH_MAX];
	const char *state = settings->state;
	enum state_shm shm = STATE_SHM_NONE;
	bool shared = state;
	int folder, fd;
	off_t bytes;

	if (state && above_fresh_state(state, outside, &shared))
		state = outside;
	folder = open_lease_folder(state, settings->runtime, &shm);
	if (folder < 0 && shm == STATE_SHM_FOREIGN)
		return reason_fail(
			write ? -EPERM : -ENOENT, ret_why,
			"no folder for leases can be made, as /dev/shm belongs to another user "
			"namespace; set 'state' or 'lease-file'");
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
		snprintf(name, sizeof(name), ".%s.%u", own_name, geteuid());
	else
		snprintf(name, sizeof(name), "%s", own_name);
	/* only the kernel can tell */
	if (ownership_path(folder, where))
		*where = '\0';
	fd = ownership_open_own(folder, name, flags, 0600);
	close(folder);
	if (fd < 0)
		return reason_fail(fd, ret_why, "the lease file '%.160s/%s' cannot be opened: %s",
				   where, name, strerror(-fd));
	if (ownership_is_private(fd, geteuid(), &bytes))
		return fd;
	close(fd);
	return reason_fail(
		-EPERM, ret_why,
		"the lease file '%.160s/%s' is not a file that only this user can use; remove it",
		where, name);
}

/* ---- locks ---- */

/* Bytes that are still to be asked about */
struct span {
	uint16_t first, last;
};

int lease_file_find_lock(int fd, off_t first, off_t last, struct flock *ret_lock)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = first,
		.l_len = last - first + 1,
	};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	*ret_lock = lock;
	return lock.l_type != F_UNLCK;
}

uint32_t lease_file_lock_end(const struct flock *lock)
{
	off_t end = lock->l_start + lock->l_len - 1;

	/* a length of 0 is all that there may ever be (fcntl(2)) */
	return !lock->l_len || end >= LEASE_FILE_PORTS ? LEASE_FILE_PORTS - 1 : (uint32_t)end;
}

int lease_file_lock(int fd, short type, off_t first, off_t count)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = first,
		.l_len = count,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* ---- records ---- */

int lease_file_write(int fd, uint32_t index, const struct lease *lease)
{
	struct holding record = {
		.version = VERSION,
		.detached = lease->detached,
		.uid = getuid(),
		.pid = (int32_t)lease->pid,
		.first = lease->first,
		.last = lease->last,
		.since = timing_ns(CLOCK_REALTIME),
		.boottime = timing_ns(CLOCK_BOOTTIME),
	};
	long n;

	snprintf(record.application, sizeof(record.application), "%s", lease->application);
	snprintf(record.command, sizeof(record.command), "%s", lease->command);
	snprintf(record.map, sizeof(record.map), "%s", lease->map);
	memcpy(record.name, lease->name, strnlen(lease->name, sizeof(record.name)));
	if (lseek(fd, record_offset(index), SEEK_SET) < 0)
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

bool lease_file_read(int fd, uint32_t index, struct lease *ret_lease)
{
	struct holding record;

	if (pread(fd, &record, sizeof(record), record_offset(index)) != sizeof(record) ||
	    record.version != VERSION || record.pid <= 0)
		return false;
	memset(ret_lease, 0, sizeof(*ret_lease));
	ret_lease->first = record.first;
	ret_lease->last = record.last;
	ret_lease->known = true;
	ret_lease->detached = record.detached;
	ret_lease->pid = record.pid;
	ret_lease->uid = record.uid;
	ret_lease->since = record.since;
	ret_lease->boottime = record.boottime;
	copy_text(record.application, ret_lease->application, sizeof(ret_lease->application));
	copy_text(record.command, ret_lease->command, sizeof(ret_lease->command));
	copy_text(record.map, ret_lease->map, sizeof(ret_lease->map));
	copy_text(record.name, ret_lease->name, sizeof(ret_lease->name));
	return true;
}

/* ---- all locks ---- */

/*
 * Where there are several locks, the kernel tells one of them, which need not be
 * the first; what lies before it and behind it is still to be asked for.
 */
static int walk_locks(int fd, struct span *todo, lease_file_found_fn *found, void *context)
{
	size_t pending = 0;
	const int64_t end = timing_ns(CLOCK_MONOTONIC) + LEASE_FILE_SEARCH_NS;
	struct flock lock;
	int rc = 0;

	todo[pending++] = (struct span){ 1, LEASE_FILE_PORTS - 1 };
	while (!rc && pending) {
		const struct span span = todo[--pending];
		uint32_t first, last;

		rc = lease_file_find_lock(fd, span.first, span.last, &lock);
		if (rc <= 0)
			continue;
		first = lock.l_start < span.first ? span.first : (uint32_t)lock.l_start;
		last = lease_file_lock_end(&lock) > span.last ? span.last
							      : lease_file_lock_end(&lock);
		if (first > span.first)
			todo[pending++] = (struct span){ span.first, (uint16_t)(first - 1) };
		if (last < span.last)
			todo[pending++] = (struct span){ (uint16_t)(last + 1), span.last };
		rc = found(context, first, last);
		if (!rc && pending && timing_ns(CLOCK_MONOTONIC) >= end)
			return 1;
	}
	return rc;
}

int lease_file_walk(int fd, lease_file_found_fn *found, void *context)
{
	struct span *todo = malloc(LEASE_FILE_PORTS * sizeof(*todo));
	int rc = todo ? walk_locks(fd, todo, found, context) : -ENOMEM;

	free(todo);
	return rc;
}
