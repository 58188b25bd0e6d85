/*
 * range and preset: lists from text to set, and sets to index and back, beside
 * a plain array of 65,536 truth values that is filled by hand.
 */
#include "../../src/core/range.h"
#include "../../src/core/preset.h"
#include "unit.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>

#define PORTS 65536

static struct arena arena;

static int no_name(const char *name, struct range_set *set)
{
	(void)name;
	(void)set;
	return -ENOENT;
}

/* Return: the range of a list, or NULL */
static const struct range *parse(const char *text)
{
	static struct range_set set;
	const struct range *range;
	struct reason why = { "" };
	int rc;

	range_set_clear(&set);
	rc = range_parse(text, preset_add, &set, &why);
	if (!CHECK(rc == 0, "'%s': %d, %s", text, rc, why.text))
		return NULL;
	rc = range_build(&set, &arena, &range);
	return CHECK(rc == 0, "'%s': %d", text, rc) ? range : NULL;
}

/* Does @range hold just the ports of @want, at the right places, by all its functions? */
static bool compare(const struct range *range, const bool want[PORTS], const char *what)
{
	uint32_t port, index = 0, first = 0, last = 0, spans = 0, s, before = 0;

	for (port = 0; port < PORTS; port++) {
		if (!CHECK(range_has(range, (uint16_t)port) == want[port], "%s: port %u", what,
			   port))
			return false;
		if (!want[port])
			continue;
		spans += port == 0 || !want[port - 1];
		first = first ? first : port;
		last = port;
		if (!CHECK(index < range->count && range_port(range, index) == port,
			   "%s: at index %u is %u, not %u", what, index,
			   index < range->count ? range_port(range, index) : 0, port))
			return false;
		index++;
	}
	for (s = 0; s < range->spans; s++) {
		const struct range_span *span = &range->span[s];

		CHECK(span->first <= span->last && span->before == before &&
			      (s == 0 || span->first > span[-1].last + 1),
		      "%s: span %u is %u-%u, %u before", what, s, span->first, span->last,
		      span->before);
		before += span->last - span->first + 1U;
	}
	return CHECK(range->count == index, "%s: count %u, not %u", what, range->count, index) &&
	       CHECK(range->spans == spans, "%s: %u spans, not %u", what, range->spans, spans) &&
	       CHECK(range_first(range) == first, "%s: first %u, not %u", what, range_first(range),
		     first) &&
	       CHECK(range_last(range) == last, "%s: last %u, not %u", what, range_last(range),
		     last);
}

static void mark(bool ports[PORTS], unsigned first, unsigned last)
{
	for (; first <= last; first++)
		ports[first] = true;
}

/* ---- groups ---- */

static void good_lists(void)
{
	static const struct {
		const char *text;
		unsigned bound[8]; /* first, last, first, last, ..., 0 */
	} table[] = {
		{ "1", { 1, 1 } },
		{ "65535", { 65535, 65535 } },
		{ "1-65535", { 1, 65535 } },
		{ "1+65535", { 1, 65535 } },
		{ "20000-20999", { 20000, 20999 } },
		{ "20000+1000", { 20000, 20999 } },
		{ "20000+1", { 20000, 20000 } },
		{ "65535+1", { 65535, 65535 } },
		{ "20000-20000", { 20000, 20000 } },
		{ " 20000 - 20999 ", { 20000, 20999 } },
		{ "\t20000\t+\t10\t", { 20000, 20009 } },
		{ "020000-0020999", { 20000, 20999 } },
		{ "20000-20999,22000-22099", { 20000, 20999, 22000, 22099 } },
		{ "20000-20999 , 22000-22099", { 20000, 20999, 22000, 22099 } },
		{ "22000-22099, 20000-20999", { 20000, 20999, 22000, 22099 } },
		{ "3,2,1", { 1, 3 } },
		{ "20000-20499, 20500-20999", { 20000, 20999 } },
		{ "20000-20999, 20500-21500", { 20000, 21500 } },
		{ "20000-20999, 20000-20999", { 20000, 20999 } },
		{ "1, 65535", { 1, 1, 65535, 65535 } },
		{ "63, 64", { 63, 64 } },
		{ "63, 65", { 63, 63, 65, 65 } },
		{ "64-127", { 64, 127 } },
		{ "65472-65535", { 65472, 65535 } },
		{ "1-65534", { 1, 65534 } },
		{ "2-65535", { 2, 65535 } },
		{ "linux, 20000", { 20000, 20000, 32768, 60999 } },
		{ "windows-xp, windows-2003", { 1024, 5000 } },
	};
	static bool want[PORTS];
	size_t i, k;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct range *range = parse(table[i].text);

		memset(want, 0, sizeof(want));
		for (k = 0; table[i].bound[k]; k += 2)
			mark(want, table[i].bound[k], table[i].bound[k + 1]);
		if (range)
			compare(range, want, table[i].text);
	}
}

