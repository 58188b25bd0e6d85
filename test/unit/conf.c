/*
 * conf: what a good file comes to, and what each bad one is told. The words of
 * each message, as an administrator sees them, are asserted in test/conf.bats.
 */
#include "../../src/core/conf.h"
#include "../../src/core/preset.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct arena arena;
static struct policy policy;
static char file_name[64];
static char told[1 << 16];

static void note(void *context, const char *file, unsigned line, const char *problem)
{
	size_t used = strlen(told);

	CHECK(context == &policy, "the context is passed on");
	CHECK_TEXT(file, file_name, "the file is named");
	CHECK(!strchr(problem, '\n') && *problem, "one line: '%s'", problem);
	CHECK(problem[strlen(problem) - 1] != '.', "a full stop: '%s'", problem);
	snprintf(told + used, sizeof(told) - used, "%u: %s\n", line, problem);
}

/* Reads @len bytes as a file. Return: conf_load()'s answer; its errors are in told */
static int load_bytes(const char *bytes, size_t len)
{
	int fd = memfd_create("conf", MFD_CLOEXEC), rc;

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		abort();
	snprintf(file_name, sizeof(file_name), "/proc/self/fd/%d", fd);
	arena_free(&arena);
	memset(&policy, 0x5a, sizeof(policy));
	told[0] = '\0';
	rc = conf_load(file_name, false, &arena, note, &policy, &policy);
	close(fd);
	return rc;
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static bool good(const char *text)
{
	int rc = load(text);

	return CHECK(rc == 0 && !*told, "%d: %s of\n%s", rc, told, text);
}

/* @want: "line: problem\n" for each error, in order */
static void bad(const char *text, const char *want)
{
	struct policy untouched;
	int rc = load(text);

	memset(&untouched, 0x5a, sizeof(untouched));
	CHECK(rc == -EINVAL, "%d of\n%s", rc, text);
	CHECK_TEXT(told, want, "errors of\n%s", text);
	CHECK(!memcmp(&policy, &untouched, sizeof(policy)), "the policy was touched by\n%s", text);
}

static const struct rule *rule(const char *name)
{
	const struct rule *found = policy_find(&policy, name);
	static const struct rule none;

	CHECK(found, "there is no [%s]", name);
	return found ? found : &none;
}

static const char *range_text(const struct rule *of, enum proto proto)
{
	static char text[4096];

	text[0] = '\0';
	if (of->range[proto])
		range_format(of->range[proto], text, sizeof(text));
	return text;
}

static void check_ranges(const char *name, const char *tcp, const char *udp, const char *sctp)
{
	const struct rule *of = rule(name);

	CHECK_TEXT(range_text(of, PROTO_TCP), tcp, "tcp of [%s]", name);
	CHECK_TEXT(range_text(of, PROTO_UDP), udp, "udp of [%s]", name);
	CHECK_TEXT(range_text(of, PROTO_SCTP), sctp, "sctp of [%s]", name);
}

/* ---- good files ---- */

static void every_key(void)
{
	const struct rule *erp, *curl;

	if (!good("[portfence]\n"
		  "log = /var/log/portfence.log\n"
		  "state = /run/portfence\n"
		  "\n"
		  "[curl]\n"
		  "range = 20000-20999\n"
		  "[erp]\n"
		  "match = /opt/erp/bin/*, erpd\n"
		  "args = *erp.jar*\n"
		  "range = 21000-21499\n"
		  "tcp.range = 21000-21099\n"
		  "udp.range = 21500-21999, 22500\n"
		  "sctp.range = 23000+10\n"
		  "exclude = 21080, 21500\n"
		  "order = sequential\n"
		  "seed = 42\n"
		  "bind = own\n"
		  "exhausted = system\n"
		  "engine = bind\n"
		  "[*]\n"
		  "range = linux\n"))
		return;
	CHECK_TEXT(policy.file, file_name, "file");
	CHECK_TEXT(policy.log, "/var/log/portfence.log", "log");
	CHECK_TEXT(policy.state, "/run/portfence", "state");
	CHECK(policy.count == 3 && !strcmp(policy.rules[0]->name, "curl") &&
		      !strcmp(policy.rules[1]->name, "erp") && !strcmp(policy.rules[2]->name, "*"),
	      "the rules are in the file's order");
	erp = rule("erp");
	CHECK_TEXT(erp->match, "/opt/erp/bin/*, erpd", "match");
	CHECK_TEXT(erp->args, "*erp.jar*", "args");
	check_ranges("erp", "21000-21079, 21081-21099", "21501-21999, 22500", "23000-23009");
	CHECK(erp->order == ORDER_SEQUENTIAL, "order %d", erp->order);
	CHECK(erp->seeded && erp->seed == 42, "seed %d %llu", erp->seeded,
	      (unsigned long long)erp->seed);
	CHECK(erp->bind == BIND_OWN, "bind %d", erp->bind);
	CHECK(erp->exhausted == EXHAUSTED_SYSTEM, "exhausted %d", erp->exhausted);
	CHECK(erp->engine == ENGINE_BIND, "engine %d", erp->engine);
	CHECK(erp->line == 7, "line %u", erp->line);
	curl = rule("curl");
	CHECK(!curl->match && !curl->args && curl->order == ORDER_AUTO && !curl->seeded &&
		      curl->bind == BIND_ALLOW && curl->exhausted == EXHAUSTED_FAIL &&
		      curl->engine == ENGINE_AUTO && curl->line == 5,
	      "defaults");
	check_ranges("curl", "20000-20999", "20000-20999", "20000-20999");
	check_ranges("*", "32768-60999", "32768-60999", "32768-60999");
}

static void every_value(void)
{
	static const struct {
		const char *line;
		int order, bind, exhausted, engine;
	} table[] = {
		{ "order = auto", ORDER_AUTO, 0, 0, 0 },
		{ "order = sequential", ORDER_SEQUENTIAL, 0, 0, 0 },
		{ "order = random", ORDER_RANDOM, 0, 0, 0 },
		{ "order = random-simple", ORDER_RANDOM_SIMPLE, 0, 0, 0 },
		{ "order = hash", ORDER_HASH, 0, 0, 0 },
		{ "order = double-hash", ORDER_DOUBLE_HASH, 0, 0, 0 },
		{ "order = random-increments", ORDER_RANDOM_INCREMENTS, 0, 0, 0 },
		{ "bind = allow", 0, BIND_ALLOW, 0, 0 },
		{ "bind = own", 0, BIND_OWN, 0, 0 },
		{ "bind = deny", 0, BIND_DENY, 0, 0 },
		{ "bind = move", 0, BIND_MOVE, 0, 0 },
		{ "exhausted = fail", 0, 0, EXHAUSTED_FAIL, 0 },
		{ "exhausted = system", 0, 0, EXHAUSTED_SYSTEM, 0 },
		{ "engine = auto", 0, 0, 0, ENGINE_AUTO },
		{ "engine = kernel", 0, 0, 0, ENGINE_KERNEL },
		{ "engine = bind", 0, 0, 0, ENGINE_BIND },
	};
	static const struct {
		const char *text;
		uint64_t value;
	} seeds[] = { { "0", 0 }, { "00", 0 }, { "1", 1 }, { "18446744073709551615", UINT64_MAX } };
	static const char *const logs[] = { "stderr",      "syslog",      "none",      "/a",
					    "json:stderr", "json:syslog", "json:none", "json:/a b" };
	char text[256];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct rule *a;

		snprintf(text, sizeof(text), "[a]\nrange = 20000-20999\n%s\n", table[i].line);
		if (!good(text))
			continue;
		a = rule("a");
		CHECK((int)a->order == table[i].order && (int)a->bind == table[i].bind &&
			      (int)a->exhausted == table[i].exhausted &&
			      (int)a->engine == table[i].engine,
		      "%s", table[i].line);
	}
	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		snprintf(text, sizeof(text), "[a]\nrange = 1\nseed = %s\n", seeds[i].text);
		if (good(text))
			CHECK(rule("a")->seeded && rule("a")->seed == seeds[i].value, "%s",
			      seeds[i].text);
	}
	for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		snprintf(text, sizeof(text), "[portfence]\nlog = %s\n", logs[i]);
		if (good(text))
			CHECK_TEXT(policy.log, logs[i], "log");
	}
}

