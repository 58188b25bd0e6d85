/* child_environ: an environment that keeps a child fenced; it starts no program. */
#ifndef PORTFENCE_SHIM_CHILD_ENVIRON_H
#define PORTFENCE_SHIM_CHILD_ENVIRON_H

#include "../core/arena.h"
#include "../core/settings.h"
#include "../core/variables.h"

#include <stdbool.h>
#include <stddef.h>

/* What a child needs in its environment. Immutable; the strings live as long as the arena. */
struct child_environ_kept {
	const char *preload;                  /* our own entry of LD_PRELOAD; NULL: keep nothing */
	const char *variable[VARIABLE_COUNT]; /* "NAME=value" */
	unsigned count;
	bool lost; /* there was no memory to keep it: no program can be started */
};

/* What an environment lacks. */
struct child_environ_plan {
	const struct child_environ_kept *kept;
	char *const *envp;
	size_t entries;      /* of envp, without the NULL at its end */
	const char *preload; /* its LD_PRELOAD's value, or NULL */
	size_t preload_at;   /* index of that entry */
	bool preloaded;      /* it names us */
	unsigned missing;    /* which of kept->variable, by bit */
	bool complete;       /* nothing is missing */
	size_t slots;        /* pointers that the new environment needs */
	size_t size;         /* bytes that it needs, its LD_PRELOAD included */
	size_t room;         /* pointers that the caller keeps on its stack for it, at least 1 */
};

/**
 * child_environ_remember() - Note the variables that this process was started with, and its file
 *
 * Keeps nothing under AT_SECURE, or where LD_PRELOAD does not name us
 * (/etc/ld.so.preload reaches every child anyway).
 */
void child_environ_remember(const struct settings *settings, struct arena *arena,
			    struct child_environ_kept *ret_kept);

/* child_environ_plan() - Find what an environment lacks; NULL is an empty one, as it is to the kernel */
void child_environ_plan(const struct child_environ_kept *kept, char *const envp[],
			struct child_environ_plan *ret_plan);

/**
 * child_environ_build() - Make an environment that lacks nothing
 * @room:	room for plan->room pointers, on the caller's own stack
 *
 * The caller may be a child between vfork and exec, which shares its parent's
 * memory, so nothing is allocated. Only an environment that may be too large for a
 * small stack is built in pages of its own. A child of vfork leaves those pages to
 * its parent.
 *
 * Return: the environment, plan->envp if nothing is missing; NULL and errno if there is no memory
 */
char *const *child_environ_build(const struct child_environ_plan *plan, char **room);

/* child_environ_drop() - Give back what child_environ_build() returned */
void child_environ_drop(const struct child_environ_plan *plan, char *const *built);

/**
 * child_environ_mend() - Put what is missing into this process's own environment
 *
 * For system() and popen(), which start the shell with it from inside libc.
 * They allocate, and so does this.
 *
 * Return: 0; -ENOMEM, and the environment may still lack something
 */
int child_environ_mend(const struct child_environ_kept *kept);

#endif
