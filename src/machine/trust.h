/* trust: who else could put another file in a file's place; it opens none and changes nothing. */
#ifndef PORTFENCE_MACHINE_TRUST_H
#define PORTFENCE_MACHINE_TRUST_H

#include <stdbool.h>
#include <stddef.h>

/**
 * trust_doubt() - Could anybody else change a file, or a folder on its path?
 * @what:	the file, in words: "the library"
 * @path:	its path
 * @ret_text:	if so, who, where, and what to do, as one line without a full stop
 *
 * Anybody but root, this user, and under sudo(8) the user who called it. In a
 * sticky folder, others cannot touch what is not theirs. A group with nobody
 * else in it is nobody.
 *
 * Return: true if somebody could; false also if it cannot be looked at
 */
bool trust_doubt(const char *what, const char *path, char *ret_text, size_t size);

#endif
