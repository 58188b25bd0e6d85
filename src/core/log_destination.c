#include "log_destination.h"

#include <string.h>

#define JSON_PREFIX "json:"

struct log_destination log_destination_of(const char *text)
{
	struct log_destination destination = { .to = LOG_TO_WARNINGS };

	if (!text)
		return destination;
	destination.json = !strncmp(text, JSON_PREFIX, strlen(JSON_PREFIX));
	if (destination.json)
		text += strlen(JSON_PREFIX);
	if (!strcmp(text, "none")) {
		destination.to = LOG_TO_NONE;
	} else if (!strcmp(text, "stderr")) {
		destination.to = LOG_TO_STDERR;
	} else if (!strcmp(text, "syslog")) {
		destination.to = LOG_TO_SYSLOG;
	} else if (!strcmp(text, "journal")) {
		destination.to = LOG_TO_JOURNAL;
		destination.path = LOG_DESTINATION_JOURNAL;
	} else {
		destination.to = LOG_TO_FILE;
		destination.path = text;
	}
	return destination;
}

int log_destination_check(const char *text, struct reason *ret_why)
{
	const struct log_destination destination = log_destination_of(text);

	if (destination.to == LOG_TO_JOURNAL && destination.json)
		return reason_refuse(ret_why, "'json:journal' is no log, write 'journal', which "
					      "gets each value as a field of its own");
	if (destination.to != LOG_TO_FILE || *destination.path == '/')
		return 0;
	return reason_refuse(
		ret_why,
		REASON_QUOTED
		" is no log, write stderr, syslog, journal, none or an absolute path, with "
		"'json:' before it for JSON lines",
		text);
}
