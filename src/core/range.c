#include "range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535
#define ITEM_MAX 200 /* no line of the configuration is longer */

void range_set_clear(struct range_set *set)
{
	if (set->top)
		memset(set->bit + set->bottom, 0, (set->top - set->bottom) * sizeof(set->bit[0]));
	set->bottom = 0;
	set->top = 0;
}

static void touch(struct range_set *set, uint32_t bottom, uint32_t top)
{
	if (!set->top || bottom < set->bottom)
		set->bottom = bottom;
	if (top > set->top)
		set->top = top;
}

void range_set_add(struct range_set *set, uint16_t first, uint16_t last)
{
	uint32_t word, from = first / 64, to = last / 64;

	touch(set, from, to + 1);
	for (word = from; word <= to; word++) {
		uint64_t mask = ~0ULL;

		if (word == from)
			mask &= ~0ULL << (first % 64);
		if (word == to)
			mask &= ~0ULL >> (63 - last % 64);
		set->bit[word] |= mask;
	}
}

void range_set_join(struct range_set *set, const struct range_set *other)
{
	uint32_t word;

	if (!other->top)
		return;
	touch(set, other->bottom, other->top);
	for (word = other->bottom; word < other->top; word++)
		set->bit[word] |= other->bit[word];
}

void range_set_remove(struct range_set *set, const struct range_set *other)
{
	uint32_t word;

	for (word = set->bottom; word < set->top; word++)
		set->bit[word] &= ~other->bit[word];
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

/* Reads a decimal number at *p. Moves on only on success. */
static bool read_number(const char **p, unsigned long *ret_value)
{
	unsigned long value;
	char *end;

	/* strtoul would also take blanks and signs */
	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	value = strtoul(*p, &end, 10);
	if (errno)
		value = ~0UL;
	*p = end;
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

/*
 * Walks the runs of a set. Each bit of (word ^ word shifted up by one) is an
 * edge: the start of a run, or the first port after one.
 *
 * Return: number of runs; they are written to @ret_span unless it is NULL
 */
static uint32_t runs(const struct range_set *set, struct range_span *ret_span)
{
	uint32_t word, count = 0, start = 0, before = 0;
	uint64_t carry = 0;

	for (word = set->bottom; word <= set->top && set->top; word++) {
		/* one word past the top closes a run that reaches it; past the last word, too */
		uint64_t bits = word < set->top ? set->bit[word] : 0;
		uint64_t edges = bits ^ (bits << 1 | carry);

		carry = bits >> 63;
		for (; edges; edges &= edges - 1) {
			uint32_t port = word * 64 + (uint32_t)__builtin_ctzll(edges);

			if (bits >> (port % 64) & 1) {
				start = port;
				continue;
			}
			if (ret_span) {
				ret_span[count].first = (uint16_t)start;
				ret_span[count].last = (uint16_t)(port - 1);
				ret_span[count].before = before;
			}
			before += port - start;
			count++;
		}
	}
	return count;
}

int range_build(const struct range_set *set, struct arena *arena, const struct range **ret_range)
{
	uint32_t spans = runs(set, NULL);
	const struct range_span *last;
	struct range *range;

	if (!spans)
		return -EINVAL;
	range = arena_alloc(arena, sizeof(*range) + spans * sizeof(range->span[0]));
	if (!range)
		return -ENOMEM;
	runs(set, range->span);
	last = &range->span[spans - 1];
	range->spans = spans;
	range->count = last->before + last->last - last->first + 1U;
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
