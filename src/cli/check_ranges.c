#include "check_ranges.h"

#include "../core/preset.h"
#include "../core/settings.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define OVERLAPS_SHOWN 10
#define SERVICES_SHOWN 5
#define WELL_KNOWN_LAST 1023
#define SYSCTL "net.ipv4.ip_local_reserved_ports="

/* The kernel reads no more of a sysctl, and is silent about the rest (kernel/sysctl.c). */
#define SYSCTL_LONGEST 4095

/* What this machine has. Sets that cannot be read are empty. */
struct machine {
	uint16_t first, last; /* the ephemeral range */
	unsigned start;       /* lowest port that any program may bind to */
	bool may_bind;        /* this process may bind to all ports */
	struct range_set ephemeral;
	struct range_set reserved;
	struct range_set open; /* what other programs can be given: the first but for the second */
	struct range_set services;
	struct range_set privileged; /* ports that not every program may bind to */
	struct range_set well_known; /* the others below 1024 */
};

struct check_ranges {
	struct machine machine;
	struct check_findings *findings;
	struct arena arena;
	struct range_set wanted; /* what ought to be reserved */
	struct range_set other;  /* for a moment */
};

static void read_machine(struct machine *machine, struct check_findings *findings)
{
	int rc;

	rc = preset_ephemeral(&machine->first, &machine->last);
	if (!rc)
		range_set_add(&machine->ephemeral, machine->first, machine->last);
	if (!rc)
		rc = preset_add_reserved(&machine->reserved);
	if (rc)
		check_findings_add(
			findings, SAY_NOTE, 0, "unseen", NULL,
			"the system's own range and its reservations cannot be read (%s), so they are not "
			"checked",
			strerror(-rc));
	range_set_join(&machine->open, &machine->ephemeral);
	range_set_remove(&machine->open, &machine->reserved);
	/* without the file, no port has a name */
	preset_add_exclusion("services", &machine->services);
	machine->start = settings_unprivileged_port();
	if (machine->start > 1)
		range_set_add(&machine->privileged, 1, (uint16_t)(machine->start - 1));
	range_set_add(&machine->well_known, 1, WELL_KNOWN_LAST);
	range_set_remove(&machine->well_known, &machine->privileged);
	machine->may_bind = settings_port_start() == 0;
}

/* ---- other sections ---- */

static void say_overlap(struct check_ranges *check, const struct section_range *entry,
			const struct section_range *other)
{
	const bool same = entry->rule->file == other->rule->file;
	const struct range *common;
	char ports[SECTION_RANGES_TEXT];

	range_set_clear(&check->other);
	range_set_add_range(&check->other, other->range);
	common = section_ranges_common(entry->range, &check->other, &check->arena);
	if (!common)
		return;
	section_ranges_format(common, ports);
	check_findings_add(
		check->findings, SAY_WARNING, entry->line, "overlap", entry->rule->name,
		"'%s' of [%s] overlaps '%s' of [%s] (%s%s%u) in %s; give each application "
		"ports of its own",
		entry->key, entry->rule->name, other->key, other->rule->name,
		same ? "line " : other->rule->file, same ? "" : ":", other->line, ports);
}

/* Compares one range with those before it. */
static void find_overlaps(struct check_ranges *check, const struct section_range *first,
			  const struct section_range *entry)
{
	const struct section_range *other;
	unsigned overlaps = 0;

	/* two leases have no port in common */
	for (other = first; other < entry; other++)
		if (!(other->rule->lease && entry->rule->lease) && other->protos & entry->protos &&
		    range_overlap(other->range, entry->range) && overlaps++ < OVERLAPS_SHOWN)
			say_overlap(check, entry, other);
	if (overlaps > OVERLAPS_SHOWN)
		check_findings_add(check->findings, SAY_WARNING, entry->line, "overlap",
				   entry->rule->name,
				   "'%s' of [%s] overlaps %u more ranges above it", entry->key,
				   entry->rule->name, overlaps - OVERLAPS_SHOWN);
}

/* ---- the system ---- */

/* Does the range hold all of the ephemeral range? */
static bool covers_ephemeral(const struct machine *machine, const struct range *range)
{
	uint32_t i;

	for (i = 0; i < range->spans; i++)
		if (range->span[i].first <= machine->first && range->span[i].last >= machine->last)
			return true;
	return false;
}

