/* summary: the last line of a record, which sums up the lines before it; it opens no file. */
#ifndef PORTFENCE_CORE_SUMMARY_H
#define PORTFENCE_CORE_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any tally takes, its newline included. */
#define SUMMARY_MAX 128

/* Ports that are told by their distance from the first, "first+13". A first of 0: none are. */
struct summary_block {
	uint16_t first;
	uint16_t last;
};

struct summary {
	uint16_t low; /* of the ports that were assigned; 0: none was */
	uint16_t high;
	uint64_t assignments;
	uint64_t refused; /* calls that failed, for whatever reason of ours */
};

static inline bool summary_in_block(const struct summary_block *block, uint16_t port)
{
	return block->first && port >= block->first && port <= block->last;
}

/* summary_add() - Count a call; a @port of 0 was refused */
void summary_add(struct summary *tally, uint16_t port);

/**
 * summary_write() - The line
 *
 * No stdio, no allocation: fit for a signal handler. It has no terminating NUL.
 *
 * Return: its length with the newline
 */
size_t summary_write(const struct summary *tally, const struct summary_block *block,
		     char ret_text[SUMMARY_MAX]);

/**
 * summary_read() - Read it back
 * @text:	the line with its newline, @len bytes of anybody's making
 *
 * Return: false if summary_write() has not made it of these ports
 */
bool summary_read(const struct summary_block *block, const char *text, size_t len,
		  struct summary *ret_tally);

/**
 * summary_count() - Count a call by its line in a record (logline_assign())
 * @text:	as above
 *
 * Return: false if it is no such line; then nothing is counted
 */
bool summary_count(struct summary *tally, const struct summary_block *block, const char *text,
		   size_t len);

#endif
