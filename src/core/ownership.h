/* ownership: which user owns a file, and whether another could have put it there; it reads no file. */
#ifndef PORTFENCE_CORE_OWNERSHIP_H
#define PORTFENCE_CORE_OWNERSHIP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The folder that a file stands in. */
struct ownership_folder {
	bool shared; /* sticky like /tmp: other users may put files and links there */
	uid_t owner;
};

/* ownership_folder() - Look at the folder of an absolute path. Return: false if that is not possible */
bool ownership_folder(const char *path, struct ownership_folder *ret_folder);

/* ownership_is_planted() - May another user have put this file, or a link to one of ours, into the folder? */
bool ownership_is_planted(int fd, const struct ownership_folder *folder);

/* ownership_is_private() - Is it a regular file that only this user can open? @ret_size: its bytes */
bool ownership_is_private(int fd, off_t *ret_size);

/* ownership_path() - The path of an open file, without links. Return: 0 or -errno. Source: proc_pid_fd(5) */
int ownership_path(int fd, char ret_path[PATH_MAX]);

#endif