static void bad_lists(void)
{
	static const char empty[] =
		"an item is empty, write first-last, first+count, one port or a preset";
#define MALFORMED(item)                                                                            \
	"'" item "' is not a range, write first-last, first+count or one port, such as 20000-20999"
#define ZERO(item) "'" item "' holds port 0, ports are 1 to 65535"
#define ABOVE(item) "'" item "' goes above port 65535, ports are 1 to 65535"
#define NO_NAME(item)                                                                              \
	"'" item "' is neither a range nor a preset, write first-last, first+count, one port or "  \
	"a preset such as iana, linux or system"
	static const struct {
		const char *text, *why;
	} table[] = {
		{ "", empty },
		{ "  ", empty },
		{ ",", empty },
		{ "1,", empty },
		{ ",1", empty },
		{ "1,,2", empty },
		{ "1, ,2", empty },
		{ "0", ZERO("0") },
		{ "00", ZERO("00") },
		{ "0-10", ZERO("0-10") },
		{ "10-0", ZERO("10-0") },
		{ "0+10", ZERO("0+10") },
		{ "65536", ABOVE("65536") },
		{ "1-65536", ABOVE("1-65536") },
		{ "65536-65537", ABOVE("65536-65537") },
		{ "65535+2", ABOVE("65535+2") },
		{ "1+65536", ABOVE("1+65536") },
		{ "1+4294967296", ABOVE("1+4294967296") },
		{ "4294967297", ABOVE("4294967297") },
		{ "1+18446744073709551615", ABOVE("1+18446744073709551615") },
		{ "2+18446744073709551615", ABOVE("2+18446744073709551615") },
		{ "18446744073709551617", ABOVE("18446744073709551617") },
		{ "99999999999999999999999", ABOVE("99999999999999999999999") },
		{ "1-99999999999999999999999", ABOVE("1-99999999999999999999999") },
		{ "20+0", "'20+0' holds no port, the count after '+' starts at 1" },
		{ "20999-20000", "'20999-20000' is reversed, write the lower port first" },
		{ "2-1", "'2-1' is reversed, write the lower port first" },
		{ "-", MALFORMED("-") },
		{ "+", MALFORMED("+") },
		{ "-5", MALFORMED("-5") },
		{ "+5", MALFORMED("+5") },
		{ "5-", MALFORMED("5-") },
		{ "5+", MALFORMED("5+") },
		{ "5--6", MALFORMED("5--6") },
		{ "5-6-7", MALFORMED("5-6-7") },
		{ "5 6", MALFORMED("5 6") },
		{ "5:6", MALFORMED("5:6") },
		{ "5..6", MALFORMED("5..6") },
		{ "5x", MALFORMED("5x") },
		{ "5-6x", MALFORMED("5-6x") },
		{ "5.0", MALFORMED("5.0") },
		{ "1e3", MALFORMED("1e3") },
		{ "0x10", MALFORMED("0x10") },
		{ "5-+6", MALFORMED("5-+6") },
		{ "5- -6", MALFORMED("5- -6") },
		{ "5;6", MALFORMED("5;6") },
		{ "20000 - 20999 x", MALFORMED("20000 - 20999 x") },
		{ "20000–20999",
		  MALFORMED("20000–20999") }, /* an en dash, out of a word processor */
		{ "linus", NO_NAME("linus") },
		{ "Linux", NO_NAME("Linux") },
		{ "linux-", NO_NAME("linux-") },
		{ "services", NO_NAME("services") },
		{ "\"1-2\"", NO_NAME("\"1-2\"") },
		{ "1-2, 3-x, 0", MALFORMED("3-x") },
	};
	static struct range_set set;
	char long_item[300];
	struct reason why;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		range_set_clear(&set);
		strcpy(why.text, "nothing");
		rc = range_parse(table[i].text, preset_add, &set, &why);
		CHECK(rc == -EINVAL, "'%s': %d", table[i].text, rc);
		CHECK_TEXT(why.text, table[i].why, "'%s'", table[i].text);
	}
	memset(long_item, '1', sizeof(long_item));
	long_item[199] = '\0';
	rc = range_parse(long_item, preset_add, &set, &why);
	CHECK(rc == -EINVAL && strstr(why.text, "goes above"), "199 digits: %d, %s", rc, why.text);
	long_item[199] = '1';
	long_item[200] = '\0';
	rc = range_parse(long_item, preset_add, &set, &why);
	CHECK(rc == -EINVAL, "200 digits: %d", rc);
	CHECK_TEXT(why.text, "an item is longer than 199 characters", "200 digits");
}

