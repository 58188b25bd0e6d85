/* ownership: opens files and folders by paths that other users may be able to change; it reads none. */
#ifndef PORTFENCE_CORE_OWNERSHIP_H
#define PORTFENCE_CORE_OWNERSHIP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * The one judge of a path. It goes down from the root folder, by descriptor, and judges each
 * folder on the way:
 *
 *   safe     only root and this user can change what is in it
 *   sticky   theirs, but like /tmp: others can put files of their own there
 *   foreign  somebody else's, or others can change all that is in it
 *
 * In a safe folder links are followed, and judged further on. In others they are refused, but
 * for root's and this user's on the way through a sticky one. A file in a folder that is not
 * safe has to be this user's or the folder's owner's, and to have no second name.
 */

/**
 * ownership_open() - Open a file
 * @path:	begins with a slash
 * @flags, @mode: of open(2); O_CLOEXEC is added
 * @ret_safe:	once its folder is found: is that safe? Then another open() of the path cannot be
 *		led astray
 *
 * Return: descriptor; -ELOOP for a link that is refused; -EPERM if another user may have put the
 * file there; another -errno
 */
int ownership_open(const char *path, int flags, mode_t mode, bool *ret_safe);

/**
 * ownership_open_folder() - Open a folder, and make it with mode 0700 where it is not there
 * @path:	begins with a slash
 *
 * Return: descriptor; -EPERM for a foreign folder, or one that a group can write to; -ELOOP for a link that is refused; another -errno
 */
int ownership_open_folder(const char *path);

/**
 * ownership_make_file() - Open a file, and with O_CREAT make it where it is not there
 * @folder, @path, @flags, @mode: of openat(2); O_CLOEXEC is added
 *
 * Of a file that it makes, the umask takes rights from others only, never from its owner: other
 * programs of the owner's shall be able to open it.
 *
 * Return: descriptor or -errno
 */
int ownership_make_file(int folder, const char *path, int flags, mode_t mode);

/**
 * ownership_knows_user() - Does a name with this user's number stand for this user in the folder?
 * @folder:	may be one of O_PATH
 *
 * Not in a shared folder of another user namespace: there the number is another user's, who would find
 * the name taken. Such a folder's owner has no number in this namespace, or another than root and the user.
 */
bool ownership_knows_user(int folder);

/**
 * ownership_open_own() - Open a file or folder that portfence alone has made, for this user
 * @folder:	nobody else can put a file of this user's there
 * @flags, @mode: as for ownership_make_file(); no folder is made
 *
 * Where its mode lacks what @mode gives the owner, it is given that: an older version may have
 * made it under a umask that took it, or another program may be about to make it.
 *
 * Return: descriptor; -EPERM if it is not there, and ownership_knows_user() denies; another -errno
 */
int ownership_open_own(int folder, const char *name, int flags, mode_t mode);

/* ownership_is_private() - Is it a regular file that nobody but @user can open? @ret_size: its bytes */
bool ownership_is_private(int fd, uid_t user, off_t *ret_size);

/* ownership_path() - Where it is, whatever links led to it. Return: 0 or -errno. Source: proc_pid_fd(5) */
int ownership_path(int fd, char ret_path[PATH_MAX]);

#endif
