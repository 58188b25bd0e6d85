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

/* Steps through a list as LD_PRELOAD has it. Return: the entry's start, NULL at the end */
static const char *next_entry(const char **list, size_t *ret_len)
{
	const char *entry = *list + strspn(*list, ": ");

	*ret_len = strcspn(entry, ": ");
	*list = entry + *ret_len;
	return *ret_len ? entry : NULL;
}

static bool is_entry(const char *entry, size_t len, const char *library)
{
	return len == strlen(library) && !memcmp(entry, library, len);
}

static bool has_entry(const char *list, const char *library)
{
	const char *entry;
	size_t len;

	while ((entry = next_entry(&list, &len)))
		if (is_entry(entry, len, library))
			return true;
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

int library_unload(const char *library, const char *list, char **ret_list)
{
	char *rest = calloc(1, list ? strlen(list) + 1 : 1);
	const char *entry;
	size_t len;

	if (!rest)
		return -ENOMEM;
	while (list && (entry = next_entry(&list, &len))) {
		if (is_entry(entry, len, library))
			continue;
		if (*rest)
			strcat(rest, ":");
		strncat(rest, entry, len);
	}
	*ret_list = rest;
	return 0;
}