static int unreadable(const char *name, struct range_set *set)
{
	(void)name;
	(void)set;
	return -EACCES;
}

static void names_resolved(void)
{
	static struct range_set set;
	struct reason why;
	int rc;

	rc = range_parse("system", unreadable, &set, &why);
	CHECK(rc == -EINVAL, "%d", rc);
	CHECK_TEXT(why.text, "'system' cannot be read: Permission denied",
		   "a name that cannot be read");
	rc = range_parse("20000-20999", no_name, &set, &why);
	CHECK(rc == 0, "numbers ask for no name: %d", rc);
	rc = range_parse("linux", no_name, &set, &why);
	CHECK(rc == -EINVAL, "%d", rc);
}

/* Sets of all kinds, from a few ports to thousands of gaps. */
static void random_sets(void)
{
	static bool want[PORTS], also[PORTS];
	static struct range_set set, other;
	uint64_t random = 23;
	int round, i;

	for (round = 0; round < 120; round++) {
		int pieces = 1 + (int)(unit_random(&random) % (round % 3 == 2 ? 3000 : 12));
		unsigned widest = round % 2 ? 20 : 4000;
		const struct range *range = NULL;
		char what[32];
		int rc;

		snprintf(what, sizeof(what), "random set %d", round);
		memset(want, 0, sizeof(want));
		memset(also, 0, sizeof(also));
		range_set_clear(&set);
		range_set_clear(&other);
		for (i = 0; i < pieces; i++) {
			unsigned first = 1 + (unsigned)(unit_random(&random) % 65535);
			unsigned last = first + (unsigned)(unit_random(&random) % widest);
			bool second = unit_random(&random) % 4 == 0;

			last = last > 65535 ? 65535 : last;
			mark(second ? also : want, first, last);
			range_set_add(second ? &other : &set, (uint16_t)first, (uint16_t)last);
		}
		if (round % 4 < 2) {
			range_set_remove(&set, &other);
			for (i = 0; i < PORTS; i++)
				want[i] = want[i] && !also[i];
		} else {
			range_set_join(&set, &other);
			for (i = 0; i < PORTS; i++)
				want[i] = want[i] || also[i];
		}
		rc = range_build(&set, &arena, &range);
		if (rc == -EINVAL)
			CHECK(!memchr(want, 1, sizeof(want)), "%s: called empty", what);
		else if (CHECK(rc == 0, "%s: %d", what, rc))
			compare(range, want, what);
		arena_free(&arena);
	}
}

static void cleared_set(void)
{
	static struct range_set set, none;
	const struct range *range = NULL;

	CHECK(range_build(&set, &arena, &range) == -EINVAL && !range, "the empty set is no range");
	range_set_add(&set, 1, 65535);
	range_set_clear(&set);
	CHECK(range_build(&set, &arena, &range) == -EINVAL, "something is left of 1-65535");
	range_set_add(&set, 5000, 5999);
	range_set_remove(&set, &set);
	CHECK(range_build(&set, &arena, &range) == -EINVAL, "a set less itself is no range");
	range_set_add(&set, 2, 3);
	range_set_add(&set, 5, 6);
	range_set_remove(&set, &set);
	CHECK(range_build(&set, &arena, &range) == -EINVAL, "a set with a gap less itself is none");
	range_set_join(&set, &none);
	CHECK(range_build(&set, &arena, &range) == -EINVAL, "joining nothing made a range");
}

