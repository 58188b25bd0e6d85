/* file: whose an open file is, where it is, and who else could have put it there; it reads none. */
#ifndef PORTFENCE_CORE_FILE_H
#define PORTFENCE_CORE_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The folder that a file stands in. */
struct file_folder {
	bool shared; /* it is one like /tmp: others may put files there, and links */
	uid_t owner;
};

/* file_folder() - Look at the folder of a path that begins with a slash. Return: false if that cannot be */
bool file_folder(const char *path, struct file_folder *ret_folder);

/* file_is_planted() - May another user have put this file there, or a link to one of ours? */
bool file_is_planted(int fd, const struct file_folder *folder);

/* file_is_private() - Is it a regular file that nobody but this user can open? @ret_size: its bytes */
bool file_is_private(int fd, off_t *ret_size);

/* file_path() - Where it is, whatever links led to it. Return: 0 or -errno. Source: proc_pid_fd(5) */
int file_path(int fd, char ret_path[PATH_MAX]);

#endif
