/*
 * range: two lists, a line each, from text to set and to index and back, beside a second reader that
 * fills a plain array of 65,536 truth values.
 */
#include "../../src/core/range.h"

#include "fuzz.h"

#include <errno.h>

#define PORTS 65536

/* Sets are large, and this way their memory need not be made anew. */
static struct range_set set_a, set_b, set_c;
static bool ports_a[PORTS], ports_b[PORTS], ports_c[PORTS];

static int resolve(const char *name, struct range_set *set)
{
	if (!strcmp(name, "bad"))
		return -EIO;
	if (strcmp(name, "name"))
		return -ENOENT;
	range_set_add(set, 49152, 65535);
	return 0;
}

/* Return: where the number ends, NULL if there is none; what is above 65535 comes as 65536 */
static const char *number(const char *p, unsigned *ret_value)
{
	size_t digits = strspn(p, "0123456789"), zeros = strspn(p, "0");

	if (!digits)
		return NULL;
	*ret_value = digits - zeros > 5 ? PORTS : (unsigned)atoi(p);
	if (*ret_value > PORTS)
		*ret_value = PORTS;
	return p + digits;
}

static bool model_item(const char *item, bool ports[PORTS])
{
	unsigned first, second, last;
	char sign;

	if (!strcmp(item, "name")) {
		memset(ports + 49152, true, 65535 - 49152 + 1);
		return true;
	}
	item = number(item, &first);
	if (!item)
		return false;
	item += strspn(item, " \t");
	sign = *item;
	last = first;
	if (sign) {
		if (sign != '-' && sign != '+')
			return false;
		item++;
		item = number(item + strspn(item, " \t"), &second);
		if (!item || *item)
			return false;
		last = sign == '-' ? second : first + second - 1;
	}
	if (first < 1 || last < first || last > 65535)
		return false;
	memset(ports + first, true, last - first + 1);
	return true;
}

static bool model_parse(const char *text, bool ports[PORTS])
{
	char item[200];

	memset(ports, false, PORTS);
	for (;;) {
		size_t len;

		text += strspn(text, " \t");
		len = strcspn(text, ",");
		while (len && strchr(" \t", text[len - 1]))
			len--;
		if (len >= sizeof(item))
			return false;
		snprintf(item, sizeof(item), "%.*s", (int)len, text);
		if (!model_item(item, ports))
			return false;
		text += strcspn(text, ",");
		if (!*text)
			return true;
		text++;
	}
}

static unsigned find(const bool ports[PORTS], bool wanted, unsigned from)
{
	const bool *at = memchr(ports + from, wanted, PORTS - from);

	return at ? (unsigned)(at - ports) : PORTS;
}

/* Has the set just the ports of the array? */
static void compare(const struct range_set *set, const bool ports[PORTS])
{
	unsigned first = 0, end = 0;
	uint32_t i;

	for (i = 0; i < set->count; i++) {
		first = find(ports, true, end);
		CLAIM(first == set->run[i].first);
		end = find(ports, false, first);
		CLAIM(end == set->run[i].last + 1U);
	}
	CLAIM(find(ports, true, end) == PORTS);
}

static bool parse(const char *text, struct range_set *set, bool ports[PORTS])
{
	struct reason why = { "" };
	int rc;

	range_set_clear(set);
	rc = range_parse(text, resolve, set, &why);
	CLAIM(rc == 0 || (rc == -EINVAL && *why.text));
	CLAIM(model_parse(text, ports) == !rc);
	if (!rc)
		compare(set, ports);
	return !rc;
}

static const struct range *build(const struct range_set *set, struct arena *arena)
{
	const struct range *range = NULL;
	int rc = range_build(set, arena, &range);

	CLAIM(rc == (set->count ? 0 : -EINVAL));
	if (range)
		fuzz_check_range(range);
	return range;
}

/* Written into as little room as there may be, it is whole or says that it is cut. */
static void format(const struct range *range, size_t size)
{
	char *text = malloc(size);
	struct reason why;

	if (!text)
		abort();
	range_format(range, text, size);
	CLAIM(strlen(text) < size);
	if (!strstr(text, "...") && size > sizeof(", ...")) {
		range_set_clear(&set_c);
		CLAIM(range_parse(text, resolve, &set_c, &why) == 0);
		CLAIM(set_c.count == range->spans);
		CLAIM(range->span[0].first == set_c.run[0].first);
		CLAIM(range_last(range) == set_c.run[set_c.count - 1].last);
	}
	free(text);
}

static void combine(struct arena *arena)
{
	const struct range *a = build(&set_a, arena), *b = build(&set_b, arena);
	unsigned port, overlap = 0;

	for (port = PORTS; port--;)
		if (ports_a[port] && ports_b[port])
			overlap = port;
	CLAIM(range_overlap(a, b) == overlap && range_overlap(b, a) == overlap);

	range_set_clear(&set_c);
	range_set_join(&set_c, &set_a);
	range_set_remove(&set_c, &set_b);
	for (port = 0; port < PORTS; port++)
		ports_c[port] = ports_a[port] && !ports_b[port];
	compare(&set_c, ports_c);
	build(&set_c, arena);

	range_set_join(&set_c, &set_b);
	for (port = 0; port < PORTS; port++)
		ports_c[port] = ports_a[port] || ports_b[port];
	compare(&set_c, ports_c);
	range_set_remove(&set_c, &set_c);
	CLAIM(set_c.count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	char *a = fuzz_text(&fuzz, '\n'), *b = fuzz_text(&fuzz, '\n');
	struct arena arena = { 0 };
	bool has_a = parse(a, &set_a, ports_a), has_b = parse(b, &set_b, ports_b);

	if (has_a && has_b)
		combine(&arena);
	if (has_a)
		format(build(&set_a, &arena), 1 + size % 97);
	free(a);
	free(b);
	arena_free(&arena);
	return 0;
}
