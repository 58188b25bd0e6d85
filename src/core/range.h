/* range: sets of ports, from text to index and back; it knows no preset's name but asks for it. */
#ifndef PORTFENCE_CORE_RANGE_H
#define PORTFENCE_CORE_RANGE_H

#include "arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every other port */
#define RANGE_RUNS_MAX 32768

/*
 * A set under construction. Invariants: runs ascend and do not touch; what is
 * behind them was never written, so that a small set costs little memory, large
 * as it looks. Zeroed memory is the empty set. Not for the stack.
 */
struct range_set {
	uint32_t count;
	struct range_run {
		uint16_t first;
		uint16_t last;
	} run[RANGE_RUNS_MAX];
};

/* Ports first to last, both included; @before counts the set's ports below first. */
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
 * @size:	size of @ret_why
 *
 * Return: 0, -EINVAL
 */
int range_parse(const char *text, range_name_fn *name, struct range_set *set, char *ret_why,
		size_t size);

/* range_set_clear() - Make a set empty again */
void range_set_clear(struct range_set *set);

/* range_set_add() - Add ports first to last to a set */
void range_set_add(struct range_set *set, uint16_t first, uint16_t last);

/* range_set_add_range() - Add to a set the ports of a range */
void range_set_add_range(struct range_set *set, const struct range *range);

/* range_set_join() - Add to a set the ports of another */
void range_set_join(struct range_set *set, const struct range_set *other);

/* range_set_remove() - Remove from a set the ports of another */
void range_set_remove(struct range_set *set, const struct range_set *other);

/**
 * range_build() - Make an immutable range of a set
 *
 * Return: 0, -EINVAL if the set is empty, -ENOMEM
 */
int range_build(const struct range_set *set, struct arena *arena, const struct range **ret_range);

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
 * range_format() - Write a range as text that range_parse() reads back
 * @size:	size of @ret_text; a list that leaves no room for it is cut to end in ", ..."
 */
void range_format(const struct range *range, char *ret_text, size_t size);

#endif