static void overlap(void)
{
	static const struct {
		const char *a, *b;
		unsigned port;
	} table[] = {
		{ "1-10", "11-20", 0 },
		{ "1-10", "10-20", 10 },
		{ "1-100", "50", 50 },
		{ "65535", "1-65535", 65535 },
		{ "1-10, 30-40", "11-29", 0 },
		{ "1-10, 30-40", "11-30", 30 },
		{ "10, 20, 30, 40", "15, 25, 35, 40", 40 },
		{ "10, 20, 30, 40", "41-65535, 1-9", 0 },
		{ "windows", "linux", 49152 },
	};
	static struct range_set set_a, set_b;
	uint64_t random = 29;
	size_t i;
	int k;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct range *a = parse(table[i].a), *b = parse(table[i].b);

		if (!a || !b)
			continue;
		CHECK(range_overlap(a, b) == table[i].port, "%s with %s: %u", table[i].a,
		      table[i].b, range_overlap(a, b));
		CHECK(range_overlap(b, a) == table[i].port, "%s with %s: %u", table[i].b,
		      table[i].a, range_overlap(b, a));
	}
	for (i = 0; i < 200; i++) {
		const struct range *a, *b;
		uint32_t port;

		range_set_clear(&set_a);
		range_set_clear(&set_b);
		for (k = 0; k < 8; k++) {
			unsigned first = 1 + (unsigned)(unit_random(&random) % 65535);
			unsigned last = first + (unsigned)(unit_random(&random) % 2000);

			range_set_add(k % 2 ? &set_a : &set_b, (uint16_t)first,
				      (uint16_t)(last > 65535 ? 65535 : last));
		}
		if (range_build(&set_a, &arena, &a) || range_build(&set_b, &arena, &b))
			continue;
		for (port = 1; port < PORTS; port++)
			if (range_has(a, (uint16_t)port) && range_has(b, (uint16_t)port))
				break;
		CHECK(range_overlap(a, b) == port % PORTS, "pair %zu: %u, not %u", i,
		      range_overlap(a, b), port % PORTS);
	}
}

/* A shortened text must be a list of whole items, then ", ...". */
static void check_cut(const struct range *range, const char *whole, size_t size)
{
	char cut[512];
	size_t len;

	memset(cut, '#', sizeof(cut));
	range_format(range, cut, size);
	len = strnlen(cut, sizeof(cut));
	if (!CHECK(len < size && cut[size] == '#', "size %zu: length %zu", size, len))
		return;
	/* what fits, with room for ", ..." to spare, is not cut */
	if (strlen(whole) + sizeof(", ...") <= size)
		CHECK_TEXT(cut, whole, "size %zu", size);
	if (!strcmp(cut, whole) || size <= sizeof(", ..."))
		return;
	CHECK(len >= 5 && !strcmp(cut + len - 5, ", ..."), "size %zu: '%s'", size, cut);
	CHECK(!strncmp(cut, whole, len - 5) && (len == 5 || whole[len - 5] == ','),
	      "size %zu: '%s' of '%s'", size, cut, whole);
}

static void format(void)
{
	static const char *const same[] = {
		"1", "65535", "1-65535", "1, 3, 5", "1-2, 4-5", "20000-20999, 22000-22099, 65535"
	};
	static char text[PORTS * 8];
	static struct range_set set;
	uint64_t random = 31;
	size_t i, size;
	int k;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		const struct range *range = parse(same[i]);

		if (!range)
			continue;
		range_format(range, text, sizeof(text));
		CHECK_TEXT(text, same[i], "there and back");
		for (size = 1; size < 60; size++)
			check_cut(range, same[i], size);
	}
	for (i = 0; i < 60; i++) {
		const struct range *range, *back;

		range_set_clear(&set);
		for (k = 0; k < (i % 2 ? 5 : 3000); k++) {
			unsigned first = 1 + (unsigned)(unit_random(&random) % 65535);
			unsigned last = first + (unsigned)(unit_random(&random) % 10);

			range_set_add(&set, (uint16_t)first,
				      (uint16_t)(last > 65535 ? 65535 : last));
		}
		if (!CHECK(range_build(&set, &arena, &range) == 0, "set %zu", i))
			continue;
		range_format(range, text, sizeof(text));
		back = parse(text);
		CHECK(back && back->count == range->count && back->spans == range->spans &&
			      !memcmp(back->span, range->span,
				      range->spans * sizeof(range->span[0])),
		      "set %zu: '%.60s'", i, text);
		arena_free(&arena);
	}
}

