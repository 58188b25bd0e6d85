#include "programs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SPECIAL "*?[\\" /* to fnmatch(3) */

/* A user other than root often has only the first three in PATH. */
#define SYSTEM_FOLDERS "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

static bool is_program(const struct stat *stat)
{
	return S_ISREG(stat->st_mode) && stat->st_mode & 0111;
}

static bool is_in_folders(const char *folders, const char *name)
{
	while (folders && *folders) {
		size_t len = strcspn(folders, ":");
		static char path[PATH_MAX +
				 POLICY_GLOB_MAX]; /* the stack may be small (setrlimit(2)) */
		struct stat st;

		if (len && len < PATH_MAX) {
			snprintf(path, sizeof(path), "%.*s/%s", (int)len, folders, name);
			if (!stat(path, &st) && is_program(&st))
				return true;
		}
		folders += len + (folders[len] == ':');
	}
	return false;
}

/* The folder below which lies all that a path can fit: "/opt/erp" of "/opt/erp/b*", "/" of "/o*". */
static void find_folder(const char *glob, char ret_folder[POLICY_GLOB_MAX])
{
	size_t len = strcspn(glob, SPECIAL);

	while (len && glob[len - 1] != '/')
		len--;
	snprintf(ret_folder, POLICY_GLOB_MAX, "%.*s", len < 2 ? 1 : (int)len - 1, len ? glob : "/");
}

static bool is_relative(const char *glob)
{
	return strchr(glob, '/') && *glob != '/' && !strchr(SPECIAL, *glob);
}

bool programs_relative(const struct rule *rule)
{
	const char *list = rule->match ? rule->match : "";
	char glob[POLICY_GLOB_MAX];

	while (policy_next_glob(&list, glob))
		if (is_relative(glob))
			return true;
	return false;
}

/* Could one glob fit a program? @ret_place: where that was looked up, on failure */
static int may_fit(const char *glob, char ret_place[POLICY_GLOB_MAX])
{
	const bool plain = !strpbrk(glob, SPECIAL);
	struct stat st;

	if (!strchr(glob, '/'))
		return !plain || is_in_folders(getenv("PATH"), glob) ||
		       is_in_folders(SYSTEM_FOLDERS, glob);
	if (is_relative(glob))
		return 0;
	if (plain)
		snprintf(ret_place, POLICY_GLOB_MAX, "%s", glob);
	else
		find_folder(glob, ret_place);
	if (stat(ret_place, &st))
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	return plain ? is_program(&st) : S_ISDIR(st.st_mode);
}

int programs_find(const struct rule *rule, char *ret_text, size_t size)
{
	const char *list = rule->match ? rule->match : rule->name;
	/* the stack may be small (setrlimit(2)) */
	static char glob[POLICY_GLOB_MAX], place[POLICY_GLOB_MAX], unseen[POLICY_GLOB_MAX];
	static char what[POLICY_GLOB_MAX + 32];
	int rc, error = 0;

	/* [*] is for every program, and what `args` fits is no file */
	if (!rule->match && (rule->args || !strcmp(rule->name, "*")))
		return 1;
	while (policy_next_glob(&list, glob)) {
		rc = may_fit(glob, place);
		if (rc > 0)
			return 1;
		if (rc < 0 && !error) {
			error = rc;
			strcpy(unseen, place);
		}
	}
	snprintf(what, sizeof(what), rule->match ? "fits 'match = %s'" : "is called '%s'",
		 rule->match ? rule->match : rule->name);
	if (error)
		snprintf(ret_text, size,
			 "no program that can be seen %s, but '%s' cannot be looked at: %s", what,
			 unseen, strerror(-error));
	else
		snprintf(ret_text, size,
			 "no program on this machine %s, so [%s] is only for what --app or "
			 "PORTFENCE_APP puts into it (%s)",
			 what, rule->name,
			 programs_relative(rule) ? "a path begins with '/' or '*'"
						 : "names are looked up in PATH");
	return error;
}