static void find_ephemeral(struct check_ranges *check, const struct section_range *entry)
{
	const struct machine *machine = &check->machine;
	const char *key = entry->key, *name = entry->rule->name;
	const bool all = covers_ephemeral(machine, entry->range);
	const struct range *taken;
	char ports[SECTION_RANGES_TEXT];

	taken = section_ranges_common(entry->range, &machine->open, &check->arena);
	if (!taken)
		return;
	section_ranges_format(taken, ports);
	if (all && range_first(entry->range) == machine->first &&
	    range_last(entry->range) == machine->last) {
		check_findings_add(
			check->findings, SAY_NOTE, entry->line, "ephemeral", name,
			"'%s' of [%s] is the system's own ephemeral range, so every other "
			"program may be given its ports",
			key, name);
	} else if (all) {
		check_findings_add(
			check->findings, SAY_WARNING, entry->line, "ephemeral", name,
			"'%s' of [%s] holds all of the system's ephemeral range %d-%d, so every other "
			"program may be given its ports, and reserving them would leave those programs none; "
			"choose a range outside of it",
			key, name, machine->first, machine->last);
	} else if (entry->rule->engine == ENGINE_KERNEL) {
		check_findings_add(
			check->findings, SAY_WARNING, entry->line, "ephemeral", name,
			"other programs may be given %s of '%s' of [%s], as the system's "
			"ephemeral range is %d-%d, and 'engine = kernel' needs them unreserved; "
			"use 'engine = auto' and reserve them",
			ports, key, name, machine->first, machine->last);
	} else {
		check_findings_add(
			check->findings, SAY_WARNING, entry->line, "ephemeral", name,
			"other programs may be given %s of '%s' of [%s], as the system's ephemeral range is "
			"%d-%d; reserve them as shown at the end, or choose a range outside of it",
			ports, key, name, machine->first, machine->last);
		range_set_add_range(&check->wanted, entry->range);
	}
}

/*
 * A reservation of all that could be given to others is the way to keep a range
 * for its application. One of some ports is somebody else's.
 */
static void find_reserved(struct check_ranges *check, const struct section_range *entry)
{
	const struct machine *machine = &check->machine;
	const char *key = entry->key, *name = entry->rule->name;
	const struct range *cut, *inside, *both = NULL;
	char ports[SECTION_RANGES_TEXT];

	cut = section_ranges_common(entry->range, &machine->reserved, &check->arena);
	if (!cut)
		return;
	inside = section_ranges_common(entry->range, &machine->ephemeral, &check->arena);
	if (inside)
		both = section_ranges_common(inside, &machine->reserved, &check->arena);
	if (cut->count == entry->range->count ||
	    (both && both->count == inside->count && both->count == cut->count)) {
		check_findings_add(
			check->findings, SAY_NOTE, entry->line, "reserved", name,
			"'%s' of [%s] is reserved (ip_local_reserved_ports): the kernel gives "
			"its ports to no program, and portfence binds to them all the same",
			key, name);
		return;
	}
	section_ranges_format(cut, ports);
	check_findings_add(
		check->findings, SAY_WARNING, entry->line, "reserved", name,
		"ip_local_reserved_ports holds %s of '%s' of [%s], which another program may "
		"rely on; leave out what is not this application's with 'exclude'",
		ports, key, name);
}

/* Return: "net.ipv4.ip_local_reserved_ports=...", for the caller to free, or NULL */
static char *compose_sysctl(const struct range *range)
{
	char *list = section_ranges_list(range), *line = NULL, *from, *to;

	if (!list || asprintf(&line, SYSCTL "%s", list) < 0) {
		free(list);
		return NULL;
	}
	/* the kernel takes no blank */
	for (from = to = line; *from; from++)
		if (*from != ' ')
			*to++ = *from;
	*to = '\0';
	free(list);
	return line;
}

