/* target: finds a command's executable and tells whether a preload reaches it; it runs nothing. */
#ifndef PORTFENCE_MACHINE_TARGET_H
#define PORTFENCE_MACHINE_TARGET_H

#include "../core/arena.h"
#include "../core/policy.h"
#include "../core/reason.h"

#include <limits.h>
#include <stddef.h>

struct target {
	char path[PATH_MAX]; /* what will be executed: found along PATH, not resolved */

	/* The rest is found out by target_check(), as far as it gets. */
	char exe[PATH_MAX]; /* the executable in the end: resolved, of a script its interpreter */
	char script[4 *
		    PATH_MAX]; /* "interpreter option path " that the kernel puts in front, or "" */
	int bits;              /* the executable's word size, 0 if it has none */
	char linker[PATH_MAX]; /* its dynamic linker, "" if it is static */
	const char *gain;      /* why it gains rights when another user starts it, or NULL */
	/* what would make a preload reach it, which now a supervisor alone does; else "" */
	char remedy[PATH_MAX + 64];
};

/**
 * target_find() - Find a command as execvp() does
 *
 * Return: 0, -ENOENT if there is none, another -errno if it cannot be executed
 */
int target_find(const char *command, struct target *ret_target);

/**
 * target_check() - Does a preload of @library reach it?
 * @ret_why:	if not, the reason, and the way out unless that is target->remedy
 *
 * Return: 0, -EPERM, or another -errno if it cannot be read (@ret_why is set, too)
 */
int target_check(struct target *target, const char *library, struct reason *ret_why);

/* target_libc() - "glibc" or "musl", whose dynamic linker a program has; NULL: unknown, or none */
const char *target_libc(const struct target *target);

/**
 * target_describe() - What a rule's globs are held against, once it runs
 * @target:	after target_check(), which finds a script's interpreter
 * @argv:	the command line that it is called with
 * @ret_process:	its strings are in @target and @arena
 *
 * Return: 0, -ENOMEM
 */
int target_describe(const struct target *target, char *const argv[], struct arena *arena,
		    struct policy_process *ret_process);

#endif
