/* preset: the named ranges, and the ranges that this machine is set to; it judges none of them. */
#ifndef PORTFENCE_CORE_PRESET_H
#define PORTFENCE_CORE_PRESET_H

#include "range.h"

struct preset {
	const char *name;
	uint16_t first;
	uint16_t last;
	const char *whose;
	const char *source; /* where that is written */
};

/* The table; it ends with a name that is NULL. `system` and `services` are not in it. */
extern const struct preset preset_table[];

/**
 * preset_add() - Add a preset's ports, or this machine's ephemeral range ("system"), to a set
 *
 * Return: 0, -ENOENT for an unknown name, another -errno if the range cannot be read
 */
int preset_add(const char *name, struct range_set *set);

/**
 * preset_add_exclusion() - As preset_add(), and also "services", which is each port of /etc/services
 */
int preset_add_exclusion(const char *name, struct range_set *set);

/**
 * preset_ephemeral() - This network namespace's ephemeral range
 *
 * Return: 0, or -errno. Source: ip-sysctl.rst, ip_local_port_range.
 */
int preset_ephemeral(uint16_t *ret_first, uint16_t *ret_last);

/**
 * preset_add_reserved() - Add to a set the ports that the kernel never chooses in this network namespace
 *
 * Return: 0, or -errno. Source: ip-sysctl.rst, ip_local_reserved_ports.
 */
int preset_add_reserved(struct range_set *set);

#endif
