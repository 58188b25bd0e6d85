/* record: the file in which every assignment of a run is told; it chooses no words. */
#ifndef PORTFENCE_CORE_RECORD_H
#define PORTFENCE_CORE_RECORD_H

#include "summary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any line takes. */
#define RECORD_LINE_MAX 512

struct record {
	const char *path; /* absolute; NULL: there is none */
	struct summary_block block;
};

/*
 * All of these may wait, for some seconds at most, while another process writes.
 * They fail with -EBUSY if that does not end, -EBADMSG if the file holds what no
 * record holds, -EINVAL if it is no regular file, -ENOSPC or -EFBIG if it cannot
 * grow, and whatever open(2) and flock(2) fail with. What is there then stays.
 */

/* record_begin() - Make the file, or empty it. Return: 0, -errno */
int record_begin(const struct record *record);

/**
 * record_add() - Add a line
 * @text:	with its newline, at most RECORD_LINE_MAX bytes
 * @port:	what it tells of, for the tally; 0: a call that was refused
 * @hurried:	wait for some yields only, as a line was lost before
 *
 * For every place that a hook may be called from.
 *
 * Return: 0, -errno if it is lost
 */
int record_add(const struct record *record, const char *text, size_t len, uint16_t port,
	       bool hurried);

/* record_mend() - Give it its tally again if who wrote last was killed meanwhile. Return: 0, -errno */
int record_mend(const struct record *record);

#endif
