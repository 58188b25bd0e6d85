/* environ: keeps a program that is started with another environment fenced; it starts nothing. */
#ifndef PORTFENCE_SHIM_ENVIRON_H
#define PORTFENCE_SHIM_ENVIRON_H

#include "../core/arena.h"
#include "../core/settings.h"

#include <stdbool.h>
#include <stddef.h>

#define ENVIRON_KEPT_MAX 8

/* What children need in their environment. Immutable; strings live as long as the arena. */
struct environ_kept {
	const char *preload; /* our own entry of LD_PRELOAD; NULL: keep nothing */
	const char *variable[ENVIRON_KEPT_MAX]; /* "NAME=value" */
	unsigned count;
};

/* What an environment lacks. */
struct environ_plan {
	const struct environ_kept *kept;
	char *const *envp;
	size_t entries;      /* of envp, without the NULL at its end */
	bool preloaded;      /* its LD_PRELOAD names us */
	const char *preload; /* the LD_PRELOAD that does not, or NULL if there is none */
	size_t preload_at;   /* index of that entry */
	unsigned missing;    /* which of kept->variable, by bit */
	size_t slots;        /* pointers that the new environment needs, at least 1 */
	size_t size;         /* bytes that the new LD_PRELOAD needs, at least 1 */
	bool complete;       /* nothing is missing */
};

/**
 * environ_remember() - Note what this process was started with, and the file that it led to
 *
 * Keeps nothing under AT_SECURE, or where LD_PRELOAD does not name us
 * (/etc/ld.so.preload reaches every child anyway).
 */
void environ_remember(const struct settings *settings, struct arena *arena,
		      struct environ_kept *ret_kept);

/* environ_plan() - Find what an environment lacks; it may be NULL, which the kernel takes as empty */
void environ_plan(const struct environ_kept *kept, char *const envp[],
		  struct environ_plan *ret_plan);

/**
 * environ_build() - The environment with what it lacks
 * @slots:	room for plan->slots pointers, the caller's own stack
 * @preload:	room for plan->size bytes, likewise
 *
 * No memory is asked for, as the caller may be a child between vfork and exec.
 *
 * Return: @slots, or plan->envp if nothing is missing
 */
char *const *environ_build(const struct environ_plan *plan, char **slots, char *preload);

/**
 * environ_mend() - Put what is missing into this process's own environment
 *
 * For system() and popen(), which start the shell with it from inside libc.
 * They allocate, and so does this.
 */
void environ_mend(const struct environ_kept *kept);

#endif
