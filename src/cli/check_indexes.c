#include "check_indexes.h"

#include "../core/text.h"
#include "../core/variables.h"
#include "sections.h"

#include <errno.h>
#include <stdlib.h>

#define PORTS 65536

/* Who has a port. Names are compared by address: they are those of the first reading. */
struct owner {
	const char *name; /* of the section; NULL: nobody has it */
	uint32_t index;
};

struct check_indexes {
	const char *config;
	const struct policy *policy;
	struct check_findings *findings;
	struct owner (*owner)[PORTS]; /* by protocol */
	const char *told[2];          /* the last two sections that share a port */
	bool meets;
	unsigned compared;
	uint32_t index;                 /* whose slices are being compared */
	const struct slices_host *host; /* its host, NULL without a section [hosts] */
};

int check_indexes_begin(void)
{
	return variables_get(VARIABLE_INDEX) ? 0 : variables_set(VARIABLE_INDEX, "0");
}

static bool has_slices(const struct policy *policy)
{
	size_t i;

	for (i = 0; i < policy->count; i++)
		if (policy->rules[i]->sliced)
			return true;
	return policy->pool_sliced;
}

/* Tells of two sections once, not again for each port, host and protocol that follows. */
static void tell_meeting(struct check_indexes *check, const struct owner *one,
			 const struct owner *other, unsigned line, uint32_t port)
{
	if (check->told[0] == one->name && check->told[1] == other->name)
		return;
	check->told[0] = one->name;
	check->told[1] = other->name;
	check->meets = true;
	check_findings_add(check->findings, SAY_ERROR, line, "indexes", NULL,
			   "[%s] with the index %u and [%s] with the index %u both have port %u; "
			   "move their ranges apart%s",
			   other->name, other->index, one->name, one->index, port,
			   check->host ? "" : ", or list the hosts in a section [hosts]");
}

static void claim_range(struct check_indexes *check, const char *name, unsigned line,
			const struct range *range, enum proto proto)
{
	const struct owner self = { name, check->index };
	uint32_t i, port;

	for (i = 0; i < range->spans; i++) {
		for (port = range->span[i].first; port <= range->span[i].last; port++) {
			struct owner *owner = &check->owner[proto][port];

			if (owner->name && (owner->name != name || owner->index != self.index))
				tell_meeting(check, &self, owner, line, port);
			*owner = self;
		}
	}
}

static void claim_section(struct check_indexes *check, const char *name, const struct rule *rule)
{
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++) {
		/* without a range of its own, a protocol has that of all */
		const int key = rule->range_line[proto] ? proto : PROTO_COUNT;

		if (rule->sliced & 1U << key)
			claim_range(check, name, rule->range_line[key], rule->range[proto],
				    (enum proto)proto);
	}
}

static void claim_all(struct check_indexes *check, const struct policy *policy)
{
	int proto;
	size_t i;

	/* somebody may write the file meanwhile */
	for (i = 0; i < policy->count && i < check->policy->count; i++)
		claim_section(check, check->policy->rules[i]->name, policy->rules[i]);
	for (proto = 0; proto < PROTO_COUNT && policy->pool_sliced; proto++)
		claim_range(check, "portfence", 0, policy->pool, (enum proto)proto);
}

static void take_problem(void *context, const char *file, unsigned line, const char *problem)
{
	struct check_indexes *check = context;

	(void)file;
	if (check->host)
		check_findings_add(check->findings, SAY_ERROR, line, "indexes", NULL,
				   "on host '%.100s': %s", check->host->name, problem);
}

/* Return: 0, -ENOMEM, or another -errno if the configuration has a mistake with this index */
static int compare_index(struct check_indexes *check, uint32_t index)
{
	char text[TEXT_NUMBER_MAX];
	struct sections sections;
	int rc;

	check->index = index;
	text_put_number(text, index, 0);
	rc = variables_set(VARIABLE_INDEX, text);
	if (rc)
		return rc;
	rc = sections_read(check->config, take_problem, check, &sections);
	if (!rc) {
		claim_all(check, &sections.policy);
		check->compared++;
	}
	sections_free(&sections);
	return rc;
}

static int compare_all(struct check_indexes *check)
{
	uint32_t index = 0;
	int rc = 0;

	if (!check->policy->hosts)
		while (!rc && index < PORTS)
			rc = compare_index(check, index++);
	for (check->host = check->policy->hosts; check->host && rc != -ENOMEM;
	     check->host = check->host->next)
		rc = compare_index(check, check->host->index);
	return rc == -ENOMEM ? rc : 0;
}

void check_indexes_find(const char *config, const struct policy *policy,
			struct check_findings *findings)
{
	struct check_indexes check = { .config = config, .policy = policy, .findings = findings };

	if (!has_slices(policy)) {
		check_findings_add(findings, SAY_WARNING, 0, "indexes", NULL,
				   "'--all-indexes' has nothing to compare: no range has a slice "
				   "such as 20000+2048 * %%i");
		return;
	}
	check.owner = calloc(PROTO_COUNT, sizeof(*check.owner));
	if (!check.owner || compare_all(&check)) {
		findings->no_memory = true;
	} else if (!check.meets) {
		check_findings_add(findings, SAY_NOTE, 0, "indexes", NULL,
				   "with %u index%s, no two slices share a port", check.compared,
				   check.compared == 1 ? "" : "es");
	}
	free(check.owner);
}
