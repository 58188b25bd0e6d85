/*
 * target: a file of any bytes, ELF or script, can be fenced, or there are words why not. A script may
 * name "again", itself, and /bin/sh; no other file is there.
 */
#include "../../src/machine/target.h"

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[32];

int __wrap_open64(const char *name, int flags, ...);
int __real_open64(const char *name, int flags, ...);

int __wrap_open64(const char *name, int flags, ...)
{
	if (!strcmp(name, "again"))
		name = path;
	if (!strcmp(name, path) || !strcmp(name, "/bin/sh") || !strcmp(name, "/proc/self/exe"))
		return __real_open64(name, flags);
	errno = ENOENT;
	return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct target target;
	static char *const argv[] = { "name", "-x", NULL };
	static int fd = -1;
	struct policy_process process;
	struct arena arena = { 0 };
	struct reason why = { "" };
	const char *libc;
	int rc;

	if (fd < 0) {
		fd = memfd_create("target", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	memset(&target, 0, sizeof(target));
	strcpy(target.path, path);
	/* the library is of the same machine as this program */
	rc = target_check(&target, "/proc/self/exe", &why);
	CLAIM(rc <= 0 && (rc == 0) == !*why.text);
	libc = target_libc(&target);
	CLAIM(!libc || *libc);
	CLAIM(target_describe(&target, argv, &arena, &process) == 0);
	CLAIM(strlen(process.args) >= strlen("-x"));
	arena_free(&arena);
	return 0;
}
