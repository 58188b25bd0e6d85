#include "range.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535
#define ITEM_MAX 200 /* far longer than any range or name of a preset */

void range_set_clear(struct range_set *set)
{
	set->count = 0;
}

/* The first run that ends at @port or above it; set->count if there is none. */
static uint32_t find_run(const struct range_set *set, uint32_t port)
{
	uint32_t low = 0, high = set->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (set->run[middle].last < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Replaces the runs from @from up to, but not including, @to with the @count runs of @by. */
static void replace_runs(struct range_set *set, uint32_t from, uint32_t to,
			 const struct range_run *by, uint32_t count)
{
	memmove(set->run + from + count, set->run + to, (set->count - to) * sizeof(*by));
	memcpy(set->run + from, by, count * sizeof(*by));
	set->count = set->count - (to - from) + count;
}

void range_set_add(struct range_set *set, uint16_t first, uint16_t last)
{
	/* joined with the runs that it touches */
	uint32_t from = find_run(set, first - 1U), to = from;
	struct range_run run = { first, last };

	while (to < set->count && set->run[to].first <= last + 1U)
		to++;
	if (to > from) {
		if (set->run[from].first < first)
			run.first = set->run[from].first;
		if (set->run[to - 1].last > last)
			run.last = set->run[to - 1].last;
	}
	replace_runs(set, from, to, &run, 1);
}

void range_set_add_range(struct range_set *set, const struct range *range)
{
	uint32_t i;

	for (i = 0; i < range->spans; i++)
		range_set_add(set, range->span[i].first, range->span[i].last);
}

void range_set_join(struct range_set *set, const struct range_set *other)
{
	uint32_t i;

	for (i = 0; i < other->count; i++)
		range_set_add(set, other->run[i].first, other->run[i].last);
}

static void remove_ports(struct range_set *set, uint16_t first, uint16_t last)
{
	uint32_t from = find_run(set, first), to = from, count = 0;
	struct range_run rest[2];

	while (to < set->count && set->run[to].first <= last)
		to++;
	if (to == from)
		return;
	if (set->run[from].first < first)
		rest[count++] = (struct range_run){ set->run[from].first, (uint16_t)(first - 1) };
	if (set->run[to - 1].last > last)
		rest[count++] = (struct range_run){ (uint16_t)(last + 1), set->run[to - 1].last };
	replace_runs(set, from, to, rest, count);
}

void range_set_remove(struct range_set *set, const struct range_set *other)
{
	uint32_t i = other->count;

	/* from the end, so that a set can be taken from itself */
	while (i--)
		remove_ports(set, other->run[i].first, other->run[i].last);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(const char **p)
{
	while (is_blank(**p))
		++*p;
}

/* Reads a decimal number at *p. One above PORT_MAX is read as PORT_MAX + 1. Moves on only on success. */
static bool read_number(const char **p, unsigned long *ret_value)
{
	unsigned long value = 0;

	/* strtoul would also take blanks and signs */
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; ++*p)
		if (value <= PORT_MAX)
			value = 10 * value + (unsigned long)(**p - '0');
	*ret_value = value > PORT_MAX ? PORT_MAX + 1UL : value;
	return true;
}

/* Reads one item that starts with a digit. */
static int parse_ports(const char *item, struct range_set *set, struct reason *ret_why)
{
	unsigned long first, second = 0, last;
	const char *p = item;
	char sign = 0;

	if (!read_number(&p, &first))
		goto malformed;
	skip_blanks(&p);
	if (*p == '-' || *p == '+') {
		sign = *p++;
		skip_blanks(&p);
		if (!read_number(&p, &second))
			goto malformed;
		skip_blanks(&p);
	}
	if (*p)
		goto malformed;
	if (sign == '+' && second == 0)
		return reason_refuse(ret_why, "'%s' holds no port, the count after '+' starts at 1",
				     item);
	last = sign == '-' ? second : sign == '+' ? first + second - 1 : first;
	if (first == 0 || (sign == '-' && second == 0))
		return reason_refuse(ret_why, "'%s' holds port 0, ports are 1 to %d", item,
				     PORT_MAX);
	if (first > PORT_MAX || last > PORT_MAX)
		return reason_refuse(ret_why, "'%s' goes above port %d, ports are 1 to %d", item,
				     PORT_MAX, PORT_MAX);
	if (first > last)
		return reason_refuse(ret_why, "'%s' is reversed, write the lower port first", item);
	range_set_add(set, (uint16_t)first, (uint16_t)last);
	return 0;

malformed:
	return reason_refuse(
		ret_why,
		"'%s' is not a range, write first-last, first+count or one port, such as 20000-20999",
		item);
}

static int parse_item(const char *item, range_name_fn *name, struct range_set *set,
		      struct reason *ret_why)
{
	int rc;

	if (!*item)
		return reason_refuse(
			ret_why,
			"an item is empty, write first-last, first+count, one port or a preset");
	if ((*item >= '0' && *item <= '9') || *item == '-' || *item == '+')
		return parse_ports(item, set, ret_why);
	rc = name(item, set);
	if (rc == -ENOENT)
		return reason_refuse(
			ret_why,
			"'%s' is neither a range nor a preset, write first-last, first+count, one port or "
			"a preset such as iana, linux or system",
			item);
	return rc ? reason_refuse(ret_why, "'%s' cannot be read: %s", item, strerror(-rc)) : 0;
}

/* Reads "first-last" or "port" at *p. Moves on only on success. */
static bool read_span(const char **p, struct range_span *ret_span)
{
	uint16_t first, last;

	if (!text_get_port(p, &first))
		return false;
	last = first;
	if (**p == '-') {
		++*p;
		if (!text_get_port(p, &last) || last < first)
			return false;
	}
	*ret_span = (struct range_span){ .first = first, .last = last };
	return true;
}

/* ---- separators of thousands ---- */

static size_t count_digits(const char *text)
{
	return strspn(text, "0123456789");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Would the character at @at, between two digits, separate thousands? */
static bool separates_thousands(const char *at)
{
	return *at && strchr(",.'_ ", *at) && count_digits(at + 1) == 3;
}

/* Steps back from an item over groups of up to three digits, each with a comma behind it. */
static const char *find_first_group(const char *list, const char *item)
{
	while (item > list && item[-1] == ',' && count_digits(item) == 3) {
		const char *group = item - 1;

		while (group > list && is_digit(group[-1]))
			group--;
		if (group == item - 1 || item - 1 - group > 3)
			break;
		item = group;
	}
	return item;
}

/*
 * "20,000-20,999" is three items, of which "000-20" is refused. So once an item was refused, this
 * looks whether there would be a range without separators, and says so if there would.
 */
static int refuse_thousands(const char *list, const char *item, struct reason *ret_why)
{
	const char *from = find_first_group(list, item), *p;
	char meant[ITEM_MAX];
	const char *at = meant;
	struct range_span span;
	bool any = false;
	size_t len = 0;

	for (p = from; *p && len < sizeof(meant) - 1; p++) {
		const bool separates = p > from && is_digit(p[-1]) && separates_thousands(p);

		any |= separates;
		if (*p == ',' && !separates)
			break;
		if (!separates && !is_blank(*p))
			meant[len++] = *p;
	}
	meant[len] = '\0';
	if (!any || !read_span(&at, &span) || *at)
		return -EINVAL;
	return reason_refuse(ret_why, "'%.*s' has separators of thousands, write '%s'",
			     (int)(p - from), from, meant);
}

int range_parse(const char *text, range_name_fn *name, struct range_set *set,
		struct reason *ret_why)
{
	const char *list = text;
	char item[ITEM_MAX];

	for (;;) {
		const char *end;
		size_t len;

		skip_blanks(&text);
		end = strchrnul(text, ',');
		len = (size_t)(end - text);
		while (len && is_blank(text[len - 1]))
			len--;
		if (len >= sizeof(item))
			return reason_refuse(ret_why, "an item is longer than %zu characters",
					     sizeof(item) - 1);
		memcpy(item, text, len);
		item[len] = '\0';
		if (parse_item(item, name, set, ret_why))
			return refuse_thousands(list, text, ret_why);
		if (!*end)
			return 0;
		text = end + 1;
	}
}

int range_read(const char *text, struct arena *arena, const struct range **ret_range)
{
	const char *p;
	struct range *range;
	uint32_t most = 1;

	for (p = text; *p; p++)
		most += *p == ',';
	range = arena_alloc(arena, sizeof(*range) + most * sizeof(range->span[0]));
	if (!range)
		return -ENOMEM;
	for (p = text; range->spans < most; range->spans++) {
		struct range_span *span = &range->span[range->spans];

		if (range->spans && *p++ != ',')
			return -EINVAL;
		skip_blanks(&p);
		if (!read_span(&p, span) || (range->spans && span->first <= span[-1].last + 1))
			return -EINVAL;
		span->before = range->count;
		range->count += span->last - span->first + 1U;
	}
	if (*p)
		return -EINVAL;
	*ret_range = range;
	return 0;
}

int range_build(const struct range_set *set, struct arena *arena, const struct range **ret_range)
{
	struct range *range;
	uint32_t i;

	if (!set->count)
		return -EINVAL;
	range = arena_alloc(arena, sizeof(*range) + set->count * sizeof(range->span[0]));
	if (!range)
		return -ENOMEM;
	for (i = 0; i < set->count; i++) {
		range->span[i].first = set->run[i].first;
		range->span[i].last = set->run[i].last;
		range->span[i].before = range->count;
		range->count += set->run[i].last - set->run[i].first + 1U;
	}
	range->spans = set->count;
	*ret_range = range;
	return 0;
}

uint16_t range_port(const struct range *range, uint32_t index)
{
	uint32_t low = 0, high = range->spans - 1;

	while (low < high) {
		uint32_t middle = (low + high + 1) / 2;

		if (range->span[middle].before <= index)
			low = middle;
		else
			high = middle - 1;
	}
	return (uint16_t)(range->span[low].first + (index - range->span[low].before));
}

uint32_t range_index(const struct range *range, uint16_t port)
{
	uint32_t i = 0;

	while (i < range->spans - 1 && range->span[i].last < port)
		i++;
	return range->span[i].before + (port - range->span[i].first);
}

bool range_has(const struct range *range, uint16_t port)
{
	uint32_t low = 0, high = range->spans;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (port < range->span[middle].first)
			high = middle;
		else if (port > range->span[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

uint16_t range_overlap(const struct range *a, const struct range *b)
{
	uint32_t i = 0, k = 0;

	while (i < a->spans && k < b->spans) {
		const struct range_span *s = &a->span[i], *t = &b->span[k];

		if (s->last < t->first)
			i++;
		else if (t->last < s->first)
			k++;
		else
			return s->first > t->first ? s->first : t->first;
	}
	return 0;
}

uint16_t range_first(const struct range *range)
{
	return range->span[0].first;
}

uint16_t range_last(const struct range *range)
{
	return range->span[range->spans - 1].last;
}

void range_format(const struct range *range, char *ret_text, size_t size)
{
	size_t used = 0;
	uint32_t i;

	ret_text[0] = '\0';
	for (i = 0; i < range->spans; i++) {
		const struct range_span *span = &range->span[i];
		char item[32];
		int len;

		if (span->first == span->last)
			len = snprintf(item, sizeof(item), "%s%d", i ? ", " : "", span->first);
		else
			len = snprintf(item, sizeof(item), "%s%d-%d", i ? ", " : "", span->first,
				       span->last);
		/* leave room for ", ..." */
		if (used + (size_t)len + sizeof(", ...") > size) {
			snprintf(ret_text + used, size - used, ", ...");
			return;
		}
		memcpy(ret_text + used, item, (size_t)len + 1);
		used += (size_t)len;
	}
}
