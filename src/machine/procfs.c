#include "procfs.h"

#include "../core/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_LONGEST 64 /* of those below /proc/ID that are asked for */

static long as_gone(long rc)
{
	return rc == -ENOENT ? -ESRCH : rc;
}

static void format_path(pid_t id, const char *name, char ret_path[PATH_LONGEST])
{
	if (id == PROCFS_SELF)
		snprintf(ret_path, PATH_LONGEST, "/proc/self/%s", name);
	else
		snprintf(ret_path, PATH_LONGEST, "/proc/%d/%s", (int)id, name);
}

int procfs_open(pid_t id, const char *name, int flags)
{
	char path[PATH_LONGEST];

	format_path(id, name, path);
	return (int)as_gone(fd_open(path, flags, 0));
}

long procfs_read(pid_t id, const char *name, char *ret_text, size_t size)
{
	int fd = procfs_open(id, name, O_RDONLY);
	long n;

	if (fd < 0)
		return fd;
	n = fd_read_all(fd, ret_text, size - 1);
	fd_close(fd);
	ret_text[n < 0 ? 0 : n] = '\0';
	return as_gone(n);
}

long procfs_memory(pid_t id, uint64_t address, void *ret_data, size_t size)
{
	int fd = procfs_open(id, "mem", O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, ret_data, size, (off_t)address);
	n = n < 0 ? as_gone(-errno) : n;
	fd_close(fd);
	return n;
}

int procfs_lines(pid_t id, const char *name, bool (*line)(char *text, void *context), void *context)
{
	int fd = procfs_open(id, name, O_RDONLY), rc;
	char *text = NULL;
	size_t size = 0, lines = 0;
	ssize_t n;
	FILE *file;

	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		fd_close(fd);
		return -ENOMEM;
	}
	errno = 0;
	while ((n = getline(&text, &size, file)) > 0) {
		lines++;
		if (text[n - 1] == '\n')
			text[n - 1] = '\0';
		if (!line(text, context))
			break;
	}
	rc = n < 0 ? (int)as_gone(-errno) : 0;
	free(text);
	fclose(file);
	return rc || lines ? rc : -ESRCH;
}

/* ---- status and stat ---- */

/* Reads the number behind a line's name. Return: false if it is the line of another name */
static bool read_field(const char *line, const char *name, int base, uint64_t *ret_value)
{
	const size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || line[len] != ':')
		return false;
	*ret_value = strtoull(line + len + 1, NULL, base);
	return true;
}

/* Reads the ids of a line: real, effective, saved, for access to files. Return: false if it is the line of another name */
static bool read_ids(const char *line, const char *name, struct procfs_status *status,
		     unsigned ret_id[4])
{
	if (strncmp(line, name, strlen(name)) != 0 ||
	    sscanf(line + strlen(name), ": %u %u %u %u", &ret_id[0], &ret_id[1], &ret_id[2],
		   &ret_id[3]) != 4)
		return false;
	status->mixed |= ret_id[0] != ret_id[1] || ret_id[1] != ret_id[2] || ret_id[2] != ret_id[3];
	return true;
}

static bool read_status_line(char *line, void *context)
{
	struct procfs_status *status = context;
	uint64_t value;
	unsigned id[4];

	if (!strncmp(line, "Name:\t", 6))
		snprintf(status->name, sizeof(status->name), "%.*s", PROCFS_NAME - 1, line + 6);
	else if (read_field(line, "Tgid", 10, &value))
		status->process = (pid_t)value;
	else if (read_field(line, "PPid", 10, &value))
		status->parent = (pid_t)value;
	else if (read_field(line, "Threads", 10, &value))
		status->threads = (unsigned)value;
	else if (read_ids(line, "Uid", status, id)) {
		status->uid = id[1];
		status->file_uid = id[3];
	} else if (read_ids(line, "Gid", status, id))
		status->file_gid = id[3];
	else if (read_field(line, "NoNewPrivs", 10, &value))
		status->no_new_privs = value;
	else if (read_field(line, "Seccomp", 10, &value))
		status->seccomp = (int)value;
	else if (read_field(line, "VmSize", 10, &value))
		status->has_memory = true;
	else if (!read_field(line, "SigPnd", 16, &status->pending) &&
		 !read_field(line, "ShdPnd", 16, &status->shared_pending) &&
		 !read_field(line, "SigBlk", 16, &status->blocked) &&
		 !read_field(line, "CapPrm", 16, &status->permitted))
		read_field(line, "CapEff", 16, &status->capabilities);
	return true;
}

int procfs_status(pid_t id, struct procfs_status *ret_status)
{
	struct procfs_status status = { .process = 0 };
	int rc = procfs_lines(id, "status", read_status_line, &status);

	if (!rc)
		*ret_status = status;
	return rc;
}

int procfs_stat(pid_t id, struct procfs_stat *ret_stat)
{
	char text[1024];
	const char *rest;
	unsigned long long ticks, memory, rss_limit;
	char state;
	long n = procfs_read(id, "stat", text, sizeof(text));

	if (n <= 0)
		return n ? (int)n : -ESRCH;
	/* the name before it may hold blanks and brackets */
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1,
			    " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %llu %llu %*s %llu",
			    &state, &ticks, &memory, &rss_limit) != 4)
		return -EBADMSG;
	ret_stat->state = state;
	ret_stat->started = ticks;
	ret_stat->rss_limit = rss_limit;
	ret_stat->has_memory = memory;
	return 0;
}

/* ---- links ---- */

