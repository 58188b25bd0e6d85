#include "occupancy.h"

#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 65536

/* What is known of a port so far; the strongest holder counts. */
enum { FREE, WAITING, ORPHANED, HELD, HELD_OUTSIDE };

/* Of each port of one protocol */
struct check_ranges {
	unsigned char state[PORTS];
};

/* A claim says who has which port, in one number, so that sorting brings equals together. */

static uint64_t make_claim(enum occupancy_kind kind, uint32_t id, enum proto proto, uint16_t port)
{
	return (uint64_t)kind << 56 | (uint64_t)id << 24 | (uint64_t)proto << 16 | port;
}

static enum occupancy_kind claim_kind(uint64_t claim)
{
	return (enum occupancy_kind)(claim >> 56);
}

static uint32_t claim_id(uint64_t claim)
{
	return (uint32_t)(claim >> 24);
}

static enum proto claim_proto(uint64_t claim)
{
	return (enum proto)(claim >> 16 & 0xff);
}

static uint16_t claim_port(uint64_t claim)
{
	return (uint16_t)claim;
}

struct claims {
	uint64_t *claim;
	size_t count;
};

static int add_claim(struct claims *claims, uint64_t claim)
{
	uint64_t *larger = array_grow(claims->claim, claims->count, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	claims->claim = larger;
	claims->claim[claims->count++] = claim;
	return 0;
}

static int compare_claims(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static unsigned char judge(const struct sockets_entry *entry)
{
	if (entry->inode)
		return HELD;
	return entry->state == SOCKETS_TIME_WAIT ? WAITING : ORPHANED;
}

/* ---- destinations ---- */

struct destination {
	uint8_t remote[16];
	uint16_t remote_port;
	uint16_t local_port;
	uint32_t entry; /* not compared */
};

static int compare_destinations(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct destination, entry));
}

/* Finds the peer towards which most ports are taken: a TCP port serves one connection to each. */
static int find_fullest(const struct sockets *sockets, struct occupancy_proto *proto)
{
	struct destination *list = calloc(proto->sockets + 1, sizeof(*list));
	const struct destination *before = NULL;
	uint32_t ports = 0;
	size_t i, count = 0;

	if (!list)
		return -ENOMEM;
	for (i = 0; i < sockets->count; i++) {
		const struct sockets_entry *entry = &sockets->entry[i];

		if (sockets_proto(entry) != PROTO_TCP || !entry->remote_port ||
		    !range_has(proto->range, entry->local_port))
			continue;
		memcpy(list[count].remote, entry->remote, sizeof(entry->remote));
		list[count].remote_port = entry->remote_port;
		list[count].local_port = entry->local_port;
		list[count++].entry = (uint32_t)i;
	}
	qsort(list, count, sizeof(*list), compare_destinations);
	for (i = 0; i < count; before = &list[i++]) {
		if (before && !compare_destinations(before, &list[i]))
			continue;
		if (!before || memcmp(before, &list[i], offsetof(struct destination, local_port))) {
			proto->destinations++;
			ports = 0;
		}
		if (++ports > proto->fullest_ports) {
			proto->fullest_ports = ports;
			proto->fullest = &sockets->entry[list[i].entry];
		}
	}
	free(list);
	return 0;
}

/* ---- holders ---- */

static bool is_outside(const struct rule *rule, const struct fenced *fenced)
{
	int proto;

	if (fenced->state == FENCED_NOT)
		return true;
	if (fenced->state != FENCED_RULE)
		return false;
	if (*rule->name)
		return strcmp(rule->name, fenced->rule->name);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		if (range_overlap(rule->range[proto], fenced->rule->range[proto]))
			return false;
	return true;
}

static int claim_socket(const struct sockets_entry *entry, unsigned char strongest,
			const struct processes *processes, struct claims *claims)
{
	const enum proto proto = sockets_proto(entry);
	const uint16_t port = entry->local_port;
	const struct processes_hold *hold = NULL;
	size_t i, count;

	if (!entry->inode) {
		enum occupancy_kind kind =
			strongest == WAITING ? OCCUPANCY_TIME_WAIT : OCCUPANCY_NOBODY;

		return strongest == HELD ? 0 : add_claim(claims, make_claim(kind, 0, proto, port));
	}
	count = processes_holders(processes, entry->inode, &hold);
	if (!count)
		return add_claim(claims, make_claim(OCCUPANCY_UNSEEN, entry->uid, proto, port));
	for (i = 0; i < count; i++)
		if (add_claim(claims, make_claim(OCCUPANCY_PROCESS, hold[i].process, proto, port)))
			return -ENOMEM;
	return 0;
}

