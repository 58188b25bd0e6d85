/* rules_plan: which ports, users and marks the texts of `portfence rules` tell of; it prints nothing. */
#ifndef PORTFENCE_CLI_RULES_PLAN_H
#define PORTFENCE_CLI_RULES_PLAN_H

#include "sections.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RULES_PLAN_NAME 64

/* One application, whose ports are the same in each run. */
struct rules_app {
	const struct rule *rule;
	char name[RULES_PLAN_NAME];  /* of letters, digits and '_', and no other application's */
	char label[RULES_PLAN_NAME]; /* the section's name, see rules_plan_label() */
	uid_t *user;
	size_t users;
	uint32_t mark; /* 0: none */
};

struct rules_plan {
	const char *file;
	struct rules_app *app;
	size_t count;
	bool drop; /* what a user sends from elsewhere is dropped, not only counted */
};

/**
 * rules_plan_make() - Read what was asked for
 * @sections:	whose ports are told; they have to outlive the plan
 * @named:	whether the command line names them. One with `range = lease` is an error then, else it
 *		is left out with a warning
 * @users:	"USER" or "APP=USER", separated by commas; NULL: none
 * @mark:	the first application's mark; the others have the next ones; NULL: none
 *
 * Return: 0, or say_status() after the problem was reported; give it back with rules_plan_free() either way
 */
int rules_plan_make(const struct sections *sections, bool named, const char *users,
		    const char *mark, struct rules_plan *ret_plan);

/* rules_plan_free() - Give the memory back */
void rules_plan_free(struct rules_plan *plan);

/**
 * rules_plan_label() - A name as it may stand in a comment, or between double quotes
 * @ret_label:	without quotes, backslashes and control characters
 *
 * A newline in a file's name would end a comment, and what follows would be a rule.
 */
void rules_plan_label(const char *name, char *ret_label, size_t size);

#endif
