/* check_findings: what is to be said of a configuration, line by line; it looks for nothing itself. */
#ifndef PORTFENCE_CLI_CHECK_FINDINGS_H
#define PORTFENCE_CLI_CHECK_FINDINGS_H

#include "../core/policy.h"
#include "say.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct check_findings_entry {
	enum say_level level;
	const char *file;    /* NULL: the configuration's own, or that of the section */
	unsigned line;       /* 0: the whole file's */
	const char *kind;    /* one word, for programs */
	const char *section; /* NULL: of none */
	char *text;
	size_t number; /* in the order of being found */
};

/* Zeroed memory is empty. */
struct check_findings {
	struct check_findings_entry *entry;
	size_t count;
	size_t of_level[SAY_LEVELS];
	bool no_memory; /* something is missing */
};

/**
 * check_findings_add() - Note one
 * @kind, @section: kept, not copied
 */
__attribute__((format(printf, 6, 7))) void check_findings_add(struct check_findings *findings,
							      enum say_level level, unsigned line,
							      const char *kind, const char *section,
							      const char *format, ...);

/*
 * check_findings_sort() - Bring them into the order of the files; what is a whole file's comes last
 *
 * One without a file of its own is given that of its section.
 */
void check_findings_sort(struct check_findings *findings, const struct policy *policy);

/* check_findings_print() - Write them as compilers do */
void check_findings_print(const struct check_findings *findings, const char *file, FILE *to);

/* check_findings_describe() - The same as a JSON array; NULL if a text is no UTF-8 */
json_t *check_findings_describe(const struct check_findings *findings);

/* check_findings_free() - Give the memory back */
void check_findings_free(struct check_findings *findings);

#endif
