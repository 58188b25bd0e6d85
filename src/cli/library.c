#include "library.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_NAME "libportfence.so"

int library_find(char ret_path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret_path, PATH_MAX - sizeof(LIBRARY_NAME));
	char *slash;

	if (n > 0) {
		ret_path[n] = '\0';
		slash = strrchr(ret_path, '/');
		strcpy(slash + 1, LIBRARY_NAME);
		if (!access(ret_path, R_OK))
			return 0;
	}
	snprintf(ret_path, PATH_MAX, "%s/%s", PORTFENCE_LIBDIR, LIBRARY_NAME);
	return access(ret_path, R_OK) ? -errno : 0;
}

/* Is a library among the entries of a list as LD_PRELOAD has it? */
static bool has_entry(const char *list, const char *library)
{
	size_t len;

	for (; *list; list += len + (list[len] != '\0')) {
		len = strcspn(list, ": ");
		if (len == strlen(library) && !memcmp(list, library, len))
			return true;
	}
	return false;
}

int library_preload(const char *library, const char *old, char **ret_list)
{
	int n;

	if (strpbrk(library, ": $"))
		return -EINVAL;
	if (!old || !*old)
		n = asprintf(ret_list, "%s", library);
	/* once is enough where a run stands inside another */
	else if (has_entry(old, library))
		n = asprintf(ret_list, "%s", old);
	else
		n = asprintf(ret_list, "%s:%s", library, old);
	return n < 0 ? -ENOMEM : 0;
}
