/* tally: the last line of a record, which sums up the lines before it; it opens no file. */
#ifndef PORTFENCE_CORE_TALLY_H
#define PORTFENCE_CORE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any tally takes, its newline included. */
#define TALLY_MAX 128

/* Ports that are told by their distance from the first, "first+13". A first of 0: none are. */
struct tally_block {
	uint16_t first;
	uint16_t last;
};

struct tally {
	uint16_t low; /* of the ports that were assigned; 0: none was */
	uint16_t high;
	uint64_t assignments;
	uint64_t refused; /* calls that failed, for whatever reason of ours */
};

static inline bool tally_in_block(const struct tally_block *block, uint16_t port)
{
	return block->first && port >= block->first && port <= block->last;
}

/* tally_add() - Count a call; a @port of 0 was refused */
void tally_add(struct tally *tally, uint16_t port);

/**
 * tally_write() - The line
 *
 * No stdio, no allocation: fit for a signal handler. It has no terminating NUL.
 *
 * Return: its length with the newline
 */
size_t tally_write(const struct tally *tally, const struct tally_block *block,
		   char ret_text[TALLY_MAX]);

/**
 * tally_read() - Read it back
 * @text:	the line with its newline, @len bytes of anybody's making
 *
 * Return: false if tally_write() has not made it of these ports
 */
bool tally_read(const struct tally_block *block, const char *text, size_t len,
		struct tally *ret_tally);

/**
 * tally_count() - Count a call by its line in a record (logline_assign())
 * @text:	as above
 *
 * Return: false if it is no such line; then nothing is counted
 */
bool tally_count(struct tally *tally, const struct tally_block *block, const char *text,
		 size_t len);

#endif