int procfs_link(pid_t id, const char *name, char *ret_text, size_t size)
{
	char path[PATH_LONGEST];
	char text[4096];
	ssize_t n;

	format_path(id, name, path);
	n = readlink(path, text, sizeof(text));
	if (n < 0)
		return (int)as_gone(-errno);
	if ((size_t)n >= size || (size_t)n == sizeof(text))
		return -ENAMETOOLONG;
	memcpy(ret_text, text, (size_t)n);
	ret_text[n] = '\0';
	return 0;
}

bool procfs_same_link(pid_t id, const char *name, pid_t other_id, const char *other_name)
{
	char one[64], other[64];

	return !procfs_link(id, name, one, sizeof(one)) &&
	       !procfs_link(other_id, other_name, other, sizeof(other)) && !strcmp(one, other);
}

uint64_t procfs_number(pid_t id, const char *name)
{
	char path[PATH_LONGEST];
	struct stat st;

	format_path(id, name, path);
	return stat(path, &st) ? 0 : st.st_ino;
}

bool procfs_is_ours(void)
{
	char text[32] = "";

	return readlink("/proc/self", text, sizeof(text) - 1) > 0 &&
	       strtol(text, NULL, 10) == getpid();
}

/* Return: the number in "socket:[NUMBER]", 0 if that is not the text */
static uint32_t read_socket(const char *text)
{
	static const char prefix[] = "socket:[";
	const char *number = text + sizeof(prefix) - 1;
	unsigned long inode;
	char *rest;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || *number < '1' || *number > '9')
		return 0;
	inode = strtoul(number, &rest, 10);
	return strcmp(rest, "]") ? 0 : (uint32_t)inode;
}

int procfs_socket(pid_t id, int fd, uint32_t *ret_inode)
{
	char name[32], text[4096];
	int rc;

	snprintf(name, sizeof(name), "fd/%d", fd);
	rc = procfs_link(id, name, text, sizeof(text));
	if (rc)
		return rc == -ENAMETOOLONG ? -ENOTSOCK : rc;
	*ret_inode = read_socket(text);
	return *ret_inode ? 0 : -ENOTSOCK;
}

int procfs_protocol(pid_t id, int fd, char *ret_name, size_t size)
{
	char name[32], path[PATH_LONGEST];
	ssize_t n;

	snprintf(name, sizeof(name), "fd/%d", fd);
	format_path(id, name, path);
	n = getxattr(path, "system.sockprotoname", ret_name, size - 1);
	if (n < 0)
		return (int)as_gone(-errno);
	ret_name[n] = '\0';
	return 0;
}

static int find_sockets(pid_t id, bool *ret_any, int (*found)(uint32_t inode, void *context),
			void *context)
{
	int fd = procfs_open(id, "fd", O_RDONLY | O_DIRECTORY), rc = 0;
	const struct dirent *item;
	char text[64];
	DIR *folder;

	if (fd < 0)
		return fd;
	folder = fdopendir(fd);
	if (!folder) {
		/* it asks for the status, which tells how many there are: ENOENT of who has ended */
		rc = (int)as_gone(-errno);
		fd_close(fd);
		return rc;
	}
	while (!rc && (item = readdir(folder))) {
		ssize_t n = readlinkat(fd, item->d_name, text, sizeof(text) - 1);
		uint32_t inode;

		*ret_any |= *item->d_name != '.';
		text[n > 0 ? n : 0] = '\0';
		inode = read_socket(text);
		if (inode)
			rc = found(inode, context);
	}
	closedir(folder);
	return rc;
}

/* Of a process whose first thread has ended, its other threads have the descriptors. Return: as procfs_sockets() */
static int find_threads_sockets(pid_t id, int (*found)(uint32_t inode, void *context),
				void *context)
{
	int fd = procfs_open(id, "task", O_RDONLY | O_DIRECTORY), rc = 0;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;
	bool any = false;

	while (folder && !any && !rc && (item = readdir(folder))) {
		pid_t thread = (pid_t)strtol(item->d_name, NULL, 10);

		if (thread > 0 && thread != id)
			rc = find_sockets(thread, &any, found, context);
		rc = rc == -ESRCH ? 0 : rc;
	}
	if (folder)
		closedir(folder);
	else if (fd >= 0)
		fd_close(fd);
	return rc || any ? rc : -ESRCH;
}

int procfs_sockets(pid_t id, int (*found)(uint32_t inode, void *context), void *context)
{
	bool any = false;
	int rc = find_sockets(id, &any, found, context), of_threads;

	/* without memory, it is root's (fs/proc/base.c, task_dump_owner) */
	if ((rc && rc != -EACCES && rc != -ESRCH) || any)
		return rc;
	of_threads = find_threads_sockets(id, found, context);
	return of_threads == -ESRCH ? rc : of_threads;
}

static int each_in(const char *path, int (*each)(pid_t id, void *context), void *context)
{
	DIR *folder = opendir(path);
	const struct dirent *item;
	int rc = folder ? 0 : (int)as_gone(-errno);

	while (folder && !rc && (item = readdir(folder))) {
		pid_t id = (pid_t)strtol(item->d_name, NULL, 10);

		if (id > 0 && id != getpid())
			rc = each(id, context);
	}
	if (folder)
		closedir(folder);
	return rc;
}

int procfs_each(int (*each)(pid_t id, void *context), void *context)
{
	return each_in("/proc", each, context);
}

int procfs_each_thread(pid_t id, int (*each)(pid_t id, void *context), void *context)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)id);
	return each_in(path, each, context);
}
