/* variables: the one list of the PORTFENCE_ variables; what a value means is not known here. */
#ifndef PORTFENCE_CORE_VARIABLES_H
#define PORTFENCE_CORE_VARIABLES_H

#include <stdbool.h>

/*
 * To add a variable, add its row here. Everything that handles all of them goes by this list: a
 * process that starts another with a fresh environment (shim/child_environ), the signature of a
 * rule that is handed over (core/handover), `portfence env`, and the verbs that set some aside.
 *
 * X(NAME, KIND, PRINTED): PORTFENCE_NAME, one kind of enum variables_kind without its prefix, and
 * whether `portfence env` prints it.
 */
#define VARIABLES_LIST(X)                                                                          \
	X(CONFIG, CONFIG, true)                                                                    \
	X(INDEX, CONFIG, true)                                                                     \
	X(APP, RULE, true)                                                                         \
	X(RANGE, RULE, true)                                                                       \
	X(ORDER, RULE, true)                                                                       \
	X(SEED, RULE, true)                                                                        \
	X(MAP, RULE, true)                                                                         \
	X(LOG, RUN, true)                                                                          \
	X(RECORD, RUN, false)                                                                      \
	X(FIRST, RUN, true)                                                                        \
	X(LAST, RUN, true)                                                                         \
	X(STATE, STATE, false)                                                                     \
	X(RULE, HANDOVER, false)

/* Sets of kinds are made with |. */
enum variables_kind {
	/* picks a section, or overrides one of its keys */
	VARIABLES_RULE = 1 << 0,
	/* belongs to one run: where it logs, what its lease is */
	VARIABLES_RUN = 1 << 1,
	/* the configuration file, and this host's index in it */
	VARIABLES_CONFIG = 1 << 2,
	/* the state folder, in which the leases are as well */
	VARIABLES_STATE = 1 << 3,
	/* made from all the others, see core/handover */
	VARIABLES_HANDOVER = 1 << 4,
};

#define VARIABLES_ENUM(name, kind, printed) VARIABLE_##name,
enum variable { VARIABLES_LIST(VARIABLES_ENUM) VARIABLE_COUNT };
#undef VARIABLES_ENUM

struct variables_row {
	const char *name;
	enum variables_kind kind;
	bool printed;
};

/* By enum variable */
extern const struct variables_row variables_table[VARIABLE_COUNT];

/* variables_name() - The name with its prefix, for example of VARIABLE_RANGE */
const char *variables_name(enum variable variable);

/**
 * variables_get() - A variable's value in this process
 *
 * Return: NULL if it is not set, or empty, or the process runs with more rights than its caller
 * has (secure_getenv(3))
 */
const char *variables_get(enum variable variable);

/* variables_set() - Set a variable in this process. Return: 0, -ENOMEM */
int variables_set(enum variable variable, const char *value);

/* variables_unset() - Remove the variables of some kinds from this process */
void variables_unset(unsigned kinds);

#endif
