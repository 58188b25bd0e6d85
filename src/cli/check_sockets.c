#include "check_sockets.h"

#include "../machine/fenced.h"
#include "../machine/processes.h"
#include "../machine/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTS 65536
#define LISTENERS_SHOWN 10

/* What is on one port. */
struct load {
	uint32_t sockets;
	uint32_t waiting;   /* of these, in TIME_WAIT */
	uint32_t listeners; /* how many of the sockets are listened on */
	uint32_t first;     /* of them, index into busy.listener */
};

struct check_sockets {
	struct sockets sockets;
	struct processes processes;
	struct fenced_looks looks;
	struct load *load[PROTO_COUNT];        /* by port */
	const struct sockets_entry **listener; /* by protocol and port */
	size_t listeners;
	uint32_t *seen; /* by process: in which round it was met last */
	uint32_t round;
	struct check_findings *findings;
};

/* Does it wait for whoever comes? A UDP socket does unless it is connected. */
static bool listens(const struct sockets_entry *entry)
{
	return entry->state == (sockets_proto(entry) == PROTO_UDP ? SOCKETS_CLOSE : SOCKETS_LISTEN);
}

static int compare_listeners(const void *a, const void *b)
{
	const struct sockets_entry *x = *(const struct sockets_entry *const *)a;
	const struct sockets_entry *y = *(const struct sockets_entry *const *)b;

	if (sockets_proto(x) != sockets_proto(y))
		return sockets_proto(x) < sockets_proto(y) ? -1 : 1;
	if (x->local_port != y->local_port)
		return x->local_port < y->local_port ? -1 : 1;
	return (x->inode > y->inode) - (x->inode < y->inode);
}

static int read_load(struct check_sockets *busy)
{
	size_t i;
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++) {
		busy->load[proto] = calloc(PORTS, sizeof(*busy->load[proto]));
		if (!busy->load[proto])
			return -ENOMEM;
	}
	busy->listener = calloc(busy->sockets.count + 1, sizeof(*busy->listener));
	busy->seen = calloc(busy->processes.count + 1, sizeof(*busy->seen));
	if (!busy->listener || !busy->seen)
		return -ENOMEM;
	for (i = 0; i < busy->sockets.count; i++) {
		const struct sockets_entry *entry = &busy->sockets.entry[i];
		struct load *load = &busy->load[sockets_proto(entry)][entry->local_port];

		load->sockets++;
		load->waiting += entry->state == SOCKETS_TIME_WAIT;
		if (listens(entry))
			busy->listener[busy->listeners++] = entry;
	}
	qsort(busy->listener, busy->listeners, sizeof(*busy->listener), compare_listeners);
	for (i = 0; i < busy->listeners; i++) {
		const struct sockets_entry *entry = busy->listener[i];
		struct load *load = &busy->load[sockets_proto(entry)][entry->local_port];

		if (!load->listeners++)
			load->first = (uint32_t)i;
	}
	return 0;
}

/* ---- who listens ---- */

/* Who of those that listen on a port is not fenced by the section. */
struct strangers {
	const struct process *first;
	uint32_t count;
	const struct sockets_entry *unseen; /* a socket of nobody who can be seen */
};

static bool is_own(struct check_sockets *busy, const struct rule *rule,
		   const struct process *process)
{
	const struct fenced *fenced = fenced_look(&busy->looks, process->pid);

	return fenced->state == FENCED_RULE && !strcmp(fenced->rule->name, rule->name);
}

static void find_strangers(struct check_sockets *busy, const struct rule *rule,
			   const struct load *load, struct strangers *ret_strangers)
{
	struct strangers strangers = { .first = NULL };
	uint32_t i;

	busy->round++;
	for (i = 0; i < load->listeners; i++) {
		const struct sockets_entry *entry = busy->listener[load->first + i];
		const struct processes_hold *hold = NULL;
		size_t k, count = processes_holders(&busy->processes, entry->inode, &hold);

		if (!count)
			strangers.unseen = entry;
		for (k = 0; k < count; k++) {
			const struct process *process = &busy->processes.entry[hold[k].process];

			/* one process may hold several, of IPv4 and of IPv6 */
			if (busy->seen[hold[k].process] == busy->round)
				continue;
			busy->seen[hold[k].process] = busy->round;
			if (is_own(busy, rule, process))
				continue;
			if (!strangers.count++)
				strangers.first = process;
		}
	}
	*ret_strangers = strangers;
}

