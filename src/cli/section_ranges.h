/* section_ranges: the ranges of all sections by the keys that give them; it judges none of them. */
#ifndef PORTFENCE_CLI_SECTION_RANGES_H
#define PORTFENCE_CLI_SECTION_RANGES_H

#include "../core/arena.h"
#include "../core/policy.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What one key of a section says. */
struct part {
	const struct rule *rule;
	const struct range *range;
	const char *key; /* "range", "tcp.range" and the like */
	unsigned line;
	unsigned protos; /* that have it: bits by enum proto */
};

/**
 * section_ranges_of() - The parts of one section, those of tcp first
 *
 * Of a rule whose range was overridden, key and line are still the file's.
 *
 * Return: how many
 */
size_t section_ranges_of(const struct rule *rule, struct part ret_part[PROTO_COUNT]);

/**
 * section_ranges_of_all() - The parts of several sections, in their order
 *
 * Return: for the caller to free; NULL if there is no memory
 */
struct part *section_ranges_of_all(const struct rule *const *rule, size_t count, size_t *ret_count);

/* section_ranges_common() - What a range has of a set: NULL if nothing, or if there is no memory */
const struct range *section_ranges_common(const struct range *range, const struct range_set *set,
					  struct arena *arena);

#define SECTION_RANGES_TEXT 256

/* section_ranges_format() - "port 20500" or "100 ports (20900-20999)" */
void section_ranges_format(const struct range *range, char ret_text[SECTION_RANGES_TEXT]);

/**
 * section_ranges_list() - All of a range as text, however long it is
 *
 * Return: for the caller to free; NULL if there is no memory
 */
char *section_ranges_list(const struct range *range);

/* section_ranges_map() - A rule's map with each port placed, as it is at work; false if there is none */
bool section_ranges_map(const struct rule *rule, struct portmap *ret_map);

/* section_ranges_print_map() - "8080 is 20099, 5432 is 20098" and a newline */
void section_ranges_print_map(const struct portmap *map, FILE *to);

/* section_ranges_json_map() - The same as an object, {"8080": 20099}; null if there is none */
json_t *section_ranges_json_map(const struct rule *rule);

#endif
