/* library: where libportfence.so is, and how LD_PRELOAD names it; it loads nothing. */
#ifndef PORTFENCE_MACHINE_LIBRARY_H
#define PORTFENCE_MACHINE_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

/**
 * library_find() - The library beside this executable in a build tree, else where it is installed
 * @ret_path:	its path, also where it cannot be read
 *
 * Return: 0, or -errno if it cannot be read
 */
int library_find(char ret_path[PATH_MAX]);

/**
 * library_of_linker() - The library that programs with another dynamic linker are given
 * @library:	the path of ours
 * @linker:	path of the dynamic linker, as such a program names it
 * @ret_path:	where it has to be; that it is there is not checked
 *
 * Return: false if ours does not lie where each linker looks in a folder of its own
 */
bool library_of_linker(const char *library, const char *linker, char ret_path[PATH_MAX]);

/**
 * library_has_siblings() - Is there one for programs of another word size, too?
 *
 * Then LD_PRELOAD names them by $LIB, so that each program is given its own.
 */
bool library_has_siblings(const char *library);

/**
 * library_preload() - An LD_PRELOAD with the library in front of what is there already
 * @library:	its path; with siblings, $LIB takes the place of its folder
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
