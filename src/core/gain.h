/* gain: whether a file that is executed gains rights by that; it executes nothing. */
#ifndef PORTFENCE_CORE_GAIN_H
#define PORTFENCE_CORE_GAIN_H

#include <sys/types.h>

/**
 * gain_of() - Will the kernel start a file with rights that a process of these ids has not?
 * @path:	an executable; of a script, the kernel looks at its interpreter instead
 *
 * It does not look at no_new_privs, under which no file gains any. Then ld.so ignores LD_PRELOAD.
 * Source: execve(2), capabilities(7), inode(7).
 *
 * Return: why, such as "it is setuid"; NULL if not, or if the file cannot be looked at
 */
const char *gain_of(const char *path, uid_t uid, gid_t gid);

#endif
