/* check_sockets: what is on the ports of a range at this moment, and whose it is; it looks at no file. */
#ifndef PORTFENCE_CLI_CHECK_SOCKETS_H
#define PORTFENCE_CLI_CHECK_SOCKETS_H

#include "check_findings.h"
#include "section_ranges.h"

/**
 * check_sockets_find() - Hold all ranges against this network namespace's sockets
 *
 * What a section's own processes listen on is no finding. Whose processes cannot
 * be seen, for want of root's rights, is said.
 */
void check_sockets_find(const struct section_range *range, size_t count,
			struct check_findings *findings);

#endif
