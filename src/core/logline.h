/* logline: builds one line of the log or the record, as text, JSON or journald's fields; it writes it nowhere. */
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
	 * A line "FIELD=value" for each field, which journald takes as one entry. @json is false.
	 * Source: systemd's "Native Journal Protocol", systemd.journal-fields(7)
	 */
	bool journal;
	/*
	 * NULL for a line of the log. For a line of the record, which is JSON, the lease's
	 * block, whose ports are given by their distance from its first. The line then has
	 * only what is the same in two runs of the same, and for a refused bind the address
	 * that the program asked for. The other members are ignored.
	 */
	const struct summary_block *record;
	struct timespec time; /* CLOCK_REALTIME */
	int pid;
	const char *application;
};

/**
 * logline_assign() - Build the line for an assignment that was made or failed
 * @call:	name of the call
 * @local:	the socket's address, its port included; NULL if not known
 *
 * No stdio, no allocation, no locale: fit for a signal handler.
 *
 * Return: length of the line with its newline, at most @size; a longer line is cut
 */
size_t logline_assign(const struct logline *line, const char *call, const struct assign *assign,
		      const union addr *local, char *ret_text, size_t size);

/**
 * logline_message() - Build a line with a message
 * @level:	"warning" or "error"
 * @message:	control characters in it are escaped, so that nobody can forge a line
 *
 * Return: as logline_assign()
 */
size_t logline_message(const struct logline *line, const char *level, const char *message,
		       char *ret_text, size_t size);

#endif
