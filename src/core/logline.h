/* logline: builds one line of the log, as text or JSON; it writes it nowhere. */
#ifndef PORTFENCE_CORE_LOGLINE_H
#define PORTFENCE_CORE_LOGLINE_H

#include "assign.h"
#include "summary.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Below PIPE_BUF, so that a pipe takes a line in one piece (pipe(7)). */
#define LOGLINE_MAX 2048

struct logline {
	bool json;
	/*
	 * Of a record, which is JSON: only what does not change between two runs of the
	 * same, and of an explicit bind that was refused what it asked for. The block's
	 * ports are told by their distance from its first. The rest counts for nothing.
	 */
	const struct summary_block *record;
	struct timespec time; /* CLOCK_REALTIME */
	int pid;
	const char *application;
};

/**
 * logline_assign() - The line for an assignment, or for one that failed
 * @call:	name of the call
 * @local:	the socket's address, its port included; NULL if not known
 *
 * No stdio, no allocation, no locale: fit for a signal handler.
 *
 * Return: length of the line with its newline, at most @size; an over-long one is cut
 */
size_t logline_assign(const struct logline *line, const char *call, const struct assign *assign,
		      const union addr *local, char *ret_text, size_t size);

/**
 * logline_message() - A line with a message
 * @level:	"warning" or "error"
 * @message:	control characters in it are escaped, so that nobody can forge a line
 *
 * Return: as above
 */
size_t logline_message(const struct logline *line, const char *level, const char *message,
		       char *ret_text, size_t size);

#endif