/* All these are the same file. */
static void ways_of_writing(void)
{
	static const char *const same[] = {
		"[curl]\nrange = 20000-20999\norder = random\n",
		"[curl]\nrange = 20000-20999\norder = random", /* no newline at the end */
		"[curl]\r\nrange = 20000-20999\r\norder = random\r\n",
		"\xEF\xBB\xBF[curl]\nrange = 20000-20999\norder = random\n",
		"\xEF\xBB\xBF[curl]\r\nrange = 20000-20999\r\norder = random\r\n",
		"  [curl]\n\trange = 20000-20999\n    order = random\n",
		"[curl]\nrange=20000-20999\norder=random\n",
		"[curl]\nrange : 20000-20999\norder: random\n",
		"[curl]\nrange\t=\t20000-20999\norder = random   \t\n",
		"\n\n[curl]\n\n\nrange = 20000-20999\n\norder = random\n\n",
		("; a comment\n# another\n[curl] ; beside\n;\n#\nrange = 20000-20999 ; beside\n"
		 "  ; indented\n\t# indented\norder = random ; beside ; and more\n; at the end"),
		"[curl]# close by\nrange = 20000-20999\norder = random\n",
		"[curl]   \nrange = 20000-20999\norder = random\n",
		"\xEF\xBB\xBF; a comment\n[curl]\norder = random\nrange = 20000-20999\n",
		"\xEF\xBB\xBF  [curl]\nrange = 20000-20999\norder = random\n",
		"; \xC3\xA4\xC3\xB6\xC3\xBC\n[curl]\nrange = 20000 - 20999\norder = random\n",
		"[curl]\n;[other]\n;range = 1\nrange = 20000+1000\norder = random\n",
	};
	size_t i;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		if (!good(same[i]))
			continue;
		CHECK(policy.count == 1 && !policy.log && !policy.state, "%zu rules in\n%s",
		      policy.count, same[i]);
		check_ranges("curl", "20000-20999", "20000-20999", "20000-20999");
		CHECK(rule("curl")->order == ORDER_RANDOM, "order in\n%s", same[i]);
		CHECK(!rule("curl")->match, "match in\n%s", same[i]);
	}
}

