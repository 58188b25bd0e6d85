#include "trust.h"

#include "../core/fd.h"
#include "procfs.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHO 300

/* In a user namespace, whoever has no number there is shown as this one. */
static bool is_unmapped(uid_t uid)
{
	unsigned inside, outside, count;
	char text[64];

	if (fd_read_file("/proc/sys/kernel/overflowuid", text, sizeof(text)) <= 0 ||
	    strtoul(text, NULL, 10) != uid)
		return false;
	return procfs_read(PROCFS_SELF, "uid_map", text, sizeof(text)) > 0 &&
	       sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && count != UINT_MAX;
}

/* The command's caller, where sudo has made root of him; else this user again. */
static uid_t caller(void)
{
	const char *text = geteuid() ? NULL : getenv("SUDO_UID");

	return text ? (uid_t)strtoul(text, NULL, 10) : geteuid();
}

static bool is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == caller() || is_unmapped(uid);
}

/* A group of the user's name is his own (useradd(8)), unless others were added to it. */
static bool is_private(gid_t gid)
{
	const struct passwd *user = getpwuid(caller());
	const struct group *group = getgrgid(gid);
	char **member;

	if (!user || !group || strcmp(user->pw_name, group->gr_name) != 0)
		return false;
	for (member = group->gr_mem; *member; member++)
		if (strcmp(*member, user->pw_name) != 0)
			return false;
	return true;
}

/* @name: NULL if it has none */
static void say_who(const char *kind, const char *name, unsigned id, char ret_who[WHO])
{
	if (name)
		snprintf(ret_who, WHO, "%s '%s'", kind, name);
	else
		snprintf(ret_who, WHO, "%s %u", kind, id);
}

/* Return: false if nobody else has a right there */
static bool is_open(const char *path, char ret_who[WHO])
{
	const struct passwd *user;
	const struct group *group;
	struct stat st;

	if (stat(path, &st))
		return false;
	if (!is_trusted(st.st_uid)) {
		user = getpwuid(st.st_uid);
		say_who("user", user ? user->pw_name : NULL, st.st_uid, ret_who);
		return true;
	}
	if (S_ISDIR(st.st_mode) && st.st_mode & S_ISVTX)
		return false;
	if (st.st_mode & S_IWOTH) {
		strcpy(ret_who, "everybody");
		return true;
	}
	if (st.st_mode & S_IWGRP && st.st_gid != 0 && !is_private(st.st_gid)) {
		group = getgrgid(st.st_gid);
		say_who("group", group ? group->gr_name : NULL, st.st_gid, ret_who);
		return true;
	}
	return false;
}

/* Each folder from the root on, and the file. @path is resolved. */
static bool walk(char *path, char ret_who[WHO], char ret_where[PATH_MAX])
{
	char *slash = path, was;
	bool open;

	do {
		slash = strchrnul(slash + 1, '/');
		was = *slash;
		*slash = '\0';
		open = is_open(path, ret_who);
		strcpy(ret_where, path);
		*slash = was;
	} while (!open && was);
	return open;
}

bool trust_doubt(const char *what, const char *path, char *ret_text, size_t size)
{
	static char resolved[PATH_MAX], folder[PATH_MAX],
		where[PATH_MAX]; /* the stack may be small (setrlimit(2)) */
	char who[WHO];
	char *slash;
	bool open;

	if (!realpath(path, resolved))
		return false;
	open = walk(resolved, who, where);
	/* the last part may be a link, and its folder another one; but not where no part is a link */
	if (!open && strcmp(path, resolved) != 0 &&
	    snprintf(folder, sizeof(folder), "%s", path) < (int)sizeof(folder)) {
		slash = strrchr(folder, '/');
		if (slash)
			slash[slash == folder] = '\0';
		open = realpath(slash ? folder : ".", resolved) && walk(resolved, who, where);
	}
	if (open)
		snprintf(ret_text, size,
			 "%s could replace %s '%s', as '%s' is open to them; keep it where only "
			 "root and you may write",
			 who, what, path, where);
	return open;
}
