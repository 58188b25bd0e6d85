/* range: sets of ports, from text to index and back; it knows no preset's name but asks for it. */
#ifndef PORTFENCE_CORE_RANGE_H
#define PORTFENCE_CORE_RANGE_H

#include "arena.h"
#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every other port */
#define RANGE_RUNS_MAX 32768

/*
 * A set under construction. Invariants: runs ascend and do not touch. Memory
 * behind the last run was never written, so a set with few runs takes few pages,
 * though its size is 128 kB. Zeroed memory is the empty set. Too large for the stack.
 */
struct range_set {
	uint32_t count;
	struct range_run {
		uint16_t first;
		uint16_t last;
	} run[RANGE_RUNS_MAX];
};

/* Ports first to last, both included; @before is how many ports of the range are below first. */
struct range_span {
	uint16_t first;
	uint16_t last;
	uint32_t before;
};

/*
 * An immutable set of ports, host byte order. Invariants: spans ascend, do not
 * touch, and hold count ports between them; count is 1 to 65535; port 0 is
 * never a member.
 */
struct range {
	uint32_t count;
	uint32_t spans;
	struct range_span span[];
};

/**
 * range_name_fn - Add what a name stands for to a set
 *
 * Return: 0, -ENOENT for an unknown name, another -errno where it could not be read
 */
typedef int range_name_fn(const char *name, struct range_set *set);

/**
 * range_parse() - Add a list of ranges to a set
 * @text:	"first-last", "first+count", "port" or a name, separated by commas
 * @name:	resolves names
 * @set:	what to add to; unspecified on failure
 * @ret_why:	on failure, the problem and what is allowed instead
 *
 * Return: 0, -EINVAL
 */
int range_parse(const char *text, range_name_fn *name, struct range_set *set,
		struct reason *ret_why);

/**
 * range_read() - Make a range of a list that is in order already, as range_format() writes it
 * @text:	"first-last" or "port", separated by commas
 *
 * A set has pages of its own; this needs none, for the start of each process of a tree.
 *
 * Return: 0, -EINVAL if an item is no range, or does not lie above the one before it with a gap
 * between them; -ENOMEM
 */
int range_read(const char *text, struct arena *arena, const struct range **ret_range);

/* range_set_clear() - Make a set empty again */
void range_set_clear(struct range_set *set);

/* range_set_add() - Add ports first to last to a set */
void range_set_add(struct range_set *set, uint16_t first, uint16_t last);

/* range_set_add_range() - Add to a set the ports of a range */
void range_set_add_range(struct range_set *set, const struct range *range);

/* range_set_join() - Add to a set the ports of another set */
void range_set_join(struct range_set *set, const struct range_set *other);

/* range_set_remove() - Remove from a set the ports of another set, which may be itself */
void range_set_remove(struct range_set *set, const struct range_set *other);

/**
 * range_build() - Make an immutable range from a set
 *
 * Return: 0, -EINVAL if the set is empty, -ENOMEM
 */
int range_build(const struct range_set *set, struct arena *arena, const struct range **ret_range);

/* range_index() - The index of a port, which is in the range */
uint32_t range_index(const struct range *range, uint16_t port);

/* range_port() - The port at an index; @index is below the range's count */
uint16_t range_port(const struct range *range, uint32_t index);

/* range_has() - Is the port a member? */
bool range_has(const struct range *range, uint16_t port);

/* range_overlap() - The lowest port that both ranges hold, 0 if there is none */
uint16_t range_overlap(const struct range *a, const struct range *b);

/* range_first() - The lowest port */
uint16_t range_first(const struct range *range);

/* range_last() - The highest port */
uint16_t range_last(const struct range *range);

/**
 * range_format() - Write a range as text that range_parse() and range_read() read back
 * @size:	size of @ret_text; a longer list is cut between two items and ends in ", ..."
 */
void range_format(const struct range *range, char *ret_text, size_t size);

#endif
