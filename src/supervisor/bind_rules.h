/* bind_rules: lets the kernel hold a tree to the TCP ports that it may name in bind(2), by Landlock. */
#ifndef PORTFENCE_SUPERVISOR_BIND_RULES_H
#define PORTFENCE_SUPERVISOR_BIND_RULES_H

#include "../core/policy.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The kernel keeps one rule for each port. On the 2 GHz machine that this was measured on, 1,000 of
 * them take 0.7 ms, 4,096 take 2.6 ms, and 10,000 take 7 ms: nearly as long as all the rest of a
 * run's start. So a larger range is not given to the kernel.
 */
#define BIND_RULES_PORTS_MAX 4096

/* Why they are not set where there is no supervisor: what follows "as" */
#define BIND_RULES_NO_SUPERVISOR                                                                   \
	"only a tree with a supervisor of its own gets Landlock rules, which need no_new_privs"

/* bind_rules_wanted() - Does a rule keep programs from ports outside its range? */
bool bind_rules_wanted(const struct rule *rule);

/**
 * bind_rules_suit() - Could the kernel hold a tree to `bind = own` or `bind = deny` of this rule?
 * @ret_why:	where it could not, why: what follows "as"
 *
 * It changes nothing.
 */
bool bind_rules_suit(const struct rule *rule, char *ret_why, size_t size);

/**
 * bind_rules_set() - Put this thread, and all that it starts, under the rules
 * @ret_why:	where that fails, why, and nothing has changed
 *
 * To be called after supervise_start(), whose filter demands the same of a process as Landlock
 * does: no_new_privs, or CAP_SYS_ADMIN.
 *
 * From then on, bind(2) of a TCP socket fails with EACCES, unless the port is one of the TCP range, stands
 * for another in the map, or is 0. What the kernel chooses, these rules do not judge: that is the
 * fence's. Source: landlock(7); security/landlock/net.c, hook_socket_bind.
 *
 * Return: true if the rules hold
 */
bool bind_rules_set(const struct rule *rule, char *ret_why, size_t size);

#endif
