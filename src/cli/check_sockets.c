#include "check_sockets.h"

#include "../machine/snapshot.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LISTENERS_SHOWN 10

/* What is compared with one range, for one protocol. */
struct comparison {
	struct snapshot *snapshot;
	const struct section_range *range;
	enum proto proto;
	struct check_findings *findings;
	uint32_t sockets;   /* on the range */
	uint32_t waiting;   /* of these, in TIME_WAIT */
	uint32_t listeners; /* ports that others listen on */
};

/* What is on one port. */
struct load {
	uint32_t sockets;
	uint32_t waiting; /* of these, in TIME_WAIT */
	bool listened;
	uint32_t others;             /* processes that listen and are not fenced by the section */
	const struct process *first; /* of them */
	const struct sockets_entry *unseen; /* a listener whose process cannot be seen */
};

/* Does it wait for whoever comes? A UDP socket does unless it is connected. */
static bool listens(const struct sockets_entry *entry)
{
	return entry->state == (sockets_proto(entry) == PROTO_UDP ? SOCKETS_CLOSE : SOCKETS_LISTEN);
}

/* Did the process of a listener come before? One may hold several, of IPv4 and of IPv6. */
static bool is_repeated(const struct snapshot_holding *holding, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++)
		if (holding[i].process == holding[index].process && listens(holding[i].entry))
			return true;
	return false;
}

static bool is_own(const struct comparison *comparison, const struct process *process)
{
	const struct fenced *fenced = snapshot_fenced(comparison->snapshot, process);

	return fenced->state == FENCED_RULE &&
	       !strcmp(fenced->rule->name, comparison->range->rule->name);
}

static struct load read_load(const struct comparison *comparison, uint16_t port)
{
	struct load load = { .sockets = 0 };
	const struct snapshot_holding *holding;
	size_t i, count = snapshot_on_port(comparison->snapshot, comparison->proto, port, &holding);

	for (i = 0; i < count; i++) {
		const struct sockets_entry *entry = holding[i].entry;

		if (!i || entry != holding[i - 1].entry) {
			load.sockets++;
			load.waiting += entry->state == SOCKETS_TIME_WAIT;
		}
		if (!listens(entry))
			continue;
		load.listened = true;
		if (!holding[i].process)
			load.unseen = entry;
		else if (!is_repeated(holding, i) && !is_own(comparison, holding[i].process) &&
			 !load.others++)
			load.first = holding[i].process;
	}
	return load;
}

static void say_listener(const struct comparison *comparison, uint16_t port,
			 const struct load *load)
{
	const struct section_range *range = comparison->range;
	char user[PROCESSES_USER], who[PROCESSES_USER + 128], more[32] = "";

	if (load->first) {
		processes_format_user(load->first->uid, user);
		if (load->others > 1)
			snprintf(more, sizeof(more), " and %u more", load->others - 1);
		snprintf(who, sizeof(who), "'%s' (pid %d, %s)%s", load->first->name,
			 (int)load->first->pid, user, more);
	} else {
		processes_format_user(load->unseen->uid, user);
		snprintf(who, sizeof(who), "a process of %s that %s", user,
			 geteuid() ? "only root can see" : "cannot be seen from here");
	}
	check_findings_add(
		comparison->findings, SAY_WARNING, range->line, "listener", range->rule->name,
		"%s port %d of '%s' of [%s] is listened on by %s; leave it out with 'exclude = "
		"%d', or give that program another",
		policy_proto_name(comparison->proto), port, range->key, range->rule->name, who,
		port);
}

static void compare_port(struct comparison *comparison, uint16_t port)
{
	const struct load load = read_load(comparison, port);

	/* the connections that a listener has accepted share its port, and need none of the range's */
	if (load.listened && comparison->proto != PROTO_UDP) {
		comparison->sockets++;
	} else {
		comparison->sockets += load.sockets;
		comparison->waiting += load.waiting;
	}
	if ((load.first || load.unseen) && comparison->listeners++ < LISTENERS_SHOWN)
		say_listener(comparison, port, &load);
}

static void compare_range(struct comparison *comparison)
{
	const struct section_range *range = comparison->range;
	const char *proto = policy_proto_name(comparison->proto);
	const uint32_t count = range->range->count;
	uint32_t i;

	for (i = 0; i < count; i++)
		compare_port(comparison, range_port(range->range, i));
	if (comparison->listeners > LISTENERS_SHOWN)
		check_findings_add(
			comparison->findings, SAY_WARNING, range->line, "listener",
			range->rule->name,
			"%u more %s ports of '%s' of [%s] are listened on, see 'portfence "
			"status'",
			comparison->listeners - LISTENERS_SHOWN, proto, range->key,
			range->rule->name);
	if (comparison->sockets > count)
		check_findings_add(
			comparison->findings, SAY_WARNING, range->line, "sockets",
			range->rule->name,
			"'%s' of [%s] has %u port%s, fewer than the %u %s sockets on %s now (%u in "
			"TIME_WAIT); widen it",
			range->key, range->rule->name, count, say_plural(count),
			comparison->sockets, proto, count == 1 ? "it" : "them",
			comparison->waiting);
}

void check_sockets_find(const struct section_range *range, size_t count,
			struct check_findings *findings)
{
	struct snapshot snapshot = { .holdings = 0 };
	const char *why;
	size_t i;
	int proto, rc = snapshot_take(0, NULL, &snapshot, &why);

	if (rc)
		check_findings_add(findings, SAY_NOTE, 0, "unseen", NULL,
				   "%s (%s), so it is not checked what uses the ports now", why,
				   strerror(-rc));
	for (i = 0; !rc && i < count; i++) {
		for (proto = 0; proto < PROTO_COUNT; proto++) {
			struct comparison comparison = {
				.snapshot = &snapshot,
				.range = &range[i],
				.proto = (enum proto)proto,
				.findings = findings,
			};

			/* a lease passes over what is in use */
			if (!range[i].rule->lease && range[i].protos & 1U << proto)
				compare_range(&comparison);
		}
	}
	snapshot_free(&snapshot);
}