static void say_listener(struct check_sockets *busy, const struct section_range *part,
			 enum proto proto, uint16_t port, const struct strangers *strangers)
{
	char user[PROCESSES_USER], who[PROCESSES_USER + 128], more[32] = "";

	if (strangers->first) {
		processes_format_user(strangers->first->uid, user);
		if (strangers->count > 1)
			snprintf(more, sizeof(more), " and %u more", strangers->count - 1);
		snprintf(who, sizeof(who), "'%s' (pid %d, %s)%s", strangers->first->name,
			 (int)strangers->first->pid, user, more);
	} else {
		processes_format_user(strangers->unseen->uid, user);
		snprintf(who, sizeof(who), "a process of %s that %s", user,
			 geteuid() ? "only root can see" : "cannot be seen from here");
	}
	check_findings_add(
		busy->findings, SAY_WARNING, part->line, "listener", part->rule->name,
		"%s port %d of '%s' of [%s] is listened on by %s; leave it out with 'exclude = "
		"%d', or give that program another",
		policy_proto_name(proto), port, part->key, part->rule->name, who, port);
}

static void judge_listeners(struct check_sockets *busy, const struct section_range *part,
			    enum proto proto)
{
	uint32_t i, found = 0;

	for (i = 0; i < part->range->count; i++) {
		const uint16_t port = range_port(part->range, i);
		const struct load *load = &busy->load[proto][port];
		struct strangers strangers;

		if (!load->listeners)
			continue;
		find_strangers(busy, part->rule, load, &strangers);
		if ((strangers.first || strangers.unseen) && found++ < LISTENERS_SHOWN)
			say_listener(busy, part, proto, port, &strangers);
	}
	if (found > LISTENERS_SHOWN)
		check_findings_add(
			busy->findings, SAY_WARNING, part->line, "listener", part->rule->name,
			"%u more %s ports of '%s' of [%s] are listened on, see 'portfence "
			"status'",
			found - LISTENERS_SHOWN, policy_proto_name(proto), part->key,
			part->rule->name);
}

/* ---- how many there are ---- */

/* The connections that a listener has accepted share its port, and need none of the range's. */
static void judge_size(struct check_sockets *busy, const struct section_range *part,
		       enum proto proto)
{
	uint32_t i, sockets = 0, waiting = 0;

	for (i = 0; i < part->range->count; i++) {
		const struct load *load = &busy->load[proto][range_port(part->range, i)];

		sockets += proto != PROTO_UDP && load->listeners ? 1 : load->sockets;
		waiting += proto != PROTO_UDP && load->listeners ? 0 : load->waiting;
	}
	if (sockets > part->range->count)
		check_findings_add(
			busy->findings, SAY_WARNING, part->line, "sockets", part->rule->name,
			"'%s' of [%s] has %u port%s, fewer than the %u %s sockets on %s today "
			"(%u in TIME_WAIT); widen it",
			part->key, part->rule->name, part->range->count,
			part->range->count == 1 ? "" : "s", sockets, policy_proto_name(proto),
			part->range->count == 1 ? "it" : "them", waiting);
}

void check_sockets_find(const struct section_range *part, size_t count,
			struct check_findings *findings)
{
	struct check_sockets busy = { .findings = findings };
	size_t i;
	int proto, rc;

	rc = sockets_read(0, &busy.sockets);
	if (rc)
		check_findings_add(
			findings, SAY_NOTE, 0, "unseen", NULL,
			"the kernel does not tell of its sockets (%s), so nothing is said of "
			"what is on the ports now",
			strerror(-rc));
	/* without /proc, nobody can be seen */
	if (!rc)
		processes_read(&busy.sockets, &busy.processes);
	if (!rc && read_load(&busy)) {
		findings->no_memory = true;
		rc = -ENOMEM;
	}
	for (i = 0; !rc && i < count; i++) {
		for (proto = 0; proto < PROTO_COUNT; proto++) {
			/* a lease passes over what is in use */
			if (part[i].rule->lease || !(part[i].protos & 1U << proto))
				continue;
			judge_listeners(&busy, &part[i], (enum proto)proto);
			judge_size(&busy, &part[i], (enum proto)proto);
		}
	}
	for (proto = 0; proto < PROTO_COUNT; proto++)
		free(busy.load[proto]);
	free(busy.listener);
	free(busy.seen);
	sockets_free(&busy.sockets);
	processes_free(&busy.processes);
	fenced_forget(&busy.looks);
}
