/* logfile: whether the log that a configuration names can be written; it writes nothing. */
#ifndef PORTFENCE_MACHINE_LOGFILE_H
#define PORTFENCE_MACHINE_LOGFILE_H

#include "../core/reason.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * logfile_writable() - Could this user write the log?
 * @log:	as configured, or NULL; what is no file is fine
 * @ret_why:	otherwise, what is wrong with it
 */
bool logfile_writable(const char *log, struct reason *ret_why);

#endif