/* What inih as packaged gets wrong by itself. */
static void no_surprise_of_inih(void)
{
	char text[1024], name[64], value[256];

	/* an indented line is a line of its own, not a second value of the key before */
	if (good("[a]\nmatch = x\n  range = 20000-20999\n"))
		CHECK_TEXT(rule("a")->match, "x", "match");
	/* the longest name, and the longest line */
	memset(name, 'n', 49);
	name[49] = '\0';
	snprintf(text, sizeof(text), "[%s]\nrange = 1\n", name);
	if (good(text))
		CHECK(policy.count == 1 && !strcmp(policy.rules[0]->name, name), "%s",
		      policy.rules[0]->name);
	memset(value, 'v', 190);
	value[190] = '\0';
	snprintf(text, sizeof(text), "[a]\nrange = 1\nmatch = %s\n", value);
	if (good(text))
		CHECK_TEXT(rule("a")->match, value, "match of a line of 198 characters");
	/* two names that begin alike are two */
	snprintf(text, sizeof(text), "[%s]\nrange = 1\n[%.48s]\nrange = 2\n", name, name);
	if (good(text))
		CHECK(policy.count == 2, "%zu rules", policy.count);
	/* only the first '=' parts */
	if (good("[a]\nrange = 1\nargs = *--port=5*\nmatch = a:b\n")) {
		CHECK_TEXT(rule("a")->args, "*--port=5*", "args");
		CHECK_TEXT(rule("a")->match, "a:b", "match");
	}
	/* a ';' that no blank precedes is the value's own */
	if (good("[a]\nrange = 1\nargs = *a;b*\n"))
		CHECK_TEXT(rule("a")->args, "*a;b*", "args");
	/* as is '#' */
	if (good("[a]\nrange = 1\nargs = *a#b*\n"))
		CHECK_TEXT(rule("a")->args, "*a#b*", "args");
}

static void protocol_overrides(void)
{
	if (good("[a]\nrange = 20000-20999\nudp.range = 21000-21999\n"))
		check_ranges("a", "20000-20999", "21000-21999", "20000-20999");
	if (good("[a]\ntcp.range = 1-5\nrange = 20000-20999\n"))
		check_ranges("a", "1-5", "20000-20999", "20000-20999");
	if (good("[a]\nsctp.range = 7\nrange = 20000-20999\n"))
		check_ranges("a", "20000-20999", "20000-20999", "7");
	/* nothing of a section stays for the next */
	if (good("[a]\nrange = 20000-20999\nudp.range = 7\nexclude = 20001-20998\norder = random\n"
		 "[b]\nrange = 20000-20999\n")) {
		check_ranges("a", "20000, 20999", "7", "20000, 20999");
		check_ranges("b", "20000-20999", "20000-20999", "20000-20999");
		CHECK(rule("b")->order == ORDER_AUTO, "order of [b]");
	}
}

