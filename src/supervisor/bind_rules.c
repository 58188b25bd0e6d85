#include "bind_rules.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The library and the supervisor judge every bind() that names a port, but a hostile
 * program can pass them by: through the library's gate, or by io_uring where that
 * is allowed. Landlock's rules are a process's credentials, so nothing passes
 * them by. They name ports that are allowed, one by one, and there are none for ranges.
 *
 * Our own binds have to go on. The supervisor stands outside the rules. The library's
 * are to ports of the range, to ports that the map has put in the place of others,
 * or to port 0: with the kernel engine, with IP_BIND_ADDRESS_NO_PORT, and where
 * `exhausted = system` falls back. The kernel asks no rule when listen() or connect()
 * chooses a port.
 *
 * Rules on ports alone leave files, signals and mounts as they are. But a process
 * under rules may look only at those under the same ones (ptrace(2) on access,
 * security/landlock/task.c).
 */

/* uapi/linux/landlock.h of Linux 6.7, which not every libc's headers have */
#define CREATE_RULESET_VERSION 1U
#define ABI_WITH_PORTS 4
#define RULE_NET_PORT 2
#define ACCESS_NET_BIND_TCP 1ULL

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
};

struct port_rule {
	uint64_t allowed_access;
	uint64_t port;
};

/* Their numbers are the same on all architectures. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

bool bind_rules_wanted(const struct rule *rule)
{
	return rule->bind == BIND_OWN || rule->bind == BIND_DENY;
}

bool bind_rules_suit(const struct rule *rule, char *ret_why, size_t size)
{
	/* of a lease, the range is the pool until the lease is taken */
	const uint32_t ports = rule->lease ? rule->lease : rule->range[PROTO_TCP]->count;
	/* the one call that asks for the ABI makes no rules, so a supervisor around us does not mind it */
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	if (ports > BIND_RULES_PORTS_MAX)
		snprintf(ret_why, size,
			 "a tcp range of %u ports is too large for it, %d is the most", ports,
			 BIND_RULES_PORTS_MAX);
	else if (abi < 0 && errno == EOPNOTSUPP)
		snprintf(ret_why, size, "Landlock is not enabled on this machine (lsm= at boot)");
	else if (abi < 0)
		snprintf(ret_why, size, "this kernel has no Landlock (%s)", strerror(errno));
	else if (abi < ABI_WITH_PORTS)
		snprintf(
			ret_why, size,
			"this kernel's Landlock has no rules for ports, which came with Linux 6.7");
	else
		return true;
	return false;
}

/* Return: 0, -errno */
static int allow_port(int ruleset, uint16_t port)
{
	const struct port_rule one = { .allowed_access = ACCESS_NET_BIND_TCP, .port = port };

	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &one, 0) ? -errno : 0;
}

/* Return: 0, -errno */
static int allow_ports(int ruleset, const struct rule *rule)
{
	const struct range *range = rule->range[PROTO_TCP];
	int rc = allow_port(ruleset, 0);
	uint32_t i;

	for (i = 0; !rc && i < range->count; i++)
		rc = allow_port(ruleset, range_port(range, i));
	for (i = 0; !rc && rule->map && i < rule->map->count; i++)
		rc = allow_port(ruleset, rule->map->entry[i].real);
	return rc;
}

bool bind_rules_set(const struct rule *rule, char *ret_why, size_t size)
{
	const struct ruleset attr = { .handled_access_net = ACCESS_NET_BIND_TCP };
	int ruleset, rc;

	if (!bind_rules_suit(rule, ret_why, size))
		return false;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	rc = ruleset < 0 ? -errno : allow_ports(ruleset, rule);
	if (!rc && syscall(SYS_landlock_restrict_self, ruleset, 0))
		rc = -errno;
	if (ruleset >= 0)
		close(ruleset);
	if (rc)
		snprintf(ret_why, size, "the kernel takes no Landlock rules (%s)", strerror(-rc));
	return !rc;
}
