/* policy: which rule is a process's own, and what is doubtful in a rule. */
#include "../../src/core/policy.h"
#include "../../src/core/preset.h"
#include "unit.h"

#include <errno.h>

static struct arena arena;

static const struct range *ports(const char *text)
{
	static struct range_set set;
	const struct range *range = NULL;
	struct reason why = { "" };

	range_set_clear(&set);
	if (range_parse(text, preset_add, &set, &why) || range_build(&set, &arena, &range))
		CHECK(false, "the test's own range '%s': %s", text, why.text);
	return range;
}

/* ---- groups ---- */

struct match_case {
	const char *name, *match, *args;
	const char *exe, *started_as, *command;
	bool fits;
};

static void try_cases(const struct match_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct match_case *one = &cases[i];
		const struct rule rule = { .name = one->name,
					   .match = one->match,
					   .args = one->args };
		const struct policy_process process = {
			.exe = one->exe,
			.started_as = one->started_as,
			.args = one->command,
		};

		CHECK(policy_match(&rule, &process) == one->fits,
		      "case %zu: [%s] match=%s args=%s, exe %s, started as %s, args %s", i,
		      one->name, one->match ? one->match : "-", one->args ? one->args : "-",
		      one->exe ? one->exe : "-", one->started_as ? one->started_as : "-",
		      one->command ? one->command : "-");
	}
}

#define TRY(cases) try_cases(cases, sizeof(cases) / sizeof((cases)[0]))

static void section_name(void)
{
	static const struct match_case cases[] = {
		{ "curl", NULL, NULL, "/usr/bin/curl", NULL, NULL, true },
		{ "curl", NULL, NULL, NULL, "/usr/bin/curl", NULL, true },
		{ "curl", NULL, NULL, "curl", NULL, NULL, true },
		{ "curl", NULL, NULL, "/usr/bin/python3.11", "/usr/local/bin/curl", NULL, true },
		{ "python3.11", NULL, NULL, "/usr/bin/python3.11", "/usr/local/bin/curl", NULL,
		  true },
		{ "curl", NULL, NULL, "/usr/bin/curl7", "/usr/bin/xcurl", NULL, false },
		{ "curl", NULL, NULL, "/opt/curl/bin/wget", NULL, NULL, false },
		{ "curl", NULL, NULL, "/usr/bin/CURL", NULL, NULL, false },
		{ "curl", NULL, NULL, NULL, NULL, "curl", false },
		{ "curl", NULL, NULL, NULL, NULL, NULL, false },
		{ "/usr/bin/curl", NULL, NULL, "/usr/bin/curl", NULL, NULL, false },
		/* a name is no glob */
		{ "*", NULL, NULL, "/usr/bin/curl", NULL, NULL, false },
		{ "c*", NULL, NULL, "/usr/bin/curl", NULL, NULL, false },
		{ "cur?", NULL, NULL, "/usr/bin/curl", NULL, NULL, false },
		/* `match` takes its place */
		{ "curl", "wget", NULL, "/usr/bin/curl", NULL, NULL, false },
		{ "curl", NULL, "*x*", "/usr/bin/curl", NULL, "curl y", false },
	};

	TRY(cases);
}

