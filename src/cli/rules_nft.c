#include "rules_nft.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * What begins here is judged by its source port, before any address translation: within a range it is
 * counted and marked, and no rule below sees it. What an application's user or unit sends besides is
 * counted as outside, and dropped if that was asked for. Replies are not judged: a server answers from
 * the port that it listens on. So connection tracking has to see the packet.
 *
 * The chains come before others' filters (priority mangle), so that these may look at the mark, and the
 * one for output has the type "route", as a mark may choose the route. To accept is left to others: an
 * "accept" here would not count in their chains.
 */

/* What a section's protocol is in a packet; see policy_proto() */
static const char *const protocols[PROTO_COUNT] = {
	[PROTO_TCP] = "tcp",
	[PROTO_UDP] = "{ udp, udplite }",
	[PROTO_SCTP] = "sctp",
};

static void print_ports(const struct rules_app *app, enum proto proto)
{
	const struct range *range = app->rule->range[proto];
	uint32_t i;

	printf("\tset %s_%s {\n\t\ttype inet_service\n\t\tflags interval\n\t\telements = { ",
	       app->name, policy_proto_name(proto));
	for (i = 0; i < range->spans; i++) {
		const struct range_span *span = &range->span[i];

		printf("%s%d", i ? ", " : "", span->first);
		if (span->last != span->first)
			printf("-%d", span->last);
	}
	printf(" }\n\t}\n");
}

static void print_sets(const struct rules_app *app)
{
	static const char *const counters[] = { "out", "outside", "in" };
	int proto;
	size_t i;

	printf("\n\t# [%s]\n", app->label);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		print_ports(app, (enum proto)proto);
	printf("\tset %s_users {\n\t\ttypeof meta skuid\n", app->name);
	for (i = 0; i < app->users; i++)
		printf("%s%u%s", i ? ", " : "\t\telements = { ", (unsigned)app->user[i],
		       i + 1 == app->users ? " }\n" : "");
	/* filled by systemd, see rules_systemd */
	printf("\t}\n\tset %s_units {\n\t\ttype cgroupsv2\n\t}\n", app->name);
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		printf("\tcounter %s_%s { }\n", app->name, counters[i]);
}

/* The rules for packets with the application's port as @side, which is "sport" or "dport" */
static void print_inside(const struct rules_app *app, const char *side, const char *counter)
{
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++) {
		printf("\t\tmeta l4proto %s th %s @%s_%s counter name \"%s_%s\"", protocols[proto],
		       side, app->name, policy_proto_name((enum proto)proto), app->name, counter);
		if (app->mark)
			printf(" meta mark set 0x%x", app->mark);
		printf(" return comment \"[%s]\"\n", app->label);
	}
}

static void print_outside(const struct rules_app *app, bool drop)
{
	/* a unit of system.slice is at level 2 */
	static const char *const senders[] = { "meta skuid", "socket cgroupv2 level 2" };
	static const char *const sets[] = { "users", "units" };
	size_t i;

	for (i = 0; i < 2; i++)
		printf("\t\tmeta l4proto { tcp, udp, udplite, sctp } %s @%s_%s counter name "
		       "\"%s_outside\" %s comment \"outside [%s]\"\n",
		       senders[i], app->name, sets[i], app->name, drop ? "drop" : "return",
		       app->label);
}

void rules_nft_print(const struct rules_plan *plan)
{
	char file[PATH_MAX];
	size_t i;

	rules_plan_label(plan->file, file, sizeof(file));
	printf("# The ports of %s, for nftables. Load it: nft -f FILE\n"
	       "# If units have NFTSet= (systemd 255), refill their sets: systemctl daemon-reload\n"
	       "# Read the counters: nft list counters table inet portfence\n"
	       "table inet portfence\n"
	       "delete table inet portfence\n"
	       "table inet portfence {",
	       file);
	for (i = 0; i < plan->count; i++)
		print_sets(&plan->app[i]);
	printf("\n\tchain output {\n"
	       "\t\ttype route hook output priority mangle; policy accept;\n"
	       "\t\tct direction original jump begun\n"
	       "\t}\n\n"
	       "\t# what begins here, by its source port\n"
	       "\tchain begun {\n");
	for (i = 0; i < plan->count; i++)
		print_inside(&plan->app[i], "sport", "out");
	for (i = 0; i < plan->count; i++)
		print_outside(&plan->app[i], plan->drop);
	printf("\t}\n\n"
	       "\t# answers, and what comes to servers that talk from the range\n"
	       "\tchain input {\n"
	       "\t\ttype filter hook input priority mangle; policy accept;\n");
	for (i = 0; i < plan->count; i++)
		print_inside(&plan->app[i], "dport", "in");
	printf("\t}\n}\n");
}
