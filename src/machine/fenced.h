/* fenced: whether a running process is fenced, and by which rule, from /proc; it changes nothing. */
#ifndef PORTFENCE_MACHINE_FENCED_H
#define PORTFENCE_MACHINE_FENCED_H

#include "../core/arena.h"
#include "../core/policy.h"
#include "procfs.h"

#include <sys/types.h>
#include <time.h>

enum fenced_state {
	FENCED_GONE,   /* it has ended */
	FENCED_UNSEEN, /* it may not be looked at */
	FENCED_NOT,    /* it has not mapped the library, or no rule applies to it */
	FENCED_RULE,   /* it is fenced */
	FENCED_UNKNOWN /* it is, but its rule cannot be told */
};

/* What was found of a process. Immutable; lives as long as the looks. */
struct fenced {
	enum fenced_state state;
	const struct rule *rule; /* with FENCED_RULE; read anew, so compare names, not pointers */
	const char *file;        /* the configuration that it was read from, NULL if from none */
	const char *why;         /* with FENCED_UNKNOWN */
};

/* What was found so far: processes that were started alike share it. Zeroed memory is empty. */
struct fenced_looks {
	const struct policy
		*otherwise; /* searched where a process's own file is not known; or NULL */
	struct arena arena;
	struct fenced_known *known;
};

/**
 * fenced_look() - Find out about one process
 *
 * The rule is what the library would find if the process started now: the same
 * code reads the configuration, with the variables that the process was started
 * with. A program may have written over these since (setproctitle); the state
 * file that it has mapped still tells its section.
 *
 * Return: never NULL
 */
const struct fenced *fenced_look(struct fenced_looks *looks, pid_t pid);

/* fenced_forget() - Give everything back */
void fenced_forget(struct fenced_looks *looks);

/**
 * fenced_since() - When a process was started; 0 if that cannot be told
 *
 * Source: proc_pid_stat(5), starttime.
 */
time_t fenced_since(pid_t pid);

/* fenced_started() - When the process was started that @stat was read of, in nanoseconds of CLOCK_BOOTTIME */
int64_t fenced_started(const struct procfs_stat *stat);

#endif