static void match_globs(void)
{
	static const struct match_case cases[] = {
		/* without a slash: names */
		{ "a", "erpd", NULL, "/opt/erp/bin/erpd", NULL, NULL, true },
		{ "a", "erpd", NULL, "/opt/erpd/bin/x", NULL, NULL, false },
		{ "a", "erp*", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "erp?", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "erp?", NULL, "/opt/bin/erp", NULL, NULL, false },
		{ "a", "erp[a-d]", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "erp[!d]", NULL, "/opt/bin/erpd", NULL, NULL, false },
		{ "a", "*", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "*", NULL, NULL, NULL, NULL, false },
		{ "a", "ERPD", NULL, "/opt/bin/erpd", NULL, NULL, false },
		/* with a slash: whole paths; '*' crosses slashes */
		{ "a", "/opt/erp/bin/*", NULL, "/opt/erp/bin/erpd", NULL, NULL, true },
		{ "a", "/opt/erp/*", NULL, "/opt/erp/bin/erpd", NULL, NULL, true },
		{ "a", "/opt/*/erpd", NULL, "/opt/erp/bin/erpd", NULL, NULL, true },
		{ "a", "*/erpd", NULL, "/opt/erp/bin/erpd", NULL, NULL, true },
		{ "a", "/opt/erp/bin", NULL, "/opt/erp/bin/erpd", NULL, NULL, false },
		{ "a", "bin/erpd", NULL, "/opt/erp/bin/erpd", NULL, NULL, false },
		/* the path that it was started by, too */
		{ "a", "erpd", NULL, "/usr/bin/java", "/usr/local/bin/erpd", NULL, true },
		{ "a", "/usr/local/bin/*", NULL, "/usr/bin/java", "/usr/local/bin/erpd", NULL,
		  true },
		{ "a", "java", NULL, "/usr/bin/java", "/usr/local/bin/erpd", NULL, true },
		{ "a", "perl", NULL, "/usr/bin/java", "/usr/local/bin/erpd", NULL, false },
		/* lists */
		{ "a", "x, erpd", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "x,erpd", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "erpd,x", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", " x ,\terpd\t", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "erpd , x", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "erpd\t, x", NULL, "/opt/bin/erpd", NULL, NULL, true },
		{ "a", "x, y, z", NULL, "/opt/bin/erpd", NULL, NULL, false },
		/* blanks within a glob are its own */
		{ "a", "Program Files", NULL, "/opt/Program Files", NULL, NULL, true },
		{ "a", "a b, c", NULL, "/opt/a", NULL, NULL, false },
		{ "a", "/opt/Program Files/*", NULL, "/opt/Program Files/x", NULL, NULL, true },
		/* an escaped special character */
		{ "a", "a\\*b", NULL, "/opt/a*b", NULL, NULL, true },
		{ "a", "a\\*b", NULL, "/opt/axb", NULL, NULL, false },
	};

	TRY(cases);
}

static void args_globs(void)
{
	static const struct match_case cases[] = {
		{ "a", NULL, "*erp.jar*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar", true },
		{ "a", NULL, "*erp.jar", "/usr/bin/java", NULL, "java -jar /opt/erp.jar", true },
		{ "a", NULL, "erp.jar", "/usr/bin/java", NULL, "java -jar /opt/erp.jar", false },
		{ "a", NULL, "java*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar", true },
		{ "a", NULL, "x, *erp.jar*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar",
		  true },
		{ "a", NULL, "*erp.jar*", "/usr/bin/java", NULL, "java -jar /opt/crm.jar", false },
		{ "a", NULL, "*", "/usr/bin/java", NULL, NULL, false },
		/* both keys: both have to fit */
		{ "a", "java", "*erp.jar*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar", true },
		{ "a", "perl", "*erp.jar*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar",
		  false },
		{ "a", "java", "*crm.jar*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar",
		  false },
		{ "a", "java", "*crm.jar*", "/usr/bin/java", NULL, NULL, false },
		/* a name alone is not asked where a key is given */
		{ "java", NULL, "*crm.jar*", "/usr/bin/java", NULL, "java -jar /opt/erp.jar",
		  false },
	};

	TRY(cases);
}

/* As long as a line of the configuration can make it. */
static void long_globs(void)
{
	char glob[300], path[300];
	struct rule rule = { .name = "a", .match = glob };
	struct policy_process process = { .exe = path };
	size_t len;

	for (len = 1; len <= 199; len++) {
		memset(glob, 'x', len);
		glob[len] = '\0';
		path[0] = '/';
		strcpy(path + 1, glob);
		CHECK(policy_match(&rule, &process), "a name of %zu characters", len);
		path[len] = 'y';
		CHECK(!policy_match(&rule, &process), "a name of %zu characters, the last another",
		      len);
	}
	/* what cannot be in a file does not overrun a buffer either */
	memset(glob, 'x', 250);
	strcpy(glob + 250, ",z");
	CHECK(!policy_match(&rule, &process), "a glob of 250 characters");
	strcpy(path, "/z");
	CHECK(policy_match(&rule, &process), "the glob after one of 250 characters");
}

static void selection(void)
{
	static const struct rule any = { .name = "*" }, first = { .name = "first", .match = "c*" },
				 second = { .name = "second", .match = "curl, wget" },
				 third = { .name = "ssh" },
				 late = { .name = "late", .args = "*x*" };
	static const struct rule *list[] = { &any, &first, &second, &third, &late };
	struct policy policy = { .rules = list, .count = 5 };
	static const struct {
		const char *exe;
		const struct rule *rule;
	} table[] = {
		{ "/usr/bin/curl", &first }, /* the first that fits, though the second does, too */
		{ "/usr/bin/cat", &first },
		{ "/usr/bin/wget", &second },
		{ "/usr/bin/ssh", &third },
		{ "/usr/bin/ls", &any }, /* [*] comes last, wherever it stands */
	};
	struct policy_process process = { .args = "y" };
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct rule *got;

		process.exe = table[i].exe;
		got = policy_select(&policy, &process);
		CHECK(got == table[i].rule, "%s is [%s]'s", table[i].exe,
		      got ? got->name : "nobody");
	}
	process.args = "axb";
	CHECK(policy_select(&policy, &process) == &late, "by its command line");
	policy.rules++;
	policy.count--;
	process.args = NULL;
	CHECK(policy_select(&policy, &process) == NULL, "without [*] it is left alone");
	policy.count = 0;
	CHECK(policy_select(&policy, &process) == NULL, "without any rule, too");
}

