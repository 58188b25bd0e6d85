/* rules_iptables: the sections' ports as chains for iptables-restore(8) and ip6tables-restore(8). */
#ifndef PORTFENCE_CLI_RULES_IPTABLES_H
#define PORTFENCE_CLI_RULES_IPTABLES_H

#include "rules_plan.h"

/*
 * rules_iptables_print() - Print a file for `iptables-restore --noflush` and `ip6tables-restore --noflush`
 *
 * It holds chains of its own alone. A rule names at most 15 ports (multiport), so a range of many
 * pieces takes several rules.
 */
void rules_iptables_print(const struct rules_plan *plan);

#endif
