/* pool: the ports that leases come from, and how many ports a lease has; it takes no lease. */
#ifndef PORTFENCE_CORE_POOL_H
#define PORTFENCE_CORE_POOL_H

#include "arena.h"
#include "policy.h"
#include "reason.h"

#include <stdint.h>

/* How many ports a lease has if no number is given */
#define POOL_LEASE 100

/* The pool if the configuration names none */
#define POOL_FIRST 20000
#define POOL_LAST 29999

/**
 * pool_find() - The ports that leases come from
 *
 * These are what `pool` says; without it, POOL_FIRST to POOL_LAST without the ports that sections
 * have as their own.
 *
 * Return: 0, -EINVAL if sections have all of them, -ENOMEM
 */
int pool_find(const struct policy *policy, struct arena *arena, const struct range **ret_pool);

/**
 * pool_skip_lease() - What follows the word "lease" at the beginning of a range
 *
 * Return: NULL if there is no such word
 */
const char *pool_skip_lease(const char *text);

/**
 * pool_parse_lease() - Read how many ports a lease is to have
 *
 * Return: 0, -EINVAL and the problem in @ret_why
 */
int pool_parse_lease(const char *text, uint32_t *ret_count, struct reason *ret_why);

/**
 * pool_check_lease() - Is a pool large enough for a lease, in one piece?
 *
 * Return: 0, -EINVAL and the problem in @ret_why
 */
int pool_check_lease(uint32_t count, const struct range *pool, struct reason *ret_why);

#endif
