#include "rules_iptables.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PORTS_MOST 15 /* of multiport; a range counts as two. Source: XT_MULTI_PORTS */

/* What a section's protocol is in a packet; see policy_proto() */
static const char *const protocols[PROTO_COUNT][3] = {
	[PROTO_TCP] = { "tcp" },
	[PROTO_UDP] = { "udp", "udplite" },
	[PROTO_SCTP] = { "sctp" },
};

/* Takes as many spans as a rule may name. Return: where the next rule begins */
static uint32_t write_ports(const struct range *range, uint32_t i, char ret_list[128])
{
	int ports = 0;

	for (*ret_list = '\0'; i < range->spans; i++) {
		const struct range_span *span = &range->span[i];
		const int more = span->last == span->first ? 1 : 2;

		if (ports + more > PORTS_MOST)
			break;
		sprintf(ret_list + strlen(ret_list), ports ? ",%d" : "%d", span->first);
		if (more == 2)
			sprintf(ret_list + strlen(ret_list), ":%d", span->last);
		ports += more;
	}
	return i;
}

static void print_span(const struct rules_app *app, const char *chain, const char *side,
		       const char *protocol, const char *ports)
{
	char rule[512];

	snprintf(rule, sizeof(rule),
		 "-A portfence-%s -p %s -m multiport --%s %s -m comment --comment \"[%s]\" -j",
		 chain, protocol, side, ports, app->label);
	if (app->mark)
		printf("%s MARK --set-mark 0x%x\n", rule, app->mark);
	printf("%s RETURN\n", rule);
}

/* The rules for packets with the application's port as @side, which is "sports" or "dports" */
static void print_inside(const struct rules_app *app, const char *chain, const char *side)
{
	char ports[128];
	uint32_t i;
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++) {
		const struct range *range = app->rule->range[proto];
		const char *const *protocol;

		for (protocol = protocols[proto]; *protocol; protocol++)
			for (i = 0; i < range->spans;) {
				i = write_ports(range, i, ports);
				print_span(app, chain, side, *protocol, ports);
			}
	}
}

static void print_outside(const struct rules_app *app, bool drop)
{
	const char *const *protocol;
	int proto;
	size_t i;

	for (i = 0; i < app->users; i++)
		for (proto = 0; proto < PROTO_COUNT; proto++)
			for (protocol = protocols[proto]; *protocol; protocol++)
				printf("-A portfence-begun -p %s -m owner --uid-owner %u -m comment "
				       "--comment \"outside [%s]\" -j %s\n",
				       *protocol, (unsigned)app->user[i], app->label,
				       drop ? "DROP" : "RETURN");
}

void rules_iptables_print(const struct rules_plan *plan)
{
	char file[PATH_MAX];
	size_t i;

	rules_plan_label(plan->file, file, sizeof(file));
	/* what begins here is judged, and in this table, for the reasons that rules_nft.c gives */
	printf("# The ports of %s, for iptables. Load it, and again after each change:\n"
	       "#   iptables-restore --noflush FILE && ip6tables-restore --noflush FILE\n"
	       "# Only the first time, with iptables and with ip6tables:\n"
	       "#   iptables -t mangle -A OUTPUT -j portfence-out\n"
	       "#   iptables -t mangle -A INPUT -j portfence-in\n"
	       "# Read the counters: iptables -t mangle -nvL\n"
	       "*mangle\n"
	       ":portfence-out - [0:0]\n"
	       ":portfence-begun - [0:0]\n"
	       ":portfence-in - [0:0]\n"
	       "-A portfence-out -m conntrack --ctdir ORIGINAL -j portfence-begun\n",
	       file);
	for (i = 0; i < plan->count; i++)
		print_inside(&plan->app[i], "begun", "sports");
	for (i = 0; i < plan->count; i++)
		print_outside(&plan->app[i], plan->drop);
	for (i = 0; i < plan->count; i++)
		print_inside(&plan->app[i], "in", "dports");
	printf("COMMIT\n");
}
