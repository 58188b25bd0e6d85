/* handover: a rule as one line of text, from `portfence run` to what it starts; no file is read. */
#ifndef PORTFENCE_CORE_HANDOVER_H
#define PORTFENCE_CORE_HANDOVER_H

#include "arena.h"
#include "policy.h"
#include "record.h"

#include <stddef.h>
#include <stdint.h>

#define HANDOVER_MAX 4096

/* What is handed over: all that was found out from the configuration for one process tree. */
struct handover {
	const struct rule *rule; /* without `match` and `args`: it is pinned */
	const char *file;        /* the others may be NULL */
	const char *log;
	const char *state;
	struct record record;
	uint64_t gate; /* page whose calls a supervisor's filter lets pass; 0: none */
};

/**
 * handover_write() - Make the text
 *
 * It holds for as long as the variables from which it was made, PORTFENCE_APP
 * and those that override the configuration, are what they are now.
 *
 * Return: 0, or -E2BIG if a range has too many gaps; then the file has to be read each time
 */
int handover_write(const struct handover *handover, char ret_text[HANDOVER_MAX]);

/**
 * handover_read() - Read it back
 *
 * Return: 0, -ESTALE if a variable was changed since, -EINVAL if it is no such text, -ENOMEM
 */
int handover_read(const char *text, struct arena *arena, struct handover *ret_handover);

#endif