/* Tells the one command that reserves all that ought to be, and loses no reservation there is. */
static void say_sysctl(struct check_ranges *check, char **ret_sysctl)
{
	const struct machine *machine = &check->machine;
	struct range_set *all = &check->wanted, *left = &check->other;
	const struct range *range, *others;
	char *line = NULL;

	range_set_join(all, &machine->reserved);
	range_set_clear(left);
	range_set_join(left, &machine->ephemeral);
	range_set_remove(left, all);
	if (range_build(left, &check->arena, &others)) {
		check_findings_add(
			check->findings, SAY_NOTE, 0, "ephemeral", NULL,
			"reserving all these ranges would leave no port of %d-%d to other programs; choose "
			"ranges outside of it",
			machine->first, machine->last);
		return;
	}
	if (!range_build(all, &check->arena, &range))
		line = compose_sysctl(range);
	if (!line) {
		check->findings->no_memory = true;
		return;
	}
	if (strlen(line) > strlen(SYSCTL) + SYSCTL_LONGEST) {
		check_findings_add(
			check->findings, SAY_NOTE, 0, "ephemeral", NULL,
			"reserving all these ranges takes a list of %zu characters, of which the kernel "
			"would read only %d; choose ranges outside of %d-%d, or with fewer gaps",
			strlen(line) - strlen(SYSCTL), SYSCTL_LONGEST, machine->first,
			machine->last);
		free(line);
		return;
	}
	check_findings_add(
		check->findings, SAY_NOTE, 0, "ephemeral", NULL,
		"'sysctl -w %s' reserves these ranges, keeps what is reserved already, and leaves %u "
		"ports to other programs; write what follows '-w' to a file in /etc/sysctl.d to keep "
		"it after a reboot",
		line, others->count);
	check_findings_add(
		check->findings, SAY_NOTE, 0, "ephemeral", NULL,
		"reserving is safe: the kernel skips reserved ports when it chooses one, but any "
		"program may still bind to them explicitly, as the bind engine does; the kernel "
		"engine cannot serve then");
	*ret_sysctl = line;
}

/* ---- others ---- */

static void find_services(struct check_ranges *check, const struct section_range *entry)
{
	const struct range *named =
		section_ranges_common(entry->range, &check->machine.services, &check->arena);
	char list[512];
	size_t used = 0;
	uint32_t i;

	for (i = 0; named && i < named->count && i < SERVICES_SHOWN; i++) {
		const uint16_t port = range_port(named, i);
		const struct servent *service = getservbyport(htons(port), NULL);

		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%d%s%.32s%s",
					 i ? ", " : "", port, service ? " (" : "",
					 service ? service->s_name : "", service ? ")" : "");
	}
	if (named)
		check_findings_add(
			check->findings, SAY_WARNING, entry->line, "services", entry->rule->name,
			"'%s' of [%s] holds %u port%s named in /etc/services: %s%s; leave %s "
			"out %s",
			entry->key, entry->rule->name, named->count, say_plural(named->count), list,
			named->count > SERVICES_SHOWN ? ", ..." : "",
			named->count == 1 ? "it" : "them",
			entry->rule->lease ? "of the 'pool'" : "with 'exclude = services'");
}

static void find_privileged(struct check_ranges *check, const struct section_range *entry)
{
	const struct machine *machine = &check->machine;
	const char *key = entry->key, *name = entry->rule->name;
	const struct range *ports;
	char text[SECTION_RANGES_TEXT];

	ports = section_ranges_common(entry->range, &machine->privileged, &check->arena);
	if (ports) {
		section_ranges_format(ports, text);
		check_findings_add(
			check->findings, machine->may_bind ? SAY_NOTE : SAY_WARNING, entry->line,
			"privileged", name,
			"'%s' of [%s] holds %s that only programs with CAP_NET_BIND_SERVICE, such as root's, "
			"may bind to, and that are skipped for others; any program may bind from port %u on "
			"(ip_unprivileged_port_start)",
			key, name, text, machine->start);
	}
	ports = section_ranges_common(entry->range, &machine->well_known, &check->arena);
	if (ports) {
		section_ranges_format(ports, text);
		check_findings_add(
			check->findings, SAY_NOTE, entry->line, "privileged", name,
			"'%s' of [%s] holds %s below 1024 that any program may bind to here, as to "
			"any port from %u on (ip_unprivileged_port_start)",
			key, name, text, machine->start);
	}
}

void check_ranges_find(const struct section_range *entry, size_t count,
		       struct check_findings *findings, char **ret_sysctl)
{
	struct check_ranges *check = calloc(1, sizeof(*check));
	size_t i;

	*ret_sysctl = NULL;
	if (!check) {
		findings->no_memory = true;
		return;
	}
	check->findings = findings;
	read_machine(&check->machine, findings);
	for (i = 0; i < count; i++) {
		find_overlaps(check, entry, &entry[i]);
		find_ephemeral(check, &entry[i]);
		find_reserved(check, &entry[i]);
		find_services(check, &entry[i]);
		find_privileged(check, &entry[i]);
	}
	if (check->wanted.count)
		say_sysctl(check, ret_sysctl);
	arena_free(&check->arena);
	free(check);
}
