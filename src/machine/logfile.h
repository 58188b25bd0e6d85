/* logfile: whether the log that a configuration names can be written; it writes nothing. */
#ifndef PORTFENCE_MACHINE_LOGFILE_H
#define PORTFENCE_MACHINE_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * logfile_writable() - Could this user write the log?
 * @log:	as configured, or NULL; what is no file is fine
 * @ret_why:	otherwise, what is wrong with it
 */
bool logfile_writable(const char *log, char *ret_why, size_t size);

#endif
