#include "ownership.h"

#include "fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool ownership_folder(const char *path, struct ownership_folder *ret_folder)
{
	size_t len = (size_t)(strrchr(path, '/') - path);
	char folder[PATH_MAX];
	struct stat st;

	if (len + 2 > sizeof(folder))
		return false;
	/* keep the slash, so that the folder of "/log" is "/" */
	*(char *)mempcpy(folder, path, len + 1) = '\0';
	if (fd_stat_path(folder, 0, &st))
		return false;
	ret_folder->shared = st.st_mode & S_ISVTX && st.st_mode & (S_IWGRP | S_IWOTH);
	ret_folder->owner = st.st_uid;
	return true;
}

bool ownership_is_planted(int fd, const struct ownership_folder *folder)
{
	struct stat st;

	if (!folder->shared)
		return false;
	return fd_stat(fd, &st) || (st.st_uid != geteuid() && st.st_uid != folder->owner) ||
	       st.st_nlink != 1;
}

bool ownership_is_private(int fd, off_t *ret_size)
{
	struct stat st;

	if (fd_stat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
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