static void exclusions(void)
{
	static struct range_set set;
	const struct range *services;
	const struct rule *a;
	unsigned port;

	/* before and after what it takes from, and for each protocol */
	if (good("[a]\nexclude = 20001, 30\nrange = 20000-20003\nudp.range = 30-31\n"))
		check_ranges("a", "20000, 20002-20003", "31", "20000, 20002-20003");
	if (good("[a]\nrange = 1-65535\nexclude = 2-65534\n"))
		check_ranges("a", "1, 65535", "1, 65535", "1, 65535");
	if (good("[a]\nrange = rfc6056\nexclude = iana, linux\n"))
		check_ranges("a", "1024-32767", "1024-32767", "1024-32767");
	/* taking out what is not in it is no error */
	if (good("[a]\nrange = 20000-20003\nexclude = 5\n"))
		check_ranges("a", "20000-20003", "20000-20003", "20000-20003");
	if (!good("[a]\nrange = 1-65535\nexclude = 21080, services\n") ||
	    preset_add_exclusion("services", &set) || range_build(&set, &arena, &services))
		return;
	a = rule("a");
	for (port = 1; port <= 65535; port++) {
		bool named = port == 21080 || range_has(services, port);

		if (!CHECK(range_has(a->range[PROTO_TCP], (uint16_t)port) == !named, "port %u",
			   port))
			return;
	}
}

static void many_sections(void)
{
	enum { SECTIONS = 3000 };
	char *text = malloc(SECTIONS * 64), *p = text;
	int i;

	if (!text)
		abort();
	for (i = 0; i < SECTIONS; i++)
		p += sprintf(p, "[app-%d]\nrange = %d\n", i, i + 1);
	if (good(text)) {
		CHECK(policy.count == SECTIONS, "%zu rules", policy.count);
		for (i = 0; i < SECTIONS && i < (int)policy.count; i++) {
			char name[32];

			snprintf(name, sizeof(name), "app-%d", i);
			CHECK_TEXT(policy.rules[i]->name, name, "rule %d", i);
			CHECK(range_first(policy.rules[i]->range[PROTO_TCP]) == i + 1 &&
				      policy.rules[i]->line == (unsigned)(2 * i + 1),
			      "rule %d", i);
		}
	}
	/* the last one is one too many */
	sprintf(p, "[app-1234]\nrange = 5\n");
	CHECK(load(text) == -EINVAL, "a name twice among many");
	CHECK_TEXT(told,
		   "6001: section [app-1234] is given twice, first in line 2469; join the two\n",
		   "a name twice among many");
	free(text);
}

static void empty_files(void)
{
	static const char *const empty[] = { "",
					     "\n",
					     "\n\n\n",
					     "; nothing\n",
					     "\xEF\xBB\xBF",
					     "\xEF\xBB\xBF\n",
					     "   \t  ",
					     "\r\n\r\n",
					     "[portfence]\n" };
	size_t i;

	for (i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		if (good(empty[i]))
			CHECK(policy.count == 0 && !policy.log && !policy.state, "file %zu", i);
}

/* ---- bad files: what each is told is in conf.bats; here are the corners ---- */

static void all_errors_at_once(void)
{
	bad("key = 1\n"
	    "[a]\n"
	    "range = 0\n"
	    "order = best\n"
	    "nonsense\n"
	    "[b]\n"
	    "[c]\n"
	    "range = 1\n"
	    "range = 2\n",
	    "1: 'key' stands before the first section, write [application] above it\n"
	    "3: '0' holds port 0, ports are 1 to 65535\n"
	    "4: 'best' is no order, use one of: auto, sequential, random, random-simple, hash, "
	    "double-hash, random-increments\n"
	    "5: this is neither '[section]' nor 'key = value'\n"
	    "6: [b] has no 'range', give it one such as 'range = 20000-20999'\n"
	    "9: 'range' is given twice in this section, keep one\n");
}

static void line_numbers(void)
{
	static const char *const breaks[] = { "\n", "\r\n" };
	char text[4096];
	unsigned line, k;

	for (k = 0; k < 2; k++) {
		for (line = 3; line < 60; line += 7) {
			char want[128];
			unsigned i;

			strcpy(text, k ? "\xEF\xBB\xBF[a]\r\nrange = 1\r\n" : "[a]\nrange = 1\n");
			for (i = 3; i < line; i++)
				strcat(strcat(text, i % 3 ? "" : "; comment"), breaks[k]);
			strcat(text, "order = best");
			snprintf(want, sizeof(want), "%u: 'best'", line);
			CHECK(load(text) == -EINVAL && !strncmp(told, want, strlen(want)),
			      "line %u: %s", line, told);
		}
	}
}

/* No line that is refused may hide the one after it, nor lend its keys to another section. */
static void refused_headers(void)
{
	static const char *const headers[] = {
		"[]",      "[curl", "[ curl]",
		"[curl ]", "[\t]",  "[nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn]",
		"[a]",
	};
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		/* the refused section's own keys are not judged: one error, not three */
		snprintf(text, sizeof(text), "[a]\nrange = 1\n%s\nrange = 2\nfoo = 3\n",
			 headers[i]);
		CHECK(load(text) == -EINVAL, "%s", headers[i]);
		CHECK(!strncmp(told, "3: ", 3) && strchr(told, '\n')[1] == '\0', "%s: %s",
		      headers[i], told);
		/* and the next section is judged again */
		strcat(text, "[b]\nrange = 0\n");
		CHECK(load(text) == -EINVAL, "%s", headers[i]);
		CHECK(strstr(told, "7: '0' holds port 0"), "%s: %s", headers[i], told);
	}
}

