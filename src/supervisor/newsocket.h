/* newsocket: makes a socket for a program, with its range set from the start; it serves no other call. */
#ifndef PORTFENCE_SUPERVISOR_NEWSOCKET_H
#define PORTFENCE_SUPERVISOR_NEWSOCKET_H

#include "../core/policy.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a socket takes from whoever makes it, besides the user. */
struct newsocket_place {
	char netns[64];
	char cgroup[PATH_MAX];
	char label[256]; /* of a security module */
};

/**
 * newsocket_suits() - Will the kernel do all the rest, once a socket is born with its range?
 *
 * Where its engine serves all protocols, and nothing else is asked of it: no order or
 * seed, no policy for explicit binds, no map, no other range when the range is used up.
 */
bool newsocket_suits(const struct rule *rule);

/* newsocket_keeps() - Does the kernel keep to a protocol's range, or did it a moment ago? */
bool newsocket_keeps(const struct rule *rule, enum proto proto);

/* newsocket_look() - Where a thread is */
void newsocket_look(pid_t thread, struct newsocket_place *ret_place);

/**
 * newsocket_make() - Make a socket as a thread would
 * @here:	where this process was when it last looked
 * @type, @domain, @protocol: of socket(2)
 * @ret_why:	with -EACCES, what keeps us from it
 *
 * Return: descriptor; -EACCES if it would not be the same, or not be fenced; -EPROTOTYPE if it is
 * none that is fenced, and the program may make it; another -errno of socket(2)
 */
int newsocket_make(const struct rule *rule, struct newsocket_place *here, pid_t thread, int domain,
		   int type, int protocol, const char **ret_why);

#endif
