/* rules_systemd: a drop-in that fences a unit of systemd by one section. */
#ifndef PORTFENCE_CLI_RULES_SYSTEMD_H
#define PORTFENCE_CLI_RULES_SYSTEMD_H

#include "rules_plan.h"

/**
 * rules_systemd_print() - Print a drop-in, for UNIT.d/portfence.conf
 * @unit:	"NAME" or "NAME.service", looked for where systemd looks; with a slash, a file
 * @plan:	with one application
 *
 * Return: 0, or say_status() after the problem was reported; nothing is printed then
 */
int rules_systemd_print(const char *unit, const struct rules_plan *plan);

#endif