/* The longest line of inih has 198 characters, and conf hands it longer ones in pieces. */
static void long_lines(void)
{
	char text[3 * 8192], value[8192];
	size_t len, from;

	for (len = 1; len < 1200; len += len < 150 || len > 450 ? 41 : 1) {
		memset(value, 'v', len);
		value[len] = '\0';
		/* blanks, where a piece could be cut, and characters that begin comments */
		for (from = 1; from + 5 < len; from += 7)
			memcpy(value + from, from % 2 ? " x  y" : "z;\t#=", 5);
		value[len - 1] = 'v';
		value[0] = 'v';
		for (from = 0; from < len; from++)
			if (value[from] == '#' && value[from - 1] == '\t')
				value[from] = ':';
		snprintf(text, sizeof(text), "[a]\nrange = 1\nargs = %s ; a comment\nmatch = x\n",
			 value);
		if (!good(text))
			return;
		CHECK_TEXT(rule("a")->args, value, "%zu characters", len);
		CHECK_TEXT(rule("a")->match, "x", "the line behind");
	}
	memset(value, 'v', 4096);
	value[4095] = '\0';
	snprintf(text, sizeof(text), "[a]\nrange = 1\nmatch = x, %s\n", value);
	if (good(text))
		CHECK(strlen(rule("a")->match) == 4098, "the longest glob");
	memset(value, 'v', 4096);
	value[4096] = '\0';
	snprintf(text, sizeof(text), "[a]\nrange = 1\nmatch = %s\n", value);
	bad(text, "3: a glob has 4096 characters, the longest allowed is 4095\n");
	/* blanks around do not count */
	memset(value, ' ', 400);
	value[400] = '\0';
	snprintf(text, sizeof(text), "[a]\n%srange = 1%s\n", value, value);
	good(text);
	snprintf(text, sizeof(text), "[a]\nrange = %s 1\n", value);
	good(text);
	snprintf(text, sizeof(text), "[a]\nrange = 1 ; %s %s.\nargs = x\n", value, value);
	if (good(text))
		CHECK_TEXT(rule("a")->args, "x", "a long comment");
	snprintf(text, sizeof(text), "[a] ; %s %s.\nrange = 1\n", value, value);
	good(text);
	/* mistakes are told at their own line, once */
	snprintf(text, sizeof(text), "[a]\nrange = 1\nmatch = x%sx\n", value);
	bad(text, "3: the value has too many blanks in a row, take some out\n");
	memset(value, 'v', 400);
	snprintf(text, sizeof(text), "[a]\nrange = 1\n%s\nargs = x\nargs = y\n", value);
	bad(text, "3: this is neither '[section]' nor 'key = value'\n"
		  "5: 'args' is given twice in this section, keep one\n");
	snprintf(text, sizeof(text), "[a]\nrange = 1\n%s = x\n", value);
	bad(text, "3: there are 401 characters before '=', no key is so long\n");
	snprintf(text, sizeof(text), "[a]\nrange = 1\n= %s\n", value);
	bad(text, "3: there is no key before '=', write 'key = value'\n");
}

