#include "ownership.h"

#include "arena.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINKS_MOST 40 /* MAXSYMLINKS of include/linux/namei.h */
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define OVERFLOW_UID 65534 /* what has no number in this user namespace: user_namespaces(7) */

enum kind { SAFE, STICKY, FOREIGN };

/* Where we are on a path. It is too large for the stack of a program's thread. */
struct walk {
	int folder;       /* that was come to */
	struct stat stat; /* of the folder */
	enum kind kind;   /* of the folder */
	uid_t root;       /* owner of "/": in a user namespace, root may have no number there */
	uid_t user;       /* effective */
	gid_t group;      /* effective */
	unsigned links;   /* that were followed */
	char name[NAME_MAX + 1]; /* the next part */
	bool last;               /* it is the last part */
	char rest[PATH_MAX];     /* what follows it */
	char target[PATH_MAX];   /* of a link */
};

/*
 * Gives the owner the rights of @mode that the file lacks. A umask took them when the file was made, and whoever
 * starts a setuid program chooses its umask. What a umask takes from others stays taken.
 *
 * Return: has the owner the rights now?
 */
static bool restore_owner_rights(int fd, mode_t mode)
{
	const mode_t rights = mode & S_IRWXU;
	struct stat st;

	/* another name of the file may stand where portfence has no say */
	if (fd_stat(fd, &st) || st.st_uid != geteuid() ||
	    !(S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink == 1)))
		return false;
	return (st.st_mode & rights) == rights || !fd_chmod(fd, (st.st_mode & 07777) | rights);
}

/* The same for what cannot be opened yet. @flags: O_DIRECTORY for nothing but a folder */
static bool restore_by_name(int folder, const char *name, int flags, mode_t mode)
{
	int fd = fd_openat(folder, name, O_PATH | O_NOFOLLOW | (flags & O_DIRECTORY), 0);
	bool restored;

	if (fd < 0)
		return false;
	restored = restore_owner_rights(fd, mode);
	fd_close(fd);
	return restored;
}

int ownership_make_file(int folder, const char *path, int flags, mode_t mode)
{
	int fd = flags & O_EXCL ? -ENOENT : fd_openat(folder, path, flags & ~O_CREAT, 0);

	if (fd != -ENOENT || !(flags & O_CREAT))
		return fd;
	fd = fd_openat(folder, path, flags, mode);
	if (fd >= 0)
		restore_owner_rights(fd, mode);
	return fd;
}

bool ownership_knows_user(int folder)
{
	struct stat st;

	if (fd_stat(folder, &st) || st.st_uid == 0 || !(st.st_mode & OTHERS_WRITE))
		return true;
	return st.st_uid == geteuid() && st.st_uid != OVERFLOW_UID;
}

int ownership_open_own(int folder, const char *name, int flags, mode_t mode)
{
	int fd = fd_openat(folder, name, flags & ~O_CREAT, 0);

	if (fd == -ENOENT && flags & O_CREAT)
		fd = ownership_knows_user(folder) ? ownership_make_file(folder, name, flags, mode)
						  : -EPERM;
	if (fd == -EACCES && restore_by_name(folder, name, flags, mode))
		fd = fd_openat(folder, name, flags & ~O_CREAT, 0);
	/* a folder that can be read may still lack the right to make files in it */
	if (fd >= 0 && flags & O_DIRECTORY)
		restore_owner_rights(fd, mode);
	return fd;
}

static bool is_trusted(const struct walk *walk, uid_t uid)
{
	return uid == 0 || uid == walk->root || uid == walk->user;
}

static enum kind judge_folder(const struct walk *walk)
{
	const struct stat *stat = &walk->stat;

	if (!is_trusted(walk, stat->st_uid))
		return FOREIGN;
	if (stat->st_mode & S_ISVTX && stat->st_mode & OTHERS_WRITE)
		return STICKY;
	/* with a umask of 002, a user's folders can be written by the user's own group */
	if (stat->st_mode & S_IWOTH ||
	    (stat->st_mode & S_IWGRP && stat->st_gid != 0 && stat->st_gid != walk->group))
		return FOREIGN;
	return SAFE;
}