static int compare_holders(const void *a, const void *b)
{
	const struct occupancy_holder *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	if (x->kind == OCCUPANCY_PROCESS)
		return (x->process > y->process) - (x->process < y->process);
	return (x->uid > y->uid) - (x->uid < y->uid);
}

static int count_holders(const struct processes *processes, struct fenced_looks *looks,
			 struct claims *claims, struct check_ranges ports[PROTO_COUNT],
			 struct occupancy *usage)
{
	struct occupancy_holder *holder = NULL;
	size_t i;

	if (!claims->count)
		return 0;
	qsort(claims->claim, claims->count, sizeof(*claims->claim), compare_claims);
	usage->holder = calloc(claims->count, sizeof(*holder));
	if (!usage->holder)
		return -ENOMEM;
	for (i = 0; i < claims->count; i++) {
		uint64_t claim = claims->claim[i], last = i ? claims->claim[i - 1] : 0;

		if (i && claim == last)
			continue;
		if (!i || claim_kind(claim) != claim_kind(last) ||
		    claim_id(claim) != claim_id(last)) {
			holder = &usage->holder[usage->holders++];
			holder->kind = claim_kind(claim);
			holder->uid = claim_id(claim);
			if (holder->kind == OCCUPANCY_PROCESS) {
				holder->process = &processes->entry[claim_id(claim)];
				holder->fenced = fenced_look(looks, holder->process->pid);
				holder->outside = is_outside(usage->rule, holder->fenced);
			}
		}
		holder->ports[claim_proto(claim)]++;
		holder->total++;
		/* several of them may share it */
		if (holder->outside &&
		    ports[claim_proto(claim)].state[claim_port(claim)] != HELD_OUTSIDE)
			usage->outside++;
		if (holder->outside)
			ports[claim_proto(claim)].state[claim_port(claim)] = HELD_OUTSIDE;
	}
	qsort(usage->holder, usage->holders, sizeof(*holder), compare_holders);
	return 0;
}

/* ---- the whole ---- */

/* Counts ports once each is known by its strongest holder. */
static int count_ports(const struct check_ranges *ports, struct occupancy_proto *proto)
{
	uint32_t i;

	proto->used = calloc(proto->range->count, sizeof(*proto->used));
	if (!proto->used)
		return -ENOMEM;
	for (i = 0; i < proto->range->count; i++) {
		unsigned char now = ports->state[range_port(proto->range, i)];

		proto->used[i] = now != FREE;
		proto->ports += now != FREE;
		proto->waiting += now == WAITING;
	}
	return 0;
}

int occupancy_read(const struct rule *rule, const struct sockets *sockets,
		   const struct processes *processes, struct fenced_looks *looks,
		   struct occupancy *ret_usage)
{
	struct check_ranges *ports = calloc(PROTO_COUNT, sizeof(*ports));
	struct claims claims = { .count = 0 };
	int proto, rc = ports ? 0 : -ENOMEM;
	size_t i;

	memset(ret_usage, 0, sizeof(*ret_usage));
	ret_usage->rule = rule;
	for (proto = 0; proto < PROTO_COUNT; proto++)
		ret_usage->proto[proto].range = rule->range[proto];
	for (i = 0; !rc && i < sockets->count; i++) {
		const struct sockets_entry *entry = &sockets->entry[i];
		unsigned char *state = &ports[sockets_proto(entry)].state[entry->local_port];
		unsigned char now = judge(entry);

		*state = now > *state ? now : *state;
		if (range_has(rule->range[sockets_proto(entry)], entry->local_port))
			ret_usage->proto[sockets_proto(entry)].sockets++;
	}
	for (proto = 0; !rc && proto < PROTO_COUNT; proto++)
		rc = count_ports(&ports[proto], &ret_usage->proto[proto]);
	for (i = 0; !rc && i < sockets->count; i++) {
		const struct sockets_entry *entry = &sockets->entry[i];

		proto = sockets_proto(entry);
		if (range_has(rule->range[proto], entry->local_port))
			rc = claim_socket(entry, ports[proto].state[entry->local_port], processes,
					  &claims);
	}
	if (!rc)
		rc = count_holders(processes, looks, &claims, ports, ret_usage);
	if (!rc)
		rc = find_fullest(sockets, &ret_usage->proto[PROTO_TCP]);
	free(claims.claim);
	free(ports);
	return rc;
}

void occupancy_free(struct occupancy *usage)
{
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++)
		free(usage->proto[proto].used);
	free(usage->holder);
	memset(usage, 0, sizeof(*usage));
}
