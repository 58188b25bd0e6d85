#include "conf_files.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENDING ".ini"

static int read_text(int fd, size_t largest, struct arena *arena, struct conf_file *ret_file)
{
	struct stat st;
	char *text;
	long n;

	if (fd_stat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > largest)
		return -EFBIG;
	ret_file->size = (size_t)st.st_size;
	text = arena_alloc(arena, ret_file->size + 1);
	if (!text)
		return -ENOMEM;
	n = fd_read_all(fd, text, ret_file->size);
	if (n < 0)
		return (int)n;
	ret_file->text = text;
	/* half of a configuration may lack the section that fits */
	return (size_t)n == ret_file->size ? 0 : -ENODATA;
}

static int add_file(const char *path, bool foreign, struct arena *arena, struct conf_files *files)
{
	const size_t largest = foreign ? CONF_FILES_FOREIGN_LARGEST : CONF_FILES_LARGEST;
	struct conf_file *file = &files->file[files->count];
	/* does not block: a FIFO must not stop every program at its start */
	int fd = foreign ? fd_open_regular(path)
			 : fd_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0),
	    rc;

	if (fd < 0)
		return fd;
	rc = read_text(fd, largest - files->size, arena, file);
	fd_close(fd);
	if (rc)
		return rc;
	file->path = path;
	files->count++;
	files->size += file->size;
	return 0;
}

/* Puts a path into its place. By hand, as qsort() may allocate. Return: 0, -E2BIG, -ENOMEM */
static int insert_path(const char *folder, const char *name, struct arena *arena,
		       const char *path[CONF_FILES_MAX], size_t *count)
{
	char *new = arena_alloc(arena, strlen(folder) + 1 + strlen(name) + 1);
	size_t i;

	if (!new)
		return -ENOMEM;
	if (*count == CONF_FILES_MAX)
		return -E2BIG;
	stpcpy(stpcpy(stpcpy(new, folder), "/"), name);
	for (i = *count; i && strcmp(path[i - 1], new) > 0; i--)
		path[i] = path[i - 1];
	path[i] = new;
	++*count;
	return 0;
}

/* Is it a file of ours? An editor's copy, such as ".x.ini.swp" or "x.ini~", is none. */
static bool is_named_so(const char *name)
{
	const size_t len = strlen(name);

	return *name != '.' && len > strlen(ENDING) && !strcmp(name + len - strlen(ENDING), ENDING);
}

/* By bare system calls, as opendir() allocates. Return: 0, -errno */
static int list_folder(int fd, const char *folder, struct arena *arena,
		       const char *path[CONF_FILES_MAX], size_t *ret_count)
{
	const size_t size = 4096;
	/* not for the stack of a thread that calls us before our constructor */
	char *buffer = arena_alloc(arena, size);
	long got = 0, at;
	int rc = buffer ? 0 : -ENOMEM;

	while (!rc && (got = syscall(SYS_getdents64, fd, buffer, size)) > 0) {
		/* the layout is that of getdents64(2), with files of 64 bits */
		for (at = 0; !rc && at < got;) {
			const struct dirent *entry = (const void *)(buffer + at);

			if (is_named_so(entry->d_name))
				rc = insert_path(folder, entry->d_name, arena, path, ret_count);
			at += entry->d_reclen;
		}
	}
	return got < 0 ? -errno : rc;
}

/* Reads each "*.ini" of a folder. Return: 0, also where there is no such folder; -errno */
static int add_folder(const char *folder, bool foreign, struct arena *arena,
		      struct conf_files *files, const char **ret_bad)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK), rc;
	const char **path = NULL;
	size_t count = 0, i;

	*ret_bad = folder;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	path = arena_alloc(arena, CONF_FILES_MAX * sizeof(*path));
	rc = path ? list_folder(fd, folder, arena, path, &count) : -ENOMEM;
	fd_close(fd);
	for (i = 0; !rc && i < count; i++) {
		*ret_bad = path[i];
		rc = add_file(path[i], foreign, arena, files);
	}
	return rc;
}

int conf_files_read(const char *path, bool foreign, struct arena *arena,
		    struct conf_files *ret_files, const char **ret_bad)
{
	char *folder = arena_alloc(arena, strlen(path) + sizeof(".d"));
	int first, rc;

	ret_files->count = 0;
	ret_files->size = 0;
	*ret_bad = path;
	if (!folder)
		return -ENOMEM;
	first = add_file(path, foreign, arena, ret_files);
	if (first && first != -ENOENT && first != -ENOTDIR && first != -EISDIR)
		return first;
	stpcpy(stpcpy(folder, path), first == -EISDIR ? "" : ".d");
	rc = add_folder(folder, foreign, arena, ret_files, ret_bad);
	if (!rc && !ret_files->count) {
		*ret_bad = path;
		rc = first == -ENOTDIR ? -ENOENT : first;
	}
	return rc;
}
