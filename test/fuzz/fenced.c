/*
 * fenced: what another process has under /proc, its maps, command line, environment and auxiliary
 * vector, may be of any bytes: it is fenced, or not, or nobody can say. Input: these, each ended by
 * "\n\n", the rest being the environment.
 */
#include "../../src/machine/fenced.h"

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const names[] = { "maps", "cmdline", "auxv", "stat", "environ" };

enum { FILES = sizeof(names) / sizeof(names[0]) };

static int files[FILES];

int __wrap_fd_open(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, ...);

/* procfs opens the files of a process by it */
int __wrap_fd_open(const char *path, int flags, mode_t mode)
{
	const char *name = strrchr(path, '/');
	char again[32];
	int i, fd;

	(void)flags;
	(void)mode;
	for (i = 0; !strncmp(path, "/proc/", 6) && i < FILES; i++) {
		if (strcmp(name + 1, names[i]))
			continue;
		snprintf(again, sizeof(again), "/proc/self/fd/%d", files[i]);
		fd = openat(AT_FDCWD, again, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

/* the environment may name any file as configuration */
int __wrap_open64(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	errno = ENOENT;
	return -1;
}

static void fill(int fd, const uint8_t *data, size_t size)
{
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *next;
	struct fenced_looks looks = { .otherwise = NULL };
	const struct fenced *fenced;
	int i;

	for (i = 0; i < FILES; i++) {
		if (!files[i])
			files[i] = memfd_create(names[i], MFD_CLOEXEC);
		next = i == FILES - 1 ? NULL : memmem(data, (size_t)(end - data), "\n\n", 2);
		fill(files[i], data, (size_t)((next ? next + 1 : end) - data));
		data = next ? next + 2 : end;
	}
	fenced = fenced_look(&looks, getpid());
	CLAIM((fenced->state == FENCED_RULE) == (fenced->rule != NULL));
	CLAIM((fenced->state == FENCED_UNKNOWN) == (fenced->why != NULL));
	for (i = 0; fenced->rule && i < PROTO_COUNT; i++)
		fuzz_check_range(fenced->rule->range[i]);
	/* the same process again is the same */
	CLAIM(fenced_look(&looks, getpid()) == fenced || fenced->state == FENCED_UNSEEN);
	fenced_since(getpid());
	fenced_forget(&looks);
	return 0;
}
