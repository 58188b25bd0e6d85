/* summary: the last line of a record, which sums up the lines before it; it opens no file. */
#ifndef PORTFENCE_CORE_SUMMARY_H
#define PORTFENCE_CORE_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any summary takes with its newline. */
#define SUMMARY_MAX 128

/*
 * A lease's block of ports. A record tells them by their distance from the first, as
 * "first+13", so that two runs of the same have the same record. A first of 0: no block.
 */
struct summary_block {
	uint16_t first;
	uint16_t last;
};

struct summary {
	uint16_t low;  /* the lowest port that was assigned; 0: none was */
	uint16_t high; /* the highest */
	uint64_t assignments;
	uint64_t refused; /* calls that we made fail */
};

static inline bool summary_in_block(const struct summary_block *block, uint16_t port)
{
	return block->first && port >= block->first && port <= block->last;
}

/* summary_add() - Count a call; a @port of 0 means that it was refused */
void summary_add(struct summary *summary, uint16_t port);

/**
 * summary_write() - Write the line
 *
 * It has no terminating NUL. No stdio, no allocation: fit for a signal handler.
 *
 * Return: its length with the newline
 */
size_t summary_write(const struct summary *summary, const struct summary_block *block,
		     char ret_text[SUMMARY_MAX]);

/**
 * summary_read() - Read a line back
 * @text:	the line with its newline, @len bytes that anybody may have written
 *
 * Return: false if summary_write() would not write this line
 */
bool summary_read(const struct summary_block *block, const char *text, size_t len,
		  struct summary *ret_summary);

/**
 * summary_count() - Count a call by its line in a record, which logline_assign() wrote
 * @text:	the line with its newline, @len bytes that anybody may have written
 *
 * Return: false if it is no such line; then nothing is counted
 */
bool summary_count(struct summary *summary, const struct summary_block *block, const char *text,
		   size_t len);

#endif
