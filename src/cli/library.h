/* library: where libportfence.so is, and how LD_PRELOAD names it; it loads nothing. */
#ifndef PORTFENCE_CLI_LIBRARY_H
#define PORTFENCE_CLI_LIBRARY_H

#include <limits.h>

/**
 * library_find() - The library beside this executable in a build tree, else where it is installed
 * @ret_path:	its path, also where it cannot be read
 *
 * Return: 0, or -errno if it cannot be read
 */
int library_find(char ret_path[PATH_MAX]);

/**
 * library_preload() - An LD_PRELOAD with the library in front of what is there already
 * @library:	its path
 * @old:	the present value, or NULL
 * @ret_list:	the value to set, for the caller to free
 *
 * Return: 0, -EINVAL if LD_PRELOAD cannot hold the path, -ENOMEM. Source: ld.so(8).
 */
int library_preload(const char *library, const char *old, char **ret_list);

/**
 * library_unload() - An LD_PRELOAD without the library, "" if there is nothing else in it
 * @list:	the present value, or NULL
 * @ret_list:	for the caller to free
 *
 * Return: 0, -ENOMEM
 */
int library_unload(const char *library, const char *list, char **ret_list);

#endif
