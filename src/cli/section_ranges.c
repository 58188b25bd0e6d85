#include "section_ranges.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const keys[PROTO_COUNT + 1] = {
	[PROTO_TCP] = "tcp.range",
	[PROTO_UDP] = "udp.range",
	[PROTO_SCTP] = "sctp.range",
	[PROTO_COUNT] = "range",
};

size_t section_ranges_of(const struct rule *rule, struct section_range ret_entry[PROTO_COUNT])
{
	size_t count = 0, i;
	int proto;

	for (proto = 0; proto < PROTO_COUNT; proto++) {
		int key = rule->range_line[proto] ? proto : PROTO_COUNT;

		/* what several protocols have from one key is one object */
		for (i = 0; i < count && ret_entry[i].range != rule->range[proto]; i++)
			;
		if (i == count)
			ret_entry[count++] = (struct section_range){
				.rule = rule,
				.range = rule->range[proto],
				.key = keys[key],
				.line = rule->range_line[key],
			};
		ret_entry[i].protos |= 1U << proto;
	}
	return count;
}

struct section_range *section_ranges_of_all(const struct rule *const *rule, size_t count,
					    size_t *ret_count)
{
	struct section_range *entry = calloc(count * PROTO_COUNT + 1, sizeof(*entry));
	size_t i, used = 0;

	if (!entry)
		return NULL;
	for (i = 0; i < count; i++)
		used += section_ranges_of(rule[i], entry + used);
	*ret_count = used;
	return entry;
}

/* Walks what both hold. Return: number of spans; they are written to @ret_span unless it is NULL */
static uint32_t common_spans(const struct range *range, const struct range_set *set,
			     struct range_span *ret_span)
{
	uint32_t i = 0, k = 0, count = 0, before = 0;

	while (i < range->spans && k < set->count) {
		const struct range_span *span = &range->span[i];
		const struct range_run *run = &set->run[k];
		uint16_t first = span->first > run->first ? span->first : run->first;
		uint16_t last = span->last < run->last ? span->last : run->last;

		if (first <= last) {
			if (ret_span)
				ret_span[count] = (struct range_span){ first, last, before };
			before += last - first + 1U;
			count++;
		}
		if (span->last < run->last)
			i++;
		else
			k++;
	}
	return count;
}

const struct range *section_ranges_common(const struct range *range, const struct range_set *set,
					  struct arena *arena)
{
	uint32_t spans = common_spans(range, set, NULL);
	const struct range_span *last;
	struct range *common;

	if (!spans)
		return NULL;
	common = arena_alloc(arena, sizeof(*common) + spans * sizeof(common->span[0]));
	if (!common)
		return NULL;
	common_spans(range, set, common->span);
	last = &common->span[spans - 1];
	common->spans = spans;
	common->count = last->before + last->last - last->first + 1U;
	return common;
}

void section_ranges_format(const struct range *range, char ret_text[SECTION_RANGES_TEXT])
{
	char list[SECTION_RANGES_TEXT - 32];

	range_format(range, list, sizeof(list));
	if (range->count == 1)
		snprintf(ret_text, SECTION_RANGES_TEXT, "port %s", list);
	else
		snprintf(ret_text, SECTION_RANGES_TEXT, "%u ports (%s)", range->count, list);
}

char *section_ranges_list(const struct range *range)
{
	/* "65535-65535, " each */
	size_t size = (size_t)range->spans * 13 + sizeof(", ...");
	char *text = malloc(size);

	if (text)
		range_format(range, text, size);
	return text;
}

bool section_ranges_map(const struct rule *rule, struct portmap *ret_map)
{
	struct reason why;
	uint32_t i;

	if (!rule->map)
		return false;
	*ret_map = *rule->map;
	for (i = 0; i < ret_map->count; i++)
		/* only read so far: it was tried then */
		if (!ret_map->entry[i].real)
			return !portmap_place(ret_map, rule->range, PROTO_COUNT, &why);
	return true;
}

void section_ranges_print_map(const struct portmap *map, FILE *to)
{
	uint32_t i;

	for (i = 0; i < map->count; i++) {
		const struct portmap_entry *entry = &map->entry[i];

		fprintf(to, "%s%d is ", i ? ", " : "", entry->asked);
		if (entry->optional && !portmap_keeps(entry))
			fprintf(to, "%d or ", entry->asked);
		fprintf(to, "%d", entry->real);
	}
	fputc('\n', to);
}

json_t *section_ranges_json_map(const struct rule *rule)
{
	json_t *object;
	struct portmap map;
	uint32_t i;

	if (!section_ranges_map(rule, &map))
		return json_null();
	object = json_object();
	for (i = 0; i < map.count; i++) {
		char asked[8];

		snprintf(asked, sizeof(asked), "%d", map.entry[i].asked);
		json_object_set_new(object, asked, json_integer(map.entry[i].real));
	}
	return object;
}
