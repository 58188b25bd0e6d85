#include "programs.h"

#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MOST 200000 /* about a second of looking at what is not in memory */
#define SPECIAL "*?[\\"   /* to fnmatch(3) */

/* Who is not root often has the first three alone in PATH. */
#define SYSTEM_FOLDERS "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && st.st_mode & 0111;
}

/* What the kernel makes up holds no programs, and processes' own links to everything. */
static bool is_made_up(const char *path)
{
	return !strcmp(path, "/proc") || !strcmp(path, "/sys") || !strcmp(path, "/dev");
}

static void note_unseen(const char *folder, int error, struct programs_search *search)
{
	if (*search->unseen || !error || error == ENOENT || error == ENOTDIR)
		return;
	snprintf(search->unseen, sizeof(search->unseen), "%s", folder);
	search->error = error;
}

/* Looks into a folder; @below: and into those below it. */
static bool search_folder(char *folder, const char *glob, bool below,
			  struct programs_search *search)
{
	char *const roots[] = { folder, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	bool found = false;
	FTSENT *entry;

	while (tree && !found && !search->cut && (entry = fts_read(tree))) {
		const char *path = entry->fts_path;

		switch (entry->fts_info) {
		case FTS_D:
			if (entry->fts_level && (!below || is_made_up(path)))
				fts_set(tree, entry, FTS_SKIP);
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			note_unseen(path, entry->fts_errno, search);
			break;
		case FTS_F:
		case FTS_SL:
			search->cut = ++search->files > FILES_MOST;
			found = !fnmatch(glob, below ? path : entry->fts_name, 0) &&
				is_program(path);
			break;
		default:
			break;
		}
	}
	if (tree)
		fts_close(tree);
	return found;
}

/* The folder below which lies all that a glob can fit: "/opt/erp" of "/opt/erp/b*", "/" of "/o*". */
static void find_root(const char *glob, char ret_root[POLICY_GLOB_MAX])
{
	size_t len = strcspn(glob, SPECIAL);

	while (len && glob[len - 1] != '/')
		len--;
	if (len < 2) {
		strcpy(ret_root, "/");
		return;
	}
	memcpy(ret_root, glob, len - 1);
	ret_root[len - 1] = '\0';
}

static bool search_names(const char *folders, const char *glob, bool plain,
			 struct programs_search *search)
{
	while (folders && *folders && !search->cut) {
		size_t len = strcspn(folders, ":");
		char path[PATH_MAX + POLICY_GLOB_MAX];
		int end;

		end = snprintf(path, PATH_MAX, "%.*s", (int)len, folders);
		if (plain)
			snprintf(path + end, sizeof(path) - (size_t)end, "/%s", glob);
		if (len && len < PATH_MAX &&
		    (plain ? is_program(path) : search_folder(path, glob, false, search)))
			return true;
		folders += len + (folders[len] == ':');
	}
	return false;
}

bool programs_find_program(const char *glob, struct programs_search *search)
{
	const bool plain = !strpbrk(glob, SPECIAL);
	char root[POLICY_GLOB_MAX];

	if (!strchr(glob, '/'))
		return search_names(getenv("PATH"), glob, plain, search) ||
		       search_names(SYSTEM_FOLDERS, glob, plain, search);
	if (plain) {
		errno = 0;
		if (is_program(glob))
			return true;
		note_unseen(glob, errno, search);
		return false;
	}
	find_root(glob, root);
	return search_folder(root, glob, true, search);
}
