#include "refusals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHM "/dev/shm"
#define OWN_FOLDER "portfence-"

/* More than any program is ever refused. A file may hold anything, and sums stay below 2^63. */
#define COUNT_MOST (1ULL << 48)

/*
 * Opens what another user may have put there: neither a link, nor a file system of that user's
 * (FUSE), which could let us wait. Before Linux 5.6, or where a sandbox of before refuses openat2(2), such a file
 * system cannot be told.
 */
static int open_in(int folder, const char *name, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)(flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));

	return fd < 0 && (errno == ENOSYS || errno == EPERM) ? openat(folder, name, (int)how.flags)
							     : fd;
}

/* Is it a state file, of the user whose number its name ends with? */
static bool is_state_file(int fd, const char *name)
{
	struct {
		uint64_t magic;
		uint32_t version;
	} head;
	const char *user = strrchr(name, '.');
	struct stat st;

	return user && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       st.st_size == sizeof(struct state_file) &&
	       strtoul(user + 1, NULL, 10) == st.st_uid &&
	       pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       head.magic == STATE_MAGIC && head.version == STATE_VERSION;
}

static void add_file(int folder, const char *name, struct refusals *sum)
{
	struct refusals one;
	int fd = open_in(folder, name, 0), proto, i;

	if (fd < 0)
		return;
	if (is_state_file(fd, name) &&
	    pread(fd, &one, sizeof(one), offsetof(struct state_file, refused)) ==
		    (ssize_t)sizeof(one))
		for (proto = 0; proto < PROTO_COUNT; proto++)
			for (i = 0; i < STATE_REFUSALS; i++)
				if (one.count[proto][i] < COUNT_MOST)
					sum->count[proto][i] += one.count[proto][i];
	close(fd);
}

/* Calls @each with each name in a folder. Closes @fd, which may be an error */
static void for_each_name(int fd, void (*each)(int folder, const char *name, void *context),
			  void *context)
{
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(folder)))
		each(dirfd(folder), entry->d_name, context);
	closedir(folder);
}

struct search {
	const char *application;
	struct refusals *sum;
};

static void look_at_file(int folder, const char *name, void *context)
{
	const struct search *search = context;
	char application[NAME_MAX + 1] = "";

	state_application(name, application);
	if (!strcmp(application, search->application))
		add_file(folder, name, search->sum);
}

static void look_at_user(int folder, const char *name, void *context)
{
	if (!strncmp(name, OWN_FOLDER, strlen(OWN_FOLDER)))
		for_each_name(open_in(folder, name, O_DIRECTORY), look_at_file, context);
}

void refusals_read(const char *folder, const char *runtime, const char *application,
		   struct refusals *ret_refusals)
{
	struct search search = { application, ret_refusals };
	char own[PATH_MAX];

	memset(ret_refusals, 0, sizeof(*ret_refusals));
	if (folder) {
		for_each_name(open(folder, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC),
			      look_at_file, &search);
		return;
	}
	for_each_name(open(SHM, O_RDONLY | O_DIRECTORY | O_CLOEXEC), look_at_user, &search);
	if (runtime && *runtime == '/' &&
	    snprintf(own, sizeof(own), "%s/portfence", runtime) < (int)sizeof(own))
		for_each_name(open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC), look_at_file, &search);
}
