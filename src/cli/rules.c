#include "../core/settings.h"
#include "rules_iptables.h"
#include "rules_nft.h"
#include "rules_systemd.h"
#include "say.h"
#include "verbs.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

enum {
	OPTION_CONFIG,
	OPTION_NFT,
	OPTION_IPTABLES,
	OPTION_SYSTEMD,
	OPTION_JSON,
	OPTION_USER,
	OPTION_MARK,
	OPTION_DROP,
};

static const struct option_entry options[] = {
	[OPTION_CONFIG] = OPTION_ENTRY_CONFIG,
	[OPTION_NFT] = { .name = "nft",
			 .help = "a table for 'nft -f', for IPv4 and IPv6; the default" },
	[OPTION_IPTABLES] = { .name = "iptables",
			      .help = "chains for iptables-restore and ip6tables-restore" },
	[OPTION_SYSTEMD] = { .name = "systemd",
			     .argument = "UNIT",
			     .help = "a drop-in that fences this service by section APP" },
	[OPTION_JSON] = OPTION_ENTRY_JSON,
	[OPTION_USER] = { .name = "user",
			  .argument = "USERS",
			  .help = "also count what these users send from outside the range: USER for "
				  "each APP, or APP=USER, separated by commas" },
	[OPTION_MARK] = { .name = "mark",
			  .argument = "N",
			  .help = "mark the first APP's packets with N, the second's with N+1 and "
				  "so on" },
	[OPTION_DROP] = { .name = "drop",
			  .help = "drop what leaves from outside the range, instead of counting it "
				  "only" },
	{ .name = NULL },
};

static int rules(const struct option_values *given);

const struct verb verb_rules = {
	.name = "rules",
	.summary = "print firewall rules for the ranges",
	.usage = "[APP]...",
	.about =
		"Prints text for a firewall or for systemd, with the ports of sections [APP], or of all. "
		"It loads nothing. The rules count what connections send that begin here within a "
		"range, and what comes to its ports, and mark both with --mark, so that other rules "
		"may accept it. With --user, or a unit that has the drop-in of --systemd, they also "
		"count, or drop, what leaves from another port. Answers of a server on a port of its "
		"own are left alone. A section with 'range = lease' has no ports that a rule could "
		"name.",
	.options = options,
	.operands = OPERANDS_ANY,
	.usage_status = EXIT_USAGE,
	.failure_status = EXIT_FAILURE,
	.status = "0; 1 if it fails, 2 if it is called wrongly",
	.example = "portfence rules --user erp --drop erp >erp.nft && nft -f erp.nft\n"
		   "portfence rules --systemd erp.service erp\n",
	.function = rules,
};

/* ---- JSON ---- */

static json_t *describe_ports(const struct range *range)
{
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; i < range->spans; i++)
		json_array_append_new(list, json_pack("{s:i, s:i}", "first", range->span[i].first,
						      "last", range->span[i].last));
	return list;
}

static json_t *describe_app(const struct rules_app *app)
{
	json_t *users = json_array();
	size_t i;

	for (i = 0; i < app->users; i++)
		json_array_append_new(users, json_integer(app->user[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", say_json(app->rule->name), "tcp",
			 describe_ports(app->rule->range[PROTO_TCP]), "udp",
			 describe_ports(app->rule->range[PROTO_UDP]), "sctp",
			 describe_ports(app->rule->range[PROTO_SCTP]), "users", users, "mark",
			 app->mark ? json_integer(app->mark) : json_null());
}

static int print_json(const struct rules_plan *plan)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < plan->count; i++)
		if (json_array_append_new(list, describe_app(&plan->app[i])))
			return say_failure("%s", strerror(ENOMEM));
	return say_object(
		stdout, json_pack("{s:o, s:o}", "file", say_json(plan->file), "applications", list),
		JSON_INDENT(2));
}

/* ---- the verb ---- */

static int print_rules(const struct option_values *given, const struct rules_plan *plan)
{
	const char *unit = given->value[OPTION_SYSTEMD];

	if (unit && plan->count != 1)
		return option_wrong(&verb_rules,
				    "a unit is fenced by one section, name it after '--systemd %s'",
				    unit);
	if (unit)
		return rules_systemd_print(unit, plan);
	if (given->value[OPTION_JSON])
		return print_json(plan);
	if (given->value[OPTION_IPTABLES])
		rules_iptables_print(plan);
	else
		rules_nft_print(plan);
	return 0;
}

static int check_options(const struct option_values *given)
{
	static const int formats[] = { OPTION_NFT, OPTION_IPTABLES, OPTION_SYSTEMD, OPTION_JSON };
	const char *const *value = given->value;
	int i, count = 0;

	for (i = 0; i < 4; i++)
		count += !!value[formats[i]];
	if (count > 1)
		return option_wrong(
			&verb_rules,
			"'--nft', '--iptables', '--systemd' and '--json' do not go together");
	if (value[OPTION_SYSTEMD] && (value[OPTION_USER] || value[OPTION_MARK]))
		return option_wrong(
			&verb_rules,
			"'--systemd' takes neither '--user' nor '--mark', these are for "
			"the firewall");
	if (value[OPTION_DROP] && (value[OPTION_SYSTEMD] || value[OPTION_JSON]))
		return option_wrong(&verb_rules, "'--drop' is for '--nft' and '--iptables'");
	/* in nft's table, systemd fills in the units */
	if (value[OPTION_DROP] && value[OPTION_IPTABLES] && !value[OPTION_USER])
		return option_wrong(&verb_rules,
				    "'--drop' needs '--user', else nothing would be dropped");
	return 0;
}

static int rules(const struct option_values *given)
{
	struct sections sections = { .count = 0 };
	struct rules_plan plan = { .count = 0 };
	int rc = check_options(given);

	if (!rc)
		rc = sections_load(given->value[OPTION_CONFIG], given->operand, &sections);
	if (!rc && !sections.policy.file)
		rc = say_failure("there is no configuration file; write %s, or use --config",
				 SETTINGS_SYSTEM_FILE);
	if (!rc)
		rc = rules_plan_make(&sections, *given->operand, given->value[OPTION_USER],
				     given->value[OPTION_MARK], &plan);
	plan.drop = given->value[OPTION_DROP];
	if (!rc)
		rc = print_rules(given, &plan);
	rules_plan_free(&plan);
	sections_free(&sections);
	return rc;
}