/* Every second port: as many spans as there can be. */
static void most_spans(void)
{
	static bool want[PORTS];
	static struct range_set set;
	const struct range *range;
	unsigned port;

	range_set_clear(&set);
	for (port = 1; port < PORTS; port += 2) {
		range_set_add(&set, (uint16_t)port, (uint16_t)port);
		want[port] = true;
	}
	if (CHECK(range_build(&set, &arena, &range) == 0, "cannot be built"))
		compare(range, want, "every second port");
}

/* ---- presets ---- */

/* The table of presets, once more by hand. */
static void presets(void)
{
	static const struct {
		const char *name;
		unsigned first, last;
	} table[] = {
		{ "iana", 49152, 65535 },
		{ "rfc6335", 49152, 65535 },
		{ "freebsd", 49152, 65535 },
		{ "windows", 49152, 65535 },
		{ "linux", 32768, 60999 },
		{ "solaris", 32768, 65535 },
		{ "aix", 32768, 65535 },
		{ "rfc6056", 1024, 65535 },
		{ "windows-exchange", 1025, 60000 },
		{ "freebsd-legacy", 1024, 5000 },
		{ "bsd", 1024, 5000 },
		{ "windows-xp", 1024, 5000 },
		{ "windows-2003", 1025, 5000 },
	};
	static bool want[PORTS];
	size_t i, listed = 0;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct range *range = parse(table[i].name);

		memset(want, 0, sizeof(want));
		mark(want, table[i].first, table[i].last);
		if (range)
			compare(range, want, table[i].name);
	}
	while (preset_table[listed].name) {
		CHECK(preset_table[listed].whose && *preset_table[listed].whose, "%s is nobody's",
		      preset_table[listed].name);
		CHECK(preset_table[listed].source && *preset_table[listed].source,
		      "%s is written nowhere", preset_table[listed].name);
		listed++;
	}
	CHECK(listed == sizeof(table) / sizeof(table[0]), "%zu presets", listed);
}

static void system_preset(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
	const struct range *range = parse("system");
	unsigned first = 0, last = 0;
	uint16_t low, high;

	if (!CHECK(file, "/proc cannot be read"))
		return;
	CHECK(fscanf(file, "%u %u", &first, &last) == 2, "/proc has %u, %u", first, last);
	fclose(file);
	CHECK(range && range->spans == 1 && range_first(range) == first &&
		      range_last(range) == last,
	      "the kernel says %u-%u", first, last);
	CHECK(preset_ephemeral(&low, &high) == 0 && low == first && high == last,
	      "the kernel says %u-%u", first, last);
}

/* Beside getservent(), glibc's own reader of /etc/services. */
static void services(void)
{
	static bool want[PORTS];
	static struct range_set set;
	const struct range *range;
	struct servent *entry;
	int count = 0, rc;

	setservent(1);
	while ((entry = getservent())) {
		want[ntohs((uint16_t)entry->s_port)] = true;
		count++;
	}
	endservent();
	range_set_clear(&set);
	rc = preset_add_exclusion("services", &set);
	if (!count) {
		CHECK(rc == 0 || rc == -ENOENT, "without /etc/services: %d", rc);
		return;
	}
	if (!CHECK(rc == 0 && range_build(&set, &arena, &range) == 0, "%d", rc))
		return;
	compare(range, want, "services");
	CHECK(range_has(range, 22) && range_has(range, 80), "no ssh or no http");
	range_set_clear(&set);
	CHECK(preset_add_exclusion("linux", &set) == 0 && set.count, "other names work, too");
	CHECK(preset_add_exclusion("nosuch", &set) == -ENOENT, "an unknown name");
	CHECK(preset_add("services", &set) == -ENOENT, "'services' is no range");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "good-lists", good_lists },
		{ "bad-lists", bad_lists },
		{ "names-resolved", names_resolved },
		{ "random-sets", random_sets },
		{ "cleared-set", cleared_set },
		{ "overlap", overlap },
		{ "format", format },
		{ "most-spans", most_spans },
		{ "presets", presets },
		{ "system-preset", system_preset },
		{ "services", services },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
