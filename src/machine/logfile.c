#include "logfile.h"

#include "../core/log_destination.h"
#include "../core/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Will the library open this file? Where others can change the path, it follows no
 * link and writes to nobody else's file: see core/ownership.
 *
 * Return: 0, or an errno; EPERM if another user may have put the file there
 */
static int check_planted(const char *path)
{
	bool safe;
	/* opens no device */
	int fd = ownership_open(path, O_PATH, 0, &safe);

	if (fd < 0)
		return fd == -ENOENT ? 0 : -fd;
	close(fd);
	return 0;
}

/* Return: 0, or what open() for writing would fail with */
static int check_access(const char *path)
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

bool logfile_writable(const char *log, struct reason *ret_why)
{
	const struct log_destination destination = log_destination_of(log);
	int error;

	if (destination.to == LOG_TO_JOURNAL && access(destination.path, W_OK))
		return reason_fail(false, ret_why, "there is no journal to write to, '%s': %s",
				   destination.path, strerror(errno));
	if (destination.to != LOG_TO_FILE || *destination.path != '/')
		return true;
	error = check_planted(destination.path);
	if (!error)
		error = check_access(destination.path);
	return !error ||
	       reason_fail(false, ret_why, "the log " REASON_QUOTED " cannot be written to: %s",
			   destination.path,
			   error == EPERM ? "another user may have put it there" : strerror(error));
}
