/* check_ranges: who else may claim the ports of a range: sections, system, services; not who has them. */
#ifndef PORTFENCE_CLI_CHECK_RANGES_H
#define PORTFENCE_CLI_CHECK_RANGES_H

#include "check_findings.h"
#include "section_ranges.h"

/**
 * check_ranges_find() - Hold all ranges against each other, this machine's sysctls and /etc/services
 * @ret_sysctl:	what reserves the ranges that other programs may take ports of,
 *		"net.ipv4.ip_local_reserved_ports=...", for the caller to free; NULL if there
 *		is nothing to reserve, or no sense in it
 */
void check_ranges_find(const struct section_range *entry, size_t count,
		       struct check_findings *findings, char **ret_sysctl);

#endif
