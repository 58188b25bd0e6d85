/* check_indexes: whether the slices of two hosts share a port; it looks at no other host. */
#ifndef PORTFENCE_CLI_CHECK_INDEXES_H
#define PORTFENCE_CLI_CHECK_INDEXES_H

#include "../core/policy.h"
#include "check_findings.h"

/**
 * check_indexes_begin() - Let the configuration be read on a host that has no index
 *
 * Sets PORTFENCE_INDEX to 0 in this process unless it is set. Return: 0, -ENOMEM
 */
int check_indexes_begin(void);

/**
 * check_indexes_find() - Compare the slices of all hosts
 * @config:	as for sections_read()
 * @policy:	what it was read as. The hosts are those of its section [hosts]; without one, all
 *		indexes from 0 on for which each slice lies below port 65536
 *
 * Reads the configuration once for each index, and leaves PORTFENCE_INDEX changed.
 */
void check_indexes_find(const char *config, const struct policy *policy,
			struct check_findings *findings);

#endif
