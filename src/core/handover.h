/* handover: a rule as one line of text, from `portfence run` to what it starts; no file is read. */
#ifndef PORTFENCE_CORE_HANDOVER_H
#define PORTFENCE_CORE_HANDOVER_H

#include "arena.h"
#include "policy.h"
#include "record.h"

#include <stddef.h>
#include <stdint.h>

#define HANDOVER_MAX 4096

/*
 * A bind() on descriptor -1 to this address, of IPv4's length, asks whether the supervisor sees the call:
 * then it fails with EXDEV, and else with EBADF.
 */
#define HANDOVER_PROBE 0x706f7274

/* What is handed over: all that the configuration says about one process tree. */
struct handover {
	const struct rule *rule; /* of it, the name and the keys that are handed over (key.h) */
	const char *file;        /* the others may be NULL */
	const char *log;
	const char *state;
	struct record record;
	uint64_t gate; /* this and the next three: as in struct settings */
	uint64_t tracer;
	uint64_t tracer_space;
	uint64_t verbose; /* of `run -v`: 1, else 0 */
	uint64_t unseen;
};

/**
 * handover_write() - Make the text
 *
 * The text holds as long as all other PORTFENCE_ variables stay as they are now.
 *
 * Return: 0, or -E2BIG if the text would be too long, as for a range with many gaps; then each
 * process has to read the file
 */
int handover_write(const struct handover *handover, char ret_text[HANDOVER_MAX]);

/**
 * handover_read() - Read the text back
 *
 * The rule, and all strings, live as long as the arena.
 *
 * Return: 0, -ESTALE if a variable has changed, -EINVAL if it is no such text, -ENOMEM
 */
int handover_read(const char *text, struct arena *arena, struct handover *ret_handover);

/* handover_read_foreign() - The same of another process's text, whose variables are not this one's. Never -ESTALE */
int handover_read_foreign(const char *text, struct arena *arena, struct handover *ret_handover);

#endif