static void finding(void)
{
	static const struct rule one = { .name = "curl", .match = "x" }, two = { .name = "*" };
	static const struct rule *list[] = { &one, &two };
	struct policy policy = { .rules = list, .count = 2 };
	static const struct rule args = { .name = "a", .args = "x" };
	static const struct rule *more[] = { &one, &args };

	CHECK(policy_find(&policy, "curl") == &one, "curl");
	CHECK(policy_find(&policy, "*") == &two, "*");
	CHECK(policy_find(&policy, "x") == NULL, "x");
	CHECK(policy_find(&policy, "") == NULL, "the empty name");
	CHECK(policy_find(&policy, "cur") == NULL, "part of a name");
	CHECK(!policy_uses_args(&policy), "no rule looks at the command line");
	policy.rules = more;
	CHECK(policy_uses_args(&policy), "the last rule does");
}

static void protocol_names(void)
{
	CHECK_TEXT(policy_proto_name(PROTO_TCP), "tcp", "TCP");
	CHECK_TEXT(policy_proto_name(PROTO_UDP), "udp", "UDP");
	CHECK_TEXT(policy_proto_name(PROTO_SCTP), "sctp", "SCTP");
}

/* ---- warnings ---- */

static char told[4096];

static void tell(void *context, const char *warning)
{
	CHECK(context == &arena, "the context is passed on");
	strcat(strcat(told, warning), "\n");
}

static const char *warnings(const struct policy *policy, const struct rule *rule,
			    unsigned port_start)
{
	told[0] = '\0';
	policy_warnings(policy, rule, port_start, tell, &arena);
	return told;
}

#define ALL(range)                                                                                 \
	{                                                                                          \
		range, range, range                                                                \
	}

static void privileged_ports(void)
{
	const struct range *low = ports("1000-2000"), *high = ports("20000-20999");
	const struct rule lower = { .name = "app", .range = ALL(low) },
			  mixed = { .name = "app", .range = { high, low, high } },
			  higher = { .name = "app", .range = ALL(high) };

	CHECK_TEXT(warnings(NULL, &lower, 1024),
		   "the tcp range of 'app' starts at port 1000, ports below 1024 need "
		   "CAP_NET_BIND_SERVICE and will be passed over\n",
		   "all protocols: told once");
	CHECK_TEXT(warnings(NULL, &mixed, 1024),
		   "the udp range of 'app' starts at port 1000, ports below 1024 need "
		   "CAP_NET_BIND_SERVICE and will be passed over\n",
		   "UDP alone");
	CHECK_TEXT(warnings(NULL, &lower, 0), "", "a privileged process");
	CHECK_TEXT(warnings(NULL, &lower, 1000), "", "the first port is free");
	CHECK(*warnings(NULL, &lower, 1001), "the first port is not");
	CHECK_TEXT(warnings(NULL, &higher, 1024), "", "above");
	CHECK(*warnings(NULL, &higher, 30000), "a sysctl of 30000");
}

static void overlaps(void)
{
	const struct range *a = ports("20000-20999"), *b = ports("20500-21000, 30000"),
			   *c = ports("30000-30999"), *d = ports("20999");
	const struct rule one = { .name = "one", .range = ALL(a), .line = 3 },
			  two = { .name = "two", .range = ALL(b), .line = 7 },
			  three = { .name = "three", .range = { c, d, c }, .line = 11 },
			  lineless = { .name = "lineless", .range = ALL(d) };
	const struct rule *list[] = { &one, &two, &three };
	const struct policy policy = { .file = "/etc/portfence.ini", .rules = list, .count = 3 };

	CHECK_TEXT(
		warnings(&policy, &one, 0),
		"/etc/portfence.ini:3: the tcp range of 'one' overlaps that of 'two' (line 7), both "
		"hold port 20500\n"
		"/etc/portfence.ini:3: the udp range of 'one' overlaps that of 'three' (line 11), both "
		"hold port 20999\n",
		"one");
	CHECK_TEXT(
		warnings(&policy, &two, 0),
		"/etc/portfence.ini:7: the tcp range of 'two' overlaps that of 'one' (line 3), both "
		"hold port 20500\n"
		"/etc/portfence.ini:7: the tcp range of 'two' overlaps that of 'three' (line 11), both "
		"hold port 30000\n",
		"two");
	CHECK_TEXT(
		warnings(&policy, &lineless, 0),
		"/etc/portfence.ini: the tcp range of 'lineless' overlaps that of 'one' (line 3), both "
		"hold port 20999\n"
		"/etc/portfence.ini: the tcp range of 'lineless' overlaps that of 'two' (line 7), both "
		"hold port 20999\n"
		"/etc/portfence.ini: the udp range of 'lineless' overlaps that of 'three' (line 11), "
		"both hold port 20999\n",
		"a range of the environment");
	CHECK_TEXT(warnings(NULL, &one, 0), "", "without a file there are no others");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "section-name", section_name },
		{ "match-globs", match_globs },
		{ "args-globs", args_globs },
		{ "long-globs", long_globs },
		{ "selection", selection },
		{ "finding", finding },
		{ "protocol-names", protocol_names },
		{ "privileged-ports", privileged_ports },
		{ "overlaps", overlaps },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
