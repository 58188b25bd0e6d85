#include "gain.h"

#include "fd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

static const char *by_mode(const struct stat *st, uid_t uid, gid_t gid)
{
	if (!S_ISREG(st->st_mode))
		return NULL;
	if (st->st_mode & S_ISUID && st->st_uid != uid)
		return "it is setuid";
	/* without execution by the group, the bit means locking (inode(7)) */
	if (st->st_mode & S_ISGID && st->st_mode & S_IXGRP && st->st_gid != gid)
		return "it is setgid";
	return NULL;
}

const char *gain_of(const char *path, uid_t uid, gid_t gid)
{
	const char *gain;
	struct statvfs fs;
	struct stat st;

	if (fd_stat_path(path, 0, &st))
		return NULL;
	gain = by_mode(&st, uid, gid);
	/* for root, the kernel takes file capabilities for no gain (security/commoncap.c) */
	if (!gain && uid && S_ISREG(st.st_mode) &&
	    getxattr(path, "security.capability", NULL, 0) > 0)
		gain = "it has file capabilities";
	return gain && !statvfs(path, &fs) && fs.f_flag & ST_NOSUID ? NULL : gain;
}
