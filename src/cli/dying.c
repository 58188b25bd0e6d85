#include "dying.h"

#include "../core/fd.h"
#include "../machine/array.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PF_EXITING 0x4 /* include/linux/sched.h */
#define REST_NS 500000
#define RESTS 4000

enum state { ALIVE, ENDING, ENDED };

static enum state look(const char *path, long *ret_threads)
{
	char text[1024], letter;
	const char *rest;
	unsigned flags;

	*ret_threads = 0;
	if (fd_read_file(path, text, sizeof(text)) <= 0)
		return ENDED;
	/* the name before it may hold blanks and brackets */
	rest = strrchr(text, ')');
	if (!rest ||
	    sscanf(rest + 1,
		   " %c %*s %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld",
		   &letter, &flags, ret_threads) != 3)
		return ENDED;
	if (!(flags & PF_EXITING))
		return ALIVE;
	return letter == 'Z' || letter == 'X' ? ENDED : ENDING;
}

/*
 * Is a process ending, and not done with its files? Its first thread may have ended
 * long before the others, and be a zombie for as long as they live.
 */
static bool is_dying(const char *pid)
{
	char path[300];
	const struct dirent *entry;
	enum state state;
	long threads;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	state = look(path, &threads);
	if (state != ENDED || threads < 2)
		return state == ENDING;
	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	folder = opendir(path);
	while (folder && state != ENDING && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/proc/%s/task/%s/stat", pid, entry->d_name);
		if (isdigit((unsigned char)*entry->d_name))
			state = look(path, &threads);
	}
	if (folder)
		closedir(folder);
	return state == ENDING;
}

/* Return: for the caller to free */
static char (*find_dying(size_t *ret_count))[16]
{
	DIR *folder = opendir("/proc");
	char(*list)[16] = NULL, (*grown)[16];
	const struct dirent *entry;
	size_t count = 0;

	while (folder && (entry = readdir(folder))) {
		if (!isdigit((unsigned char)*entry->d_name) || strlen(entry->d_name) > 15 ||
		    !is_dying(entry->d_name))
			continue;
		grown = array_grow(list, count, sizeof(*list));
		if (!grown)
			break;
		list = grown;
		strcpy(list[count++], entry->d_name);
	}
	if (folder)
		closedir(folder);
	*ret_count = count;
	return list;
}

void dying_wait(void)
{
	const struct timespec rest = { 0, REST_NS };
	size_t count, rests = 0;
	char(*list)[16] = find_dying(&count);

	/* nobody is added: on a busy machine somebody is always ending */
	while (count && rests < RESTS) {
		if (!is_dying(list[count - 1])) {
			count--;
			continue;
		}
		nanosleep(&rest, NULL);
		rests++;
	}
	free(list);
}