/* A list goes on in indented lines, as commas say. */
static void lists_of_many_lines(void)
{
	static const char *const same[] = {
		"[a]\nexclude = 20001,\n 20002, 20003,\n\t20005\nrange = 20000-20009\n",
		"[a]\nexclude = 20001, 20002\n , 20003, 20005\nrange = 20000-20009\n",
		"[a]\nexclude =\n 20001,\n 20002,\n 20003,\n 20005\nrange = 20000-20009\n",
		"[a]\r\nexclude = 20001,  ; one\r\n\r\n  ; two\r\n  20002, 20003 ; three\r\n  ,20005\r\n"
		"range = 20000-20009\r\n",
		"[a]\nrange = 20000-20009\nexclude = 20001,\n 20002,\n 20003,\n 20005",
		"[a]\n range = 20000,\n  20004,\n  20006-20009\n",
	};
	char text[16384], *to;
	size_t i;
	int port;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (good(same[i]))
			check_ranges("a", "20000, 20004, 20006-20009", "20000, 20004, 20006-20009",
				     "20000, 20004, 20006-20009");
	if (good("[a]\nrange = 1\nargs = *x*,\n *--port=5*, *:7*,\n *y*\nmatch =\n  curl,\n  wget\n")) {
		CHECK_TEXT(rule("a")->args, "*x*,*--port=5*, *:7*,*y*", "args");
		CHECK_TEXT(rule("a")->match, "curl,wget", "match");
	}
	if (good("[portfence]\npool = 1-10,\n  20-29\n[a]\nrange = 1\n"))
		CHECK(policy.pool->count == 20, "%u ports", policy.pool->count);
	/* each line may be as long as any */
	to = text + sprintf(text, "[a]\nrange = 20000-29999\nexclude = 20000");
	for (port = 20002; port < 22000; port += 2)
		to += sprintf(to, ",%s%d", port % 500 ? "" : "\n ", port);
	strcpy(to, "\n");
	if (good(text))
		CHECK(rule("a")->range[PROTO_TCP]->count == 9000, "%u ports",
		      rule("a")->range[PROTO_TCP]->count);
	/* an error is told at the key, and what is no list goes on nowhere */
	bad("[a]\nrange = 1\nexclude = 1,\n  2,\n  x\norder = best\n",
	    "3: 'x' is neither a range nor a preset, write first-last, first+count, one port or a preset "
	    "such as iana, linux or system\n"
	    "6: 'best' is no order, use one of: auto, sequential, random, random-simple, hash, "
	    "double-hash, random-increments\n");
	bad("[a]\nrange = 1\nmatch = x\n  y\n",
	    "4: this is neither '[section]' nor 'key = value'; to go on with the list of 'match', end "
	    "the line above with a comma\n");
	bad("[a]\nrange = 1\norder = random,\n  hash\n",
	    "3: 'random,' is no order, use one of: auto, sequential, random, random-simple, hash, "
	    "double-hash, random-increments\n"
	    "4: this is neither '[section]' nor 'key = value'\n");
	/* a comma too many does not swallow the next key */
	bad("[a]\nrange = 1\nmatch = x,\n  bind = own\n",
	    "3: 'x,' has an empty item, write globs separated by commas\n");
	bad("[a]\nrange = 1\nmatch = x,\norder = hash\n",
	    "3: 'x,' has an empty item, write globs separated by commas\n");
	bad("[a]\nrange = 1\nmatch =\n  bind = own\n",
	    "3: 'match' has no value, write names or paths of programs after '=' or take the line "
	    "out\n");
	bad("[a]\nrange = 1,\n[b]\nrange = 2\n",
	    "2: an item is empty, write first-last, first+count, one port or a preset\n");
}

