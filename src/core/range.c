#include "range.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORT_MAX 65535
#define ITEM_MAX 200 /* no line of the configuration is longer */

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

/* Puts @by runs in the place of those from @from up to, not including, @to. */
static void replace_runs(struct range_set *set, uint32_t from, uint32_t to,
			 const struct range_run *by, uint32_t count)
{
	memmove(set->run + from + count, set->run + to, (set->count - to) * sizeof(*by));
	memcpy(set->run + from, by, count * sizeof(*by));
	set->count = set->count - (to - from) + count;
}

void range_set_add(struct range_set *set, uint16_t first, uint16_t last)
{
	/* with those that it touches it is one run */
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

/* Reads a decimal number at *p; of one above PORT_MAX only that is true. Moves on only on success. */
static bool read_number(const char **p, unsigned long *ret_value)
{
	unsigned long value = 0;

	/* strtoul would also take blanks and signs */
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; ++*p)
		if (value <= PORT_MAX)
			value = 10 * value + (unsigned long)(**p - '0');
	*ret_value = value;
	return true;
}

/* Reads one item that starts with a digit. */
static int parse_ports(const char *item, struct range_set *set, char *ret_why, size_t size)
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
	last = sign == '-' ? second : first;
	if (sign == '+') {
		if (second == 0) {
			snprintf(ret_why, size,
				 "'%s' holds no port, the count after '+' starts at 1", item);
			return -EINVAL;
		}
		last = second > PORT_MAX ? PORT_MAX + 1UL : first + second - 1;
	}
	if (first == 0 || (sign == '-' && second == 0)) {
		snprintf(ret_why, size, "'%s' holds port 0, ports are 1 to %d", item, PORT_MAX);
		return -EINVAL;
	}
	if (first > PORT_MAX || last > PORT_MAX) {
		snprintf(ret_why, size, "'%s' goes above port %d, ports are 1 to %d", item,
			 PORT_MAX, PORT_MAX);
		return -EINVAL;
	}
	if (first > last) {
		snprintf(ret_why, size, "'%s' is reversed, write the lower port first", item);
		return -EINVAL;
	}
	range_set_add(set, (uint16_t)first, (uint16_t)last);
	return 0;

malformed:
	snprintf(
		ret_why, size,
		"'%s' is not a range, write first-last, first+count or one port, such as 20000-20999",
		item);
	return -EINVAL;
}

static int parse_item(const char *item, range_name_fn *name, struct range_set *set, char *ret_why,
		      size_t size)
{
	int rc;

	if (!*item) {
		snprintf(ret_why, size,
			 "an item is empty, write first-last, first+count, one port or a preset");
		return -EINVAL;
	}
	if ((*item >= '0' && *item <= '9') || *item == '-' || *item == '+')
		return parse_ports(item, set, ret_why, size);
	rc = name(item, set);
	if (rc == -ENOENT)
		snprintf(
			ret_why, size,
			"'%s' is neither a range nor a preset, write first-last, first+count, one port or "
			"a preset such as iana, linux or system",
			item);
	else if (rc)
		snprintf(ret_why, size, "'%s' cannot be read: %s", item, strerror(-rc));
	return rc ? -EINVAL : 0;
}

int range_parse(const char *text, range_name_fn *name, struct range_set *set, char *ret_why,
		size_t size)
{
	char item[ITEM_MAX];

	for (;;) {
		const char *end;
		size_t len;
		int rc;

		skip_blanks(&text);
		end = strchrnul(text, ',');
		len = (size_t)(end - text);
		while (len && is_blank(text[len - 1]))
			len--;
		if (len >= sizeof(item)) {
			snprintf(ret_why, size, "an item is longer than %zu characters",
				 sizeof(item) - 1);
			return -EINVAL;
		}
		memcpy(item, text, len);
		item[len] = '\0';
		rc = parse_item(item, name, set, ret_why, size);
		if (rc)
			return rc;
		if (!*end)
			return 0;
		text = end + 1;
	}
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
