/* log: writes lines where the configuration wants them; it never waits, but for a record, and asks for no memory. */
#ifndef PORTFENCE_CORE_LOG_H
#define PORTFENCE_CORE_LOG_H

#include "assign.h"
#include "log_destination.h"
#include "ownership.h"
#include "record.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_WARNINGS_MAX 8

/* What is said once in a process: the outcomes, by their numbers, and then these. */
enum log_topic {
	LOG_START = OUTCOME_COUNT, /* what was found doubtful at the start */
	LOG_PORT_KEPT,
	LOG_ADDRESS_UNKNOWN,
	LOG_FILE_CLOSED, /* not told but seen: the log cannot be opened, or is another user's */
	LOG_FILE_CLOSED_TOLD,
	LOG_RECORD_LOST
};

struct log {
	const struct socket_calls *calls;
	struct log_destination destination;
	const char *application;
	struct record record; /* where each assignment is told besides, whatever the destination */
	int pid;              /* whose lines they are; 0: this process's own */
	int stderr_fd;        /* its standard error; -1 if it cannot be reached */
	uint64_t stderr_dev;  /* what standard error was at the start, as a program */
	uint64_t stderr_ino;  /* may close it and get the number for another file */
	struct ownership_folder folder;        /* of the log file */
	const char *error;                     /* the configuration's first mistake, or NULL */
	const char *warning[LOG_WARNINGS_MAX]; /* found at the start, told with the first port */
	unsigned warnings;
	_Atomic unsigned told; /* topics, by bit; the one part that changes */
};

/**
 * log_start() - Note what standard error is now, and whose the log file's folder is
 * @destination:	as the configuration has it, or NULL
 */
void log_start(struct log *log, const char *destination);

/* log_is_on() - Does a line for each port go to the log? The record is another matter */
bool log_is_on(const struct log *log);

/**
 * log_assign() - A line for an assignment or a failed one, and once a warning where it needs one
 * @call:	name of the call
 *
 * One write a line, so that lines of several processes do not mix. Where the
 * write would wait, the line is dropped. In the record it is not, see there. May
 * change errno.
 */
void log_assign(struct log *log, const char *call, const struct assign *assign);

/**
 * log_say() - A line with a message
 * @level:	"info", "warning" or "error"; no destination takes no "info"
 */
void log_say(struct log *log, const char *level, const char *message);

/* log_port_kept() - Once: a send has failed, and the port that the kernel gave it could not be taken back */
void log_port_kept(struct log *log);

/* log_address_unknown() - Once: nobody could tell whether an address is this machine's, so a call has failed */
void log_address_unknown(struct log *log);

#endif