/* Slips that look right, and would do nothing. */
static void slips(void)
{
	bad("[a]\nrange = \"20000-20999\"\n",
	    "2: quotes would be part of the value, write it without them: 20000-20999\n");
	bad("[a]\nrange = 1\nmatch = x, 'curl'\n",
	    "3: quotes would be part of the value, write it without them: x, curl\n");
	bad("[portfence]\nlog = \"stderr\"\n",
	    "2: quotes would be part of the value, write it without them: stderr\n");
	good("[a]\nrange = 1\nargs = *\"x\"*\n");
	bad("[a]\nrange = 20,000-20,999\n",
	    "2: '20,000-20,999' has separators of thousands, write '20000-20999'\n");
	bad("[a]\nrange = 1\nexclude = 5, 20.000\n",
	    "3: '20.000' has separators of thousands, write '20000'\n");
	bad("[a]\nrange = 20 000 - 20 999\n",
	    "2: '20 000 - 20 999' has separators of thousands, write '20000-20999'\n");
	if (good("[a]\nrange = 20,500-600,700\n"))
		check_ranges("a", "20, 500-600, 700", "20, 500-600, 700", "20, 500-600, 700");
	bad("[a]\nrange = 1\nmatch = ~/bin/x\n",
	    "3: '~/bin/x' begins with '~', which nothing expands here; write the whole path, such as "
	    "/home/*/bin/x\n");
	bad("[a]\nrange = 1\nmatch = y, $HOME/bin/x\n",
	    "3: '$HOME/bin/x' begins with '$', which nothing expands here; write the whole path, such "
	    "as /home/*/bin/x\n");
	good("[a]\nrange = 1\nmatch = x~, ~, $x\n");
	bad("log = stderr\n[a]\nrange = 1\n",
	    "1: 'log' stands before the first section, write [portfence] above it\n");
	bad("[a]\nrange = 1\nlog = stderr\n",
	    "3: 'log' is no key of [a] but of [portfence], write it below a line [portfence]\n");
	bad("[portfence]\nrange = 1\n",
	    "2: 'range' is no key of [portfence] but of an application, write it below a line such as "
	    "[curl]\n");
	bad("[DEFAULT]\nrange = 1\n",
	    "1: [DEFAULT] would only be for a program of that name; write [*] for all programs without "
	    "a section of their own, [portfence] for the log, or add 'match = DEFAULT'\n");
	good("[DEFAULT]\nrange = 1\nmatch = DEFAULT\n");
}

static void bytes_that_are_no_text(void)
{
	static const char not_text[] =
		"3: this is not text, a configuration holds printable characters only\n";
	static const char nul[] =
		"3: this is no text file, as it holds a NUL byte; save it as UTF-8\n";
	char bytes[] = "[a]\nrange = 1\nmatch = x?y\n";
	char *at = strchr(bytes, '?');
	int c;

	for (c = 0; c < 256; c++) {
		bool allowed = c == '\t' || c == '\n' || (c >= ' ' && c != 0x7f);
		int rc;

		*at = (char)c;
		rc = load_bytes(bytes, sizeof(bytes) - 1);
		if (c == '\n')
			continue; /* two lines */
		CHECK(rc == (allowed ? 0 : -EINVAL), "byte %d: %d, %s", c, rc, told);
		CHECK_TEXT(told, allowed ? "" : c ? not_text : nul, "byte %d", c);
	}
}

static void files_that_are_none(void)
{
	char folder[] = "/tmp/unit-conf-XXXXXX", path[64];
	int rc;

	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/none.ini", folder);
	strcpy(file_name, path);
	told[0] = '\0';
	arena_free(&arena);
	rc = conf_load(path, false, &arena, note, &policy, &policy);
	CHECK(rc == -ENOENT && !*told, "missing: %d, %s", rc, told);
	strcpy(file_name, folder);
	rc = conf_load(folder, false, &arena, note, &policy, &policy);
	CHECK(rc == -EISDIR, "a folder: %d", rc);
	CHECK_TEXT(told, "0: cannot be read: Is a directory\n", "a folder");
	strcpy(file_name, "/dev/null");
	told[0] = '\0';
	rc = conf_load("/dev/null", false, &arena, note, &policy, &policy);
	CHECK(rc == -ENODEV, "a device: %d", rc);
	CHECK_TEXT(told, "0: cannot be read: not a regular file\n", "a device");
	strcpy(file_name, "/dev/null/x");
	told[0] = '\0';
	rc = conf_load("/dev/null/x", false, &arena, note, &policy, &policy);
	CHECK(rc == -ENOENT && !*told, "no path to it: %d, %s", rc, told);
	rmdir(folder);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		count += lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
	return count;
}

static void nothing_stays_open(void)
{
	unsigned before = open_descriptors();

	good("[a]\nrange = system\nexclude = services\n");
	load("[a]\nrange = 0\n");
	files_that_are_none();
	CHECK(open_descriptors() == before, "%u open, %u before", open_descriptors(), before);
}

