/* ownership: whose an open file is, where it is, and who else could have put it there; it reads none. */
#ifndef PORTFENCE_CORE_OWNERSHIP_H
#define PORTFENCE_CORE_OWNERSHIP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The folder that a file stands in. */
struct ownership_folder {
	bool shared; /* it is one like /tmp: others may put files there, and links */
	uid_t owner;
};

/* ownership_folder() - Look at the folder of a path that begins with a slash. Return: false if that cannot be */
bool ownership_folder(const char *path, struct ownership_folder *ret_folder);

/* ownership_is_planted() - May another user have put this file there, or a link to one of ours? */
bool ownership_is_planted(int fd, const struct ownership_folder *folder);

/* ownership_is_private() - Is it a regular file that nobody but this user can open? @ret_size: its bytes */
bool ownership_is_private(int fd, off_t *ret_size);

/* ownership_path() - Where it is, whatever links led to it. Return: 0 or -errno. Source: proc_pid_fd(5) */
int ownership_path(int fd, char ret_path[PATH_MAX]);

#endif