/* Goes to a folder, whose descriptor is ours to close from then on. */
static int enter_folder(struct walk *walk, int fd)
{
	if (walk->folder >= 0)
		fd_close(walk->folder);
	walk->folder = fd;
	if (fd < 0)
		return fd;
	if (fd_stat(fd, &walk->stat))
		return -errno;
	walk->kind = judge_folder(walk);
	return 0;
}

/*
 * With its option -L, qemu-user leads "/" itself to another folder, but no path below it that is
 * not there. So the root folder is opened by its name in /proc, where that is mounted.
 */
static int enter_root(struct walk *walk)
{
	int fd = fd_open("/proc/self/root", O_PATH | O_DIRECTORY, 0), rc;

	rc = enter_folder(walk, fd >= 0 ? fd : fd_open("/", O_PATH | O_DIRECTORY, 0));
	if (rc)
		return rc;
	walk->root = walk->stat.st_uid;
	walk->kind = judge_folder(walk);
	return 0;
}

/* Takes the next part off the path: "." where there is none. */
static int next_name(struct walk *walk)
{
	const char *from = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(from, "/");

	if (len >= sizeof(walk->name))
		return -ENAMETOOLONG;
	memcpy(walk->name, len ? from : ".", len ? len : 1);
	walk->name[len ? len : 1] = '\0';
	from += len;
	from += strspn(from, "/");
	walk->last = !*from;
	memmove(walk->rest, from, strlen(from) + 1);
	return 0;
}

/* Puts the target of a link in front of the rest. */
static int follow_link(struct walk *walk, uid_t owner)
{
	size_t rest = strlen(walk->rest);
	ssize_t n;

	n = readlinkat(walk->folder, walk->name, walk->target, sizeof(walk->target));
	if (n < 0)
		return -errno;
	if (walk->kind != SAFE && (walk->kind != STICKY || walk->last || !is_trusted(walk, owner)))
		return -ELOOP;
	if (walk->links++ == LINKS_MOST)
		return -ELOOP;
	if ((size_t)n + 1 + rest >= sizeof(walk->rest))
		return -ENAMETOOLONG;
	memmove(walk->rest + n + 1, walk->rest, rest + 1);
	memcpy(walk->rest, walk->target, (size_t)n);
	walk->rest[n] = '/';
	return walk->target[0] == '/' ? enter_root(walk) : 0;
}

/* Goes through all folders but the last part of the path. Return: 0 or -errno */
static int go_to_last(struct walk *walk)
{
	struct stat stat;
	int rc = next_name(walk), fd;

	while (!rc && !walk->last) {
		fd = fd_openat(walk->folder, walk->name, O_PATH | O_NOFOLLOW, 0);
		if (fd < 0)
			return fd;
		if (fd_stat(fd, &stat)) {
			rc = -errno;
			fd_close(fd);
		} else if (S_ISLNK(stat.st_mode)) {
			fd_close(fd);
			rc = follow_link(walk, stat.st_uid);
		} else {
			rc = enter_folder(walk, fd);
			rc = rc || S_ISDIR(stat.st_mode) ? rc : -ENOTDIR;
		}
		rc = rc ? rc : next_name(walk);
	}
	return rc;
}

static struct walk *begin_walk(struct arena *arena, const char *path, int *ret_rc)
{
	struct walk *walk = arena_alloc(arena, sizeof(*walk));

	*ret_rc = -ENOMEM;
	if (!walk)
		return NULL;
	walk->folder = -1;
	walk->user = geteuid();
	walk->group = getegid();
	*ret_rc = -ENAMETOOLONG;
	if (strlen(path) >= sizeof(walk->rest))
		return walk;
	strcpy(walk->rest, path);
	*ret_rc = enter_root(walk);
	return walk;
}

static void end_walk(struct arena *arena, struct walk *walk)
{
	if (walk && walk->folder >= 0)
		fd_close(walk->folder);
	arena_free(arena);
}