/* ---- overrides ---- */

static void overrides(void)
{
	struct rule copy;
	struct reason why;
	int rc;

	if (!good("[a]\nrange = 20000-20999\nudp.range = 7\nexclude = 20005\norder = hash\nseed = 3\n"))
		return;
	copy = *rule("a");
	rc = key_override(&copy, KEY_RANGE, "20000-20009, 30000", &arena, &why);
	CHECK(rc == 0, "range: %d", rc);
	CHECK_TEXT(range_text(&copy, PROTO_TCP), "20000-20009, 30000", "range, nothing excluded");
	CHECK(copy.range[PROTO_UDP] == copy.range[PROTO_TCP] &&
		      copy.range[PROTO_SCTP] == copy.range[PROTO_TCP],
	      "for all protocols");
	rc = key_override(&copy, KEY_ORDER, "random", &arena, &why);
	CHECK(rc == 0 && copy.order == ORDER_RANDOM, "order: %d", rc);
	rc = key_override(&copy, KEY_SEED, "99", &arena, &why);
	CHECK(rc == 0 && copy.seeded && copy.seed == 99, "seed: %d", rc);
	/* a refused value leaves the rule as it was, or the process closed: never half of each */
	rc = key_override(&copy, KEY_RANGE, "30000-29999", &arena, &why);
	CHECK(rc == -EINVAL && copy.range[PROTO_TCP]->count == 11, "range: %d", rc);
	CHECK_TEXT(why.text, "'30000-29999' is reversed, write the lower port first", "range");
	rc = key_override(&copy, KEY_ORDER, "best", &arena, &why);
	CHECK(rc == -EINVAL && copy.order == ORDER_RANDOM, "order: %d", rc);
	rc = key_override(&copy, KEY_SEED, "-1", &arena, &why);
	CHECK(rc == -EINVAL && copy.seed == 99, "seed: %d", rc);
	/* the file's rule is not the copy */
	CHECK_TEXT(range_text(rule("a"), PROTO_UDP), "7", "the file's own");
}

static void contradictions(void)
{
	struct rule copy;
	struct reason why;
	int rc;

	if (!good("[a]\nrange = 20000-20999\nengine = kernel\n"))
		return;
	copy = *rule("a");
	CHECK(key_check(&copy, &why) == 0, "%s", why.text);
	copy.order = ORDER_HASH;
	rc = key_check(&copy, &why);
	CHECK(rc == -EINVAL, "%d", rc);
	CHECK_TEXT(
		why.text,
		"order 'hash' cannot go with 'engine = kernel', which keeps to the kernel's own order; "
		"use 'engine = auto'",
		"an order");
	copy.engine = ENGINE_BIND;
	CHECK(key_check(&copy, &why) == 0, "with the bind engine");
	copy = *rule("a");
	key_override(&copy, KEY_RANGE, "20000, 20002", &arena, &why);
	rc = key_check(&copy, &why);
	CHECK(rc == -EINVAL, "%d", rc);
	CHECK_TEXT(why.text,
		   "'engine = kernel' takes one unbroken range, and that for tcp has gaps; use "
		   "'engine = auto'",
		   "gaps");
	/* lists that leave no gap are one range */
	good("[a]\nrange = 20000-20499, 20500-20999\nengine = kernel\n");
	good("[a]\nrange = 20000-20999\nexclude = 20900-20999\nengine = kernel\n");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "every-key", every_key },
		{ "every-value", every_value },
		{ "ways-of-writing", ways_of_writing },
		{ "no-surprise-of-inih", no_surprise_of_inih },
		{ "protocol-overrides", protocol_overrides },
		{ "exclusions", exclusions },
		{ "many-sections", many_sections },
		{ "empty-files", empty_files },
		{ "all-errors-at-once", all_errors_at_once },
		{ "line-numbers", line_numbers },
		{ "refused-headers", refused_headers },
		{ "long-lines", long_lines },
		{ "lists-of-many-lines", lists_of_many_lines },
		{ "slips", slips },
		{ "bytes-that-are-no-text", bytes_that_are_no_text },
		{ "files-that-are-none", files_that_are_none },
		{ "nothing-stays-open", nothing_stays_open },
		{ "overrides", overrides },
		{ "contradictions", contradictions },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
