/* log_destination: where log lines go, and in which form, read from a configuration; it opens nothing. */
#ifndef PORTFENCE_CORE_LOG_DESTINATION_H
#define PORTFENCE_CORE_LOG_DESTINATION_H

#include "reason.h"

#include <stdbool.h>

/* Those up to LOG_TO_NONE take no line for each port. */
enum log_to {
	LOG_TO_WARNINGS, /* nothing is configured: warnings alone, to standard error */
	LOG_TO_NONE,
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_JOURNAL,
	LOG_TO_FILE
};

/* Where journald takes entries (systemd-journald.service(8)) */
#define LOG_DESTINATION_JOURNAL "/run/systemd/journal/socket"

struct log_destination {
	enum log_to to;
	bool json;        /* lines are JSON */
	const char *path; /* of the file, and of journald's socket; else NULL */
};

/**
 * log_destination_of() - Read a destination
 * @text:	stderr, syslog, journal, none or a path, with "json:" before it or not; NULL: none is
 *		configured. The result points into it
 */
struct log_destination log_destination_of(const char *text);

/**
 * log_destination_check() - May a configuration name this destination?
 * @ret_why:	if not, the problem
 *
 * Return: 0; -EINVAL if it is a path that is not absolute, or JSON for the journal
 */
int log_destination_check(const char *text, struct reason *ret_why);

#endif
