/* busy: what is on the ports of a range at this moment, and whose it is; it looks at no file. */
#ifndef PORTFENCE_CLI_BUSY_H
#define PORTFENCE_CLI_BUSY_H

#include "findings.h"
#include "parts.h"

/**
 * busy_judge() - Hold all ranges against this network namespace's sockets
 *
 * What a section's own processes listen on is no finding. Whose processes cannot
 * be seen, for want of root's rights, is said.
 */
void busy_judge(const struct part *part, size_t count, struct findings *findings);

#endif
