/* record: the file that has a line for every assignment of a run; it chooses no words. */
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
	int file; /* open already; 0: it is opened for each line */
};

/*
 * All of these may wait while another process writes, for some seconds at most. They
 * fail with -EBUSY if it takes longer, -EBADMSG if the file is not a record, -EINVAL if
 * it is not a regular file, -ENOSPC or -EFBIG if it cannot grow, and as open(2) and
 * flock(2) fail. A file keeps its content when they fail.
 */

/* record_open() - Open the file for another process, which is to have it as @file. Return: descriptor, -errno */
int record_open(const struct record *record);

/* record_begin() - Make the file, or empty it. Return: 0, -errno; -EPERM if another user may have put it there */
int record_begin(const struct record *record);

/**
 * record_add() - Add a line
 * @text:	with its newline, at most RECORD_LINE_MAX bytes
 * @port:	the port that the line is about, for the summary; 0: the call was refused
 * @hurried:	wait only for a moment, because a line was lost before
 *
 * Fit for every place that a hook may be called from.
 *
 * Return: 0, -errno if the line is lost
 */
int record_add(const struct record *record, const char *text, size_t len, uint16_t port,
	       bool hurried);

/* record_repair() - Write the summary anew if the last writer was killed while it wrote. Return: 0, -errno */
int record_repair(const struct record *record);

#endif
