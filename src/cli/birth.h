/* birth: makes a socket for a program, with its range set from the start; it serves no other call. */
#ifndef PORTFENCE_CLI_BIRTH_H
#define PORTFENCE_CLI_BIRTH_H

#include "../core/policy.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a socket takes from whoever makes it, besides the user. */
struct birth_place {
	char netns[64];
	char cgroup[PATH_MAX];
	char label[256]; /* of a security module */
};

/**
 * birth_suits() - Will the kernel do all the rest, once a socket is born with its range?
 *
 * Where its engine serves all protocols, and nothing else is asked of it: no order or
 * seed, no policy for explicit binds, no map, no other range when the range is used up.
 */
bool birth_suits(const struct rule *rule);

/* birth_keeps() - Does the kernel keep to a protocol's range, or did it a moment ago? */
bool birth_keeps(const struct rule *rule, enum proto proto);

/* birth_look() - Where a thread is */
void birth_look(pid_t thread, struct birth_place *ret_place);

/**
 * birth_make() - Make a socket as a thread would
 * @here:	where this process was when it last looked
 * @type, @domain, @protocol: of socket(2)
 * @ret_why:	with -EACCES, what keeps us from it
 *
 * Return: descriptor; -EACCES if it would not be the same, or not be fenced; -EPROTOTYPE if it is
 * none that is fenced, and the program may make it; another -errno of socket(2)
 */
int birth_make(const struct rule *rule, struct birth_place *here, pid_t thread, int domain,
	       int type, int protocol, const char **ret_why);

#endif
