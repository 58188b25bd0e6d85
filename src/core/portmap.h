/* portmap: which port of the range stands for a port that the program insists on; it sees no address. */
#ifndef PORTFENCE_CORE_PORTMAP_H
#define PORTFENCE_CORE_PORTMAP_H

#include "range.h"

#include <stdbool.h>
#include <stdint.h>

#define PORTMAP_MAX 64
#define PORTMAP_TEXT (PORTMAP_MAX * sizeof("65535?=65535, "))

/*
 * Ports in host byte order. Invariant: no port stands twice in a map, as asked or as real; but an
 * optional entry may have its own port in both.
 */
struct portmap_entry {
	uint16_t asked; /* what the program names */
	uint16_t real;  /* what the kernel is told; 0 until it is placed */
	bool optional;  /* `portfence run` makes @asked @real where nobody else has that port */
};

struct portmap {
	uint32_t count;
	struct portmap_entry entry[PORTMAP_MAX];
};

/**
 * portmap_parse() - Read a list of ports
 * @text:	"PORT" or "PORT=REAL", separated by commas; "PORT?" and "PORT?=REAL" are optional, and
 *		"PORT?=PORT" is one that keeps its own port
 * @ret_why:	on failure, the problem and what is allowed instead
 *
 * Return: 0, -EINVAL
 */
int portmap_parse(const char *text, struct portmap *ret_map, struct reason *ret_why);

/**
 * portmap_place() - Choose a port for each entry that has none yet
 * @range:	the ranges, one for each protocol; every real port is in each of them
 *
 * It takes the highest ports that are left, in the order of the list. So the
 * same map has the same offsets from the end of every range.
 *
 * Return: 0, -EINVAL and the problem in @ret_why
 */
int portmap_place(struct portmap *map, const struct range *const *range, int ranges,
		  struct reason *ret_why);

/**
 * portmap_take_out() - A range without the ports of a map, asked and real
 *
 * Return: 0, -EINVAL if nothing is left, -ENOMEM
 */
int portmap_take_out(const struct portmap *map, const struct range *range, struct arena *arena,
		     const struct range **ret_range);

/* portmap_keeps() - Does an entry keep the port that the program names? */
static inline bool portmap_keeps(const struct portmap_entry *entry)
{
	return entry->optional && entry->real == entry->asked;
}

/* portmap_real() - The port that stands for the one which a program names, maybe itself; or 0; @map may be NULL */
uint16_t portmap_real(const struct portmap *map, uint16_t asked);

/* portmap_asked() - The port that a program names for another, real one, or 0; @map may be NULL */
uint16_t portmap_asked(const struct portmap *map, uint16_t real);

/* portmap_has() - Is it the real port of an entry? @map may be NULL */
bool portmap_has(const struct portmap *map, uint16_t real);

/* portmap_format() - Write a placed map as text that portmap_parse() reads back; @size as PORTMAP_TEXT */
void portmap_format(const struct portmap *map, char *ret_text, size_t size);

#endif
