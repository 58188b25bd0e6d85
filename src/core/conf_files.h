/* conf_files: the texts that a configuration is made of, a file and its drop-ins; it reads no key. */
#ifndef PORTFENCE_CORE_CONF_FILES_H
#define PORTFENCE_CORE_CONF_FILES_H

#include "arena.h"

#include <stdbool.h>
#include <stddef.h>

/* The most files that a folder may hold */
#define CONF_FILES_MAX 1024

/* How much is read, of all files together: of another process's configuration, and of our own */
#define CONF_FILES_FOREIGN_LARGEST (64L << 10)
#define CONF_FILES_LARGEST (16L << 20)

struct conf_files {
	struct conf_file {
		const char *path;
		const char *text; /* without a NUL */
		size_t size;
	} file[CONF_FILES_MAX + 1];
	size_t count;
	size_t size; /* of all texts */
};

/**
 * conf_files_read() - Read a file and, in sorted order, each "*.ini" of the folder PATH.d
 * @path:	kept, not copied; where it is a folder, each "*.ini" in it is read instead
 * @foreign:	somebody else named it, so only regular files are opened: to open a FIFO or a device may
 *		already have an effect
 * @ret_bad:	on failure, the file or folder that could not be read
 *
 * PATH itself may be missing if its folder has a file.
 *
 * Return: 0; -ENOENT if there is no file; -EISDIR for a folder without a "*.ini"; -EINVAL for what is
 * no regular file; -EFBIG; -ENODATA if one became shorter; -E2BIG for too many files; another -errno
 */
int conf_files_read(const char *path, bool foreign, struct arena *arena,
		    struct conf_files *ret_files, const char **ret_bad);

#endif
