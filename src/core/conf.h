/* conf: from the INI file's text to a policy; it looks at no process and at no environment. */
#ifndef PORTFENCE_CORE_CONF_H
#define PORTFENCE_CORE_CONF_H

#include "arena.h"
#include "policy.h"

#include <stddef.h>

/* A lease's ports where no number is given, and where they come from where no pool is */
#define CONF_LEASE 100
#define CONF_POOL_FIRST 20000
#define CONF_POOL_LAST 29999

/* The keys of a section, of which the environment and the command override some. */
enum conf_key {
	CONF_MATCH,
	CONF_ARGS,
	CONF_RANGE,
	CONF_TCP_RANGE,
	CONF_UDP_RANGE,
	CONF_SCTP_RANGE,
	CONF_EXCLUDE,
	CONF_ORDER,
	CONF_SEED,
	CONF_BIND,
	CONF_EXHAUSTED,
	CONF_ENGINE,
	CONF_VIA,
	CONF_IO_URING,
	CONF_MAP,
	CONF_KEYS
};

/**
 * conf_error_fn - Told of each error as it is found: of a section as a whole, after its lines
 * @line:	line number, 0 where the error is the whole file's
 * @problem:	what is wrong and what is allowed, without a full stop
 */
typedef void conf_error_fn(void *context, const char *file, unsigned line, const char *problem);

/**
 * conf_load() - Read a configuration file
 * @file:	its path; kept in the policy, not copied
 * @error:	called with each error, not only the first
 * @ret_policy:	the rules; strings and ranges are in @arena
 *
 * Return: 0; -ENOENT if there is no such file, -EINVAL if it was read and has errors,
 * another -errno if it cannot be read (@error was called in each case but -ENOENT)
 */
int conf_load(const char *file, struct arena *arena, conf_error_fn *error, void *context,
	      struct policy *ret_policy);

/**
 * conf_override() - Set one key of a rule from the environment or the command line
 * @text:	the value as it would stand in the file
 * @ret_why:	on failure, the problem
 *
 * Overriding CONF_RANGE replaces the ranges of all protocols and what was excluded.
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int conf_override(struct rule *rule, enum conf_key key, const char *text, struct arena *arena,
		  char *ret_why, size_t size);

/**
 * conf_place_map() - Give each port of a rule's map its own of the ranges, and take these out
 *
 * Call it once, when nothing overrides the ranges any more. A rule without a map stays as it is.
 *
 * Return: 0, -EINVAL and the problem in @ret_why, -ENOMEM
 */
int conf_place_map(struct rule *rule, struct arena *arena, char *ret_why, size_t size);

/**
 * conf_range() - Read a range by itself
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int conf_range(const char *text, struct arena *arena, const struct range **ret_range, char *ret_why,
	       size_t size);

/**
 * conf_pool() - The ports that leases come from
 *
 * What `pool` says; else CONF_POOL_FIRST to CONF_POOL_LAST, less what sections have as their own.
 *
 * Return: 0, -EINVAL if sections have all of it, -ENOMEM
 */
int conf_pool(const struct policy *policy, struct arena *arena, const struct range **ret_pool);

/**
 * conf_lease() - Read how many ports a lease is to have
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL
 */
int conf_lease(const char *text, uint32_t *ret_count, char *ret_why, size_t size);

/**
 * conf_lease_fits() - Does a block of so many ports lie in one piece of a pool?
 * @ret_why:	if not, the problem
 *
 * Return: 0, -EINVAL
 */
int conf_lease_fits(uint32_t count, const struct range *pool, char *ret_why, size_t size);

/**
 * conf_check() - Is a rule without contradiction?
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL
 */
int conf_check(const struct rule *rule, char *ret_why, size_t size);

/**
 * conf_log_valid() - Is it a log destination: stderr, syslog, none or an absolute path,
 * with "json:" before it or not?
 */
int conf_log_valid(const char *text, char *ret_why, size_t size);

#endif
