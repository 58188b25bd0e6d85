#include "logfile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Return: 0, or what open() for writing would fail with */
static int check(const char *path)
{
	char folder[PATH_MAX];
	struct stat st;
	char *slash;

	if (!stat(path, &st)) {
		if (S_ISDIR(st.st_mode))
			return EISDIR;
		return access(path, W_OK) ? errno : 0;
	}
	if (errno != ENOENT)
		return errno;
	/* it would be made */
	if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder))
		return ENAMETOOLONG;
	slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	return access(folder, W_OK | X_OK) ? errno : 0;
}

bool logfile_writable(const char *log, char *ret_why, size_t size)
{
	int error;

	if (log && !strncmp(log, "json:", 5))
		log += 5;
	if (!log || *log != '/')
		return true;
	error = check(log);
	if (!error)
		return true;
	snprintf(ret_why, size, "the log '%s' cannot be written to: %s", log, strerror(error));
	return false;
}