/* The links of procfs lead to open files, whatever their text says. */
static bool is_in_procfs(int folder)
{
	struct statfs system;

	return !fstatfs(folder, &system) && system.f_type == PROC_SUPER_MAGIC;
}

/* Opens the last part. Return: descriptor; -EAGAIN for a link that was put in front of the rest; -errno */
static int open_last(struct walk *walk, int flags, mode_t mode)
{
	int fd = ownership_make_file(walk->folder, walk->name, flags | O_NOFOLLOW, mode);
	struct stat stat;
	int rc;

	if (fd < 0 && fd != -ELOOP && fd != -ENOTDIR)
		return fd;
	if (fd >= 0 && fd_stat(fd, &stat)) {
		rc = -errno;
		fd_close(fd);
		return rc;
	}
	/* with O_PATH, a link itself was opened; with O_DIRECTORY, the error is ENOTDIR */
	if (fd >= 0 && !S_ISLNK(stat.st_mode)) {
		if (walk->kind == SAFE ||
		    ((stat.st_uid == walk->user || stat.st_uid == walk->stat.st_uid) &&
		     (stat.st_nlink == 1 || S_ISDIR(stat.st_mode))))
			return fd;
		fd_close(fd);
		return -EPERM;
	}
	if (fd >= 0)
		fd_close(fd);
	if (flags & O_NOFOLLOW)
		return fd == -ENOTDIR ? fd : -ELOOP;
	if (walk->kind == SAFE && is_in_procfs(walk->folder))
		return fd_openat(walk->folder, walk->name, flags, mode);
	rc = follow_link(walk, 0);
	if (rc == -EINVAL)
		return -ENOTDIR;
	return rc ? rc : -EAGAIN;
}

int ownership_open(const char *path, int flags, mode_t mode, bool *ret_safe)
{
	struct arena arena = { .used = 0 };
	int fd = -EAGAIN, rc;
	struct walk *walk = begin_walk(&arena, path, &rc);

	while (!rc && fd == -EAGAIN) {
		rc = go_to_last(walk);
		if (!rc)
			fd = open_last(walk, flags, mode);
	}
	if (!rc)
		*ret_safe = walk->kind == SAFE;
	end_walk(&arena, walk);
	return rc ? rc : fd;
}

int ownership_open_folder(const char *path)
{
	struct arena arena = { .used = 0 };
	int fd = -EAGAIN, rc;
	struct walk *walk = begin_walk(&arena, path, &rc);

	while (!rc && fd == -EAGAIN) {
		rc = go_to_last(walk);
		if (!rc)
			fd = open_last(walk, O_RDONLY | O_DIRECTORY, 0);
		/* only then: mkdir(2) waits for whoever reads the folder above, even if this one exists */
		if (fd != -ENOENT)
			continue;
		if (!mkdirat(walk->folder, walk->name, 0700))
			restore_by_name(walk->folder, walk->name, O_DIRECTORY, 0700);
		else if (errno != EEXIST)
			rc = -errno;
		if (!rc)
			fd = open_last(walk, O_RDONLY | O_DIRECTORY, 0);
	}
	/* only with the sticky bit do others have to leave our files alone */
	if (!rc && fd >= 0 &&
	    (fd_stat(fd, &walk->stat) || judge_folder(walk) == FOREIGN ||
	     (walk->stat.st_mode & OTHERS_WRITE && !(walk->stat.st_mode & S_ISVTX)))) {
		fd_close(fd);
		fd = -EPERM;
	}
	end_walk(&arena, walk);
	return rc ? rc : fd;
}

bool ownership_is_private(int fd, uid_t user, off_t *ret_size)
{
	struct stat st;

	if (fd_stat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != user ||
	    st.st_mode & (S_IRWXG | S_IRWXO))
		return false;
	*ret_size = st.st_size;
	return true;
}

int ownership_path(int fd, char ret_path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret_path, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	ret_path[n] = '\0';
	return 0;
}
