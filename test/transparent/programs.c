/* programs: the calls that start one, with what they cannot start and with lists that cannot be read. */
#include "transparent.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum how {
	EXECVE,
	EXECV,
	EXECVP,
	EXECVPE,
	EXECL,
	EXECLP,
	EXECLE,
	EXECVEAT,
	FEXECVE,
	SPAWN,
	SPAWNP,
	HOWS
};

static const char *const hows[HOWS] = { "execve",  "execv",       "execvp",      "execvpe",
					"execl",   "execlp",      "execle",      "execveat",
					"fexecve", "posix_spawn", "posix_spawnp" };

static const char *const paths[] = { "/bin/sh", "/none", "/dev/null", "/", "", "sh", "none", NULL };

enum list { GOOD, EMPTY, NONE, UNREADABLE, HALF, BAD_ENTRY, LOW_ENTRY, LISTS };

static const char *const lists[LISTS] = { "good", "empty",     "none",     "unreadable",
					  "half", "bad-entry", "low-entry" };

struct start {
	enum how how;
	size_t path; /* one more: an unreadable one */
	enum list argv, envp;
};

/* NULL-terminated, or in some way not */
static char **make_list(enum list which, char **good, size_t count)
{
	char **copy;

	switch (which) {
	case EMPTY:
		return good + count;
	case NONE:
		return NULL;
	case UNREADABLE:
		return address_place("none")->put(NULL, 0);
	case HALF:
		/* without its end */
		return address_place("page-end")->put(good, count * sizeof(*good));
	case BAD_ENTRY:
	case LOW_ENTRY:
		copy = address_place("heap")->put(good, (count + 1) * sizeof(*good));
		copy[0] = which == LOW_ENTRY ? (char *)8 : address_place("none")->put(NULL, 0);
		return copy;
	default:
		return good;
	}
}

static long begin(const struct start *start, const char *path, char **argv, char **envp)
{
	pid_t pid = 0;
	long result = 0;

	switch (start->how) {
	case EXECVE:
		return execve(path, argv, envp);
	case EXECV:
		return execv(path, argv);
	case EXECVP:
		return execvp(path, argv);
	case EXECVPE:
		return execvpe(path, argv, envp);
	case EXECL:
		return execl(path, "sh", "-c", "exit 7", NULL);
	case EXECLP:
		return execlp(path, "sh", "-c", "exit 7", NULL);
	case EXECLE:
		return execle(path, "sh", "-c", "exit 7", NULL, envp);
	case EXECVEAT:
		return execveat(AT_FDCWD, path, argv, envp, 0);
	case FEXECVE:
		return fexecve(open(path, O_RDONLY | O_CLOEXEC), argv, envp);
	case SPAWN:
		result = posix_spawn(&pid, path, NULL, NULL, argv, envp);
		break;
	default:
		result = posix_spawnp(&pid, path, NULL, NULL, argv, envp);
	}
	if (!result) {
		int status = 0;

		waitpid(pid, &status, 0);
		transparent_say("program=%x", (unsigned)status);
	}
	return result;
}

static void run_start(const void *context)
{
	const struct start *start = context;
	char *good_argv[] = { (char *)"sh", (char *)"-c", (char *)"exit 7", NULL };
	char *good_envp[] = { (char *)"A=1", (char *)"B=2", NULL };
	char **argv = make_list(start->argv, good_argv, 3),
	     **envp = make_list(start->envp, good_envp, 2);
	const char *path = start->path < COUNT(paths) ? paths[start->path]
						      : address_place("none")->put(NULL, 0);

	/* what is started ends with another status than what could not be */
	CALL(begin(start, path, argv, envp));
}

static void run_shell(const void *context)
{
	static const char *const commands[] = { NULL, "exit 3", "kill -9 $$", "/none 2>/dev/null",
						"" };
	size_t i = *(const size_t *)context;

	CALL(system(commands[i]));
}

static void run_pipe(const void *context)
{
	static const char *const types[] = { "r", "w", "re", "x", "", "rw" };
	size_t i = *(const size_t *)context;
	char line[16] = "";
	FILE *stream = NULL;

	CALL((stream = popen("printf hello; exit 5", types[i])) != NULL);
	if (!stream)
		return;
	if (types[i][0] == 'r' && fgets(line, sizeof(line), stream))
		transparent_say("said=%s", line);
	/* or it is chance whether pclose() has to wait for it */
	waitid(P_ALL, 0, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	CALL(pclose(stream));
}

void programs_run(void)
{
	struct start start;
	size_t how, list, i;

	transparent_few = true;
	for (how = 0; how < HOWS; how++) {
		for (start.path = 0; start.path <= COUNT(paths); start.path++) {
			start.how = (enum how)how;
			start.argv = start.envp = GOOD;
			/* fexecve's is a descriptor */
			transparent_case(run_start, &start, "%s/path%zu", hows[how], start.path);
		}
		start.path = 0;
		for (list = 1; list < LISTS; list++) {
			start.argv = (enum list)list;
			start.envp = GOOD;
			if (how != EXECL && how != EXECLP && how != EXECLE)
				transparent_case(run_start, &start, "%s/argv-%s", hows[how],
						 lists[list]);
			start.argv = GOOD;
			start.envp = (enum list)list;
			transparent_case(run_start, &start, "%s/envp-%s", hows[how], lists[list]);
		}
	}
	for (i = 0; i < 5; i++)
		transparent_case(run_shell, &i, "system/%zu", i);
	for (i = 0; i < 6; i++)
		transparent_case(run_pipe, &i, "popen/%zu", i);
}
