/* key: what the value of one key says by itself, and to its rule; it knows no file and no line. */
#ifndef PORTFENCE_CORE_KEY_H
#define PORTFENCE_CORE_KEY_H

#include "arena.h"
#include "policy.h"

#include <stddef.h>
#include <stdint.h>

/* A lease's ports where no number is given, and where they come from where no pool is */
#define KEY_LEASE 100
#define KEY_POOL_FIRST 20000
#define KEY_POOL_LAST 29999

/* The keys of a section, of which the environment and the command override some. */
enum key {
	KEY_MATCH,
	KEY_ARGS,
	KEY_RANGE,
	KEY_TCP_RANGE,
	KEY_UDP_RANGE,
	KEY_SCTP_RANGE,
	KEY_EXCLUDE,
	KEY_ORDER,
	KEY_SEED,
	KEY_BIND,
	KEY_EXHAUSTED,
	KEY_ENGINE,
	KEY_VIA,
	KEY_IO_URING,
	KEY_MAP,
	KEY_COUNT
};

/**
 * key_set() - Set a key of a rule whose value stands for itself: any but ranges and what they lack
 * @text:	the value as it stands in the file
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int key_set(struct rule *rule, enum key key, const char *text, struct arena *arena, char *ret_why,
	    size_t size);

/**
 * key_skip_lease() - What follows the word "lease" at the begin of a range
 *
 * Return: NULL if there is no such word
 */
const char *key_skip_lease(const char *text);

/**
 * key_override() - Set one key of a rule from the environment or the command line
 * @text:	the value as it would stand in the file
 * @ret_why:	on failure, the problem
 *
 * Overriding KEY_RANGE replaces the ranges of all protocols and what was excluded.
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int key_override(struct rule *rule, enum key key, const char *text, struct arena *arena,
		 char *ret_why, size_t size);

/**
 * key_place_map() - Give each port of a rule's map its own of the ranges, and take these out
 *
 * Call it once, when nothing overrides the ranges any more. A rule without a map stays as it is.
 *
 * Return: 0, -EINVAL and the problem in @ret_why, -ENOMEM
 */
int key_place_map(struct rule *rule, struct arena *arena, char *ret_why, size_t size);

/**
 * key_range() - Read a range by itself
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int key_range(const char *text, struct arena *arena, const struct range **ret_range, char *ret_why,
	      size_t size);

/**
 * key_pool() - The ports that leases come from
 *
 * What `pool` says; else KEY_POOL_FIRST to KEY_POOL_LAST, less what sections have as their own.
 *
 * Return: 0, -EINVAL if sections have all of it, -ENOMEM
 */
int key_pool(const struct policy *policy, struct arena *arena, const struct range **ret_pool);

/**
 * key_lease() - Read how many ports a lease is to have
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL
 */
int key_lease(const char *text, uint32_t *ret_count, char *ret_why, size_t size);

/**
 * key_lease_fits() - Does a block of so many ports lie in one piece of a pool?
 * @ret_why:	if not, the problem
 *
 * Return: 0, -EINVAL
 */
int key_lease_fits(uint32_t count, const struct range *pool, char *ret_why, size_t size);

/**
 * key_check() - Is a rule without contradiction?
 * @ret_why:	on failure, the problem
 *
 * Return: 0, -EINVAL
 */
int key_check(const struct rule *rule, char *ret_why, size_t size);

#endif
