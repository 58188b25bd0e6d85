#include "run_fresh.h"

#include "../core/fd.h"
#include "../core/ownership.h"
#include "../core/state.h"
#include "../core/variables.h"
#include "../machine/lease.h"
#include "../supervisor/supervise.h"
#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Beside the state files stand the folders fresh-0, fresh-1 and so on, with the
 * user's number where users share the place. (The file of an application that is
 * called so has a dot in its name.) A run takes the first whose `lock`
 * nobody has locked, and empties it: what stands there is of a run that is over.
 * A folder is never removed, so two runs that look for one at once cannot take
 * it for two.
 */

#define SLOTS_MOST 1000

static int say_cannot(const char *folder, const char *what, int error)
{
	return say_failure("'--fresh' needs a state of its own, and %s in '%s': %s; name another "
			   "folder with PORTFENCE_STATE",
			   what, folder, strerror(error));
}

static int empty_folder(int folder, bool has_lock);

/* Each level has a descriptor open, so their limit bounds the depth. */
static int remove_entry(int folder, const char *name) /* NOLINT(misc-no-recursion) */
{
	int below, rc;

	if (!unlinkat(folder, name, 0))
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	below = fd_openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (below < 0)
		return below;
	rc = empty_folder(below, false);
	if (!rc && unlinkat(folder, name, AT_REMOVEDIR))
		rc = -errno;
	return rc;
}

/*
 * Removes all that is in a folder, but for a slot's lock. By descriptor, as the names on the
 * way to it may be somebody else's. Closes @folder. Return: 0 or -errno
 */
static int empty_folder(int folder, bool has_lock) /* NOLINT(misc-no-recursion) */
{
	DIR *list = fdopendir(folder);
	const struct dirent *entry;
	int rc = 0;

	if (!list) {
		rc = -errno;
		fd_close(folder);
		return rc;
	}
	while (!rc && (entry = readdir(list)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    (!has_lock || strcmp(entry->d_name, LEASE_FRESH_LOCK) != 0))
			rc = remove_entry(folder, entry->d_name);
	closedir(list);
	return rc;
}

static int empty_slot(int slot)
{
	int again = fd_openat(slot, ".", O_RDONLY | O_DIRECTORY, 0);

	return again < 0 ? again : empty_folder(again, true);
}

/* Return: the lock's descriptor; -EBUSY if another run has it, another -errno if it cannot be had */
static int lock_slot(int slot)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = ownership_open_own(slot, LEASE_FRESH_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return fd;
	if (!fcntl(fd, F_OFD_SETLK, &whole))
		return fd;
	rc = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	close(fd);
	return rc;
}

/*
 * Takes one slot, if it is free. In a place that users share, another one may
 * have put something there.
 *
 * Return: the lock's descriptor, -EBUSY if it is not free, another -errno
 */
static int take_slot(int folder, const char *name, int *ret_slot)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
	struct stat st;
	int slot, fd;

	slot = ownership_open_own(folder, name, flags, 0700);
	if (slot == -ENOENT && mkdirat(folder, name, 0700) && errno != EEXIST)
		return -errno;
	if (slot == -ENOENT)
		slot = ownership_open_own(folder, name, flags, 0700);
	if (slot < 0)
		return slot == -ENOTDIR || slot == -ELOOP || slot == -EACCES ? -EBUSY : slot;
	if (fstat(slot, &st) || st.st_uid != geteuid() || st.st_mode & (S_IRWXG | S_IRWXO))
		fd = -EBUSY;
	else
		fd = lock_slot(slot);
	if (fd < 0)
		close(slot);
	else
		*ret_slot = slot;
	return fd;
}

/* Return: the lock's descriptor, or -errno; -EBUSY if all slots are taken */
static int take_first_slot(int folder, bool shared, char *ret_name, size_t size, int *ret_slot)
{
	unsigned i;
	int fd = -EBUSY;

	for (i = 0; fd == -EBUSY && i < SLOTS_MOST; i++) {
		if (shared)
			snprintf(ret_name, size, "fresh-%u-%u", i, (unsigned)geteuid());
		else
			snprintf(ret_name, size, "fresh-%u", i);
		fd = take_slot(folder, ret_name, ret_slot);
	}
	return fd;
}

/* Return: 0, or say_status() after the problem was reported */
static int take_state(struct settings *settings, struct arena *arena)
{
	static char path[PATH_MAX], state[2 * PATH_MAX]; /* the stack may be small (setrlimit(2)) */
	char name[32];
	enum state_shm shm;
	int folder = state_folder(settings->state, settings->runtime, &shm), slot = -1, fd;
	bool knows;
	int rc = 0;

	if (folder < 0)
		return say_cannot(settings->state ? settings->state : "/dev/shm",
				  "no folder can be had", -folder);
	/* wherever that is, and by whatever links it was come to */
	rc = ownership_path(folder, path);
	if (rc)
		return say_cannot("/proc", "the folder cannot be found", -rc);
	knows = ownership_knows_user(folder);
	fd = knows ? take_first_slot(folder, settings->state != NULL, name, sizeof(name), &slot)
		   : -EPERM;
	close(folder);
	if (!knows)
		return say_failure(
			"'--fresh' needs a state of its own, and '%s' belongs to another user "
			"namespace; name another folder with PORTFENCE_STATE",
			path);
	if (fd == -EBUSY)
		return say_failure(
			"'--fresh' needs a state of its own, and %d other runs have theirs "
			"in '%s'; name another folder with PORTFENCE_STATE",
			SLOTS_MOST, path);
	if (fd < 0)
		return say_cannot(path, "no folder can be made or locked", -fd);
	snprintf(state, sizeof(state), "%s/%s", path, name);
	rc = empty_slot(slot);
	rc = rc ? rc : state_make(slot, settings->rule);
	close(slot);
	rc = rc ? rc : supervise_hold(fd);
	settings->state = rc ? NULL : arena_copy(arena, state, strlen(state));
	if (!settings->state || variables_set(VARIABLE_STATE, state))
		return say_cannot(path, "no file can be made", rc ? -rc : ENOMEM);
	return 0;
}

/* The same numbers for all that will read them, and for the supervisor. */
static int choose_rule(struct settings *settings, struct arena *arena)
{
	struct rule *rule = arena_alloc(arena, sizeof(*rule));
	int rc = 0;

	if (!rule)
		return say_failure("%s", strerror(ENOMEM));
	*rule = *settings->rule;
	if (rule->engine == ENGINE_KERNEL)
		return say_failure(
			"'--fresh' cannot repeat ports that the kernel chooses, and '%s' has 'engine = "
			"kernel'; use 'engine = auto'",
			rule->name);
	if (!rule->seeded) {
		rule->seeded = true;
		rule->seed = 0;
		rc = variables_set(VARIABLE_SEED, "0");
	}
	/* the order that `auto` stands for would tell peers of one block from those of another */
	if (rule->order == ORDER_AUTO) {
		rule->order = ORDER_RANDOM;
		rc = rc ? rc : variables_set(VARIABLE_ORDER, order_name(ORDER_RANDOM));
	}
	settings->rule = rule;
	return rc ? say_failure("%s", strerror(ENOMEM)) : 0;
}

int run_fresh_start(struct settings *settings, struct arena *arena)
{
	int rc = choose_rule(settings, arena);

	return rc ? rc : take_state(settings, arena);
}
