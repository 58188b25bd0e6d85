/* section_ranges: lists the ranges of sections with the keys that give them; it judges none of them. */
#ifndef PORTFENCE_CLI_SECTION_RANGES_H
#define PORTFENCE_CLI_SECTION_RANGES_H

#include "../core/arena.h"
#include "../core/policy.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The range that one key of a section gives. */
struct section_range {
	const struct rule *rule;
	const struct range *range;
	const char *key; /* "range", "tcp.range" and the like */
	unsigned line;
	unsigned protos; /* that use it: bits by enum proto */
};

/**
 * section_ranges_of() - The ranges of one section, that of tcp first
 *
 * For a rule whose range was overridden, key and line are still those of the file.
 *
 * Return: how many
 */
size_t section_ranges_of(const struct rule *rule, struct section_range ret_entry[PROTO_COUNT]);

/**
 * section_ranges_of_all() - The ranges of several sections, in their order
 *
 * Return: for the caller to free; NULL if there is no memory
 */
struct section_range *section_ranges_of_all(const struct rule *const *rule, size_t count,
					    size_t *ret_count);

/* section_ranges_common() - The ports that range and set share. NULL: none, or no memory */
const struct range *section_ranges_common(const struct range *range, const struct range_set *set,
					  struct arena *arena);

#define SECTION_RANGES_TEXT 256

/* section_ranges_format() - "port 20500" or "100 ports (20900-20999)" */
void section_ranges_format(const struct range *range, char ret_text[SECTION_RANGES_TEXT]);

/**
 * section_ranges_list() - A whole range as text, however long
 *
 * Return: for the caller to free; NULL if there is no memory
 */
char *section_ranges_list(const struct range *range);

/* section_ranges_map() - A rule's map with a real port for each. Return: false if there is no map */
bool section_ranges_map(const struct rule *rule, struct portmap *ret_map);

/*
 * section_ranges_print_map() - "8080 is 20099, 5432 is 20098" and a newline
 *
 * A port that a run may keep: "8080 is 8080 or 20099".
 */
void section_ranges_print_map(const struct portmap *map, FILE *to);

/*
 * section_ranges_json_map() - A rule's map as a JSON object, {"8080": 20099}; null if there is none
 *
 * Of a port that a run may keep, it has the other one.
 */
json_t *section_ranges_json_map(const struct rule *rule);

#endif
