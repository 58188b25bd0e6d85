#include "library.h"

#include "procfs.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define LIBRARY_NAME "libportfence.so"

/*
 * Theory of operation
 *
 * A library is of one word size. To programs of another one, ld.so says that it
 * cannot be preloaded and goes on without it; but it puts its own folder below /
 * or /usr, "lib64" say, for "$LIB" in LD_PRELOAD (ld.so(8)). So where our library
 * lies in a folder of that name and there is one more in another linker's, "$LIB"
 * stands for all of them. Where there is none, the plain path does: musl knows
 * no $LIB, and is silent about a library that is not there.
 */

#define LIB "$LIB"

/* The dynamic linkers that one kernel may meet (each machine's ABI supplement). */
static const char *const linkers[] = {
	"/lib/ld-linux-aarch64.so.1",  "/lib/ld-linux-armhf.so.3",  "/lib/ld-linux.so.2",
	"/lib64/ld-linux-x86-64.so.2", "/libx32/ld-linux-x32.so.2",
};

/* What @linker puts for $LIB. Return: false if it cannot be told */
static bool find_lib(const char *linker, char ret_lib[PATH_MAX])
{
	char path[PATH_MAX];
	const char *folder = path + 1;

	/* it has no $LIB */
	if (strstr(linker, "/ld-musl") || !realpath(linker, path))
		return false;
	*strrchr(path, '/') = '\0';
	if (!strncmp(path, "/usr/", 5))
		folder = path + 5;
	strcpy(ret_lib, folder);
	return !strncmp(folder, "lib", 3);
}

/* The dynamic linker of this very program, or "" */
static const char *own_linker(void)
{
	const ElfW(Phdr) *head = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM), i;
	uintptr_t base = 0;

	for (i = 0; i < count; i++)
		if (head[i].p_type == PT_PHDR)
			base = (uintptr_t)head - head[i].p_vaddr;
	for (i = 0; i < count; i++)
		if (head[i].p_type == PT_INTERP)
			return (const char *)(base + head[i].p_vaddr);
	return "";
}

/* What our own linker puts for $LIB: asked once, as to follow its links takes a dozen calls. Return: NULL if it cannot be told */
static const char *find_own_lib(void)
{
	static char lib[PATH_MAX];
	static bool asked, told;

	if (!asked)
		told = find_lib(own_linker(), lib);
	asked = true;
	return told ? lib : NULL;
}

/* Puts @lib where @library has the folder of our own linker. Return: false if it has not */
static bool replace_lib(const char *library, const char *lib, char ret_path[PATH_MAX])
{
	const char *own = find_own_lib(), *found = NULL, *next = library;
	char part[PATH_MAX + 2];

	if (!own)
		return false;
	snprintf(part, sizeof(part), "/%s/", own);
	while ((next = strstr(next, part)))
		found = next++;
	return found && snprintf(ret_path, PATH_MAX, "%.*s/%s/%s", (int)(found - library), library,
				 lib, found + strlen(part)) < PATH_MAX;
}

bool library_of_linker(const char *library, const char *linker, char ret_path[PATH_MAX])
{
	const char *own = find_own_lib();
	char lib[PATH_MAX];

	if (own && !strcmp(linker, own_linker()))
		return replace_lib(library, own, ret_path);
	return own && find_lib(linker, lib) && replace_lib(library, lib, ret_path);
}

bool library_has_siblings(const char *library)
{
	char other[PATH_MAX];
	size_t i;

	if (!replace_lib(library, LIB, other))
		return false;
	for (i = 0; i < sizeof(linkers) / sizeof(linkers[0]); i++)
		if (library_of_linker(library, linkers[i], other) && strcmp(other, library) &&
		    !access(other, R_OK))
			return true;
	return false;
}

/* What LD_PRELOAD is to name */
static void make_entry(const char *library, char ret_entry[PATH_MAX])
{
	if (!library_has_siblings(library) || !replace_lib(library, LIB, ret_entry))
		strcpy(ret_entry, library);
}

int library_find(char ret_path[PATH_MAX])
{
	if (!procfs_link(PROCFS_SELF, "exe", ret_path, PATH_MAX - sizeof(LIBRARY_NAME))) {
		strcpy(strrchr(ret_path, '/') + 1, LIBRARY_NAME);
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
	char own[PATH_MAX];
	int n;

	if (strpbrk(library, ": $"))
		return -EINVAL;
	make_entry(library, own);
	if (!old || !*old)
		n = asprintf(ret_list, "%s", own);
	/* once is enough where a run stands inside another */
	else if (has_entry(old, own))
		n = asprintf(ret_list, "%s", old);
	else
		n = asprintf(ret_list, "%s:%s", own, old);
	return n < 0 ? -ENOMEM : 0;
}

int library_unload(const char *library, const char *list, char **ret_list)
{
	char *rest = calloc(1, list ? strlen(list) + 1 : 1);
	char own[PATH_MAX];
	const char *entry;
	size_t len;

	if (!rest)
		return -ENOMEM;
	make_entry(library, own);
	while (list && (entry = next_entry(&list, &len))) {
		if (is_entry(entry, len, library) || is_entry(entry, len, own))
			continue;
		if (*rest)
			strcat(rest, ":");
		strncat(rest, entry, len);
	}
	*ret_list = rest;
	return 0;
}
