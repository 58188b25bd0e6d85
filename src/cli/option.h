/* option: a verb described in one table, from which parser and help are both made. */
#ifndef PORTFENCE_CLI_OPTION_H
#define PORTFENCE_CLI_OPTION_H

#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_MAX 24
#define OPERANDS_ANY (-1)

/* Exit status of a verb that was called wrongly, where it has no other for that */
enum { EXIT_USAGE = 2 };

struct option_entry {
	const char *name;     /* without "--" */
	const char *argument; /* its name in the help; NULL if the option takes none */
	const char *help;     /* any length, wrapped where it is printed */
	char letter;          /* '\0' if it has none */
	bool optional; /* the argument may be left out; given as --name=ARGUMENT, so no letter */
};

/* What was given. An option without argument, or without the one that it may have, has the value "". Strings are argv's own. */
struct option_values {
	const char *value[OPTIONS_MAX]; /* by the index in verb->options; NULL if not given */
	char **operand;                 /* ends with NULL */
	int operands;
};

/* One verb. Texts are wrapped where they are printed, but for the example. */
struct verb {
	const char *name;
	const char *summary; /* one line, for the list of verbs */
	const char *usage;   /* operands: what follows "[OPTION]..." */
	const char *about;
	/* options by the verb's own enum; ends with a name that is NULL; --help is not in it */
	const struct option_entry *options;
	int operands;              /* how many it takes at most, or OPERANDS_ANY */
	int usage_status;          /* exit status where it is called wrongly; 0: EXIT_USAGE */
	int failure_status;        /* exit status where portfence itself fails; 0: EXIT_FAILURE */
	const char *status;        /* what its exit status says */
	const char *example;       /* whole lines, without indentation */
	bool operands_end_options; /* what follows the first operand is not ours to read */
	bool command_after_dashes; /* what follows "--" is a command, and what is before it is not */
	const char *if_failed;     /* a line on standard output if it fails; NULL: none */
	int (*function)(const struct option_values *given); /* Return: exit status */
};

/* Entries that several verbs have, with the same words. */
#define OPTION_ENTRY_CONFIG                                                                        \
	{                                                                                          \
		.name = "config", .argument = "FILE",                                              \
		.help = "the configuration; default: $PORTFENCE_CONFIG, portfence.ini under "      \
			"$XDG_CONFIG_HOME or ~/.config, /etc/portfence.ini"                        \
	}
#define OPTION_ENTRY_JSON                                                                          \
	{                                                                                          \
		.name = "json", .help = "print JSON"                                               \
	}
/* Of verbs that take a block of ports. @what: how the verb calls it */
#define OPTION_ENTRY_POOL(what)                                                                    \
	{                                                                                          \
		.name = "pool", .argument = "RANGE",                                               \
		.help = "take the " what " out of this range (default: 'pool' of [portfence], "    \
			"else 20000-29999 without the ranges of sections)"                         \
	}
#define OPTION_ENTRY_WAIT                                                                          \
	{                                                                                          \
		.name = "wait", .argument = "SECONDS",                                             \
		.help = "if no block is free, try again for this time"                             \
	}
#define OPTION_ENTRY_NAME                                                                          \
	{                                                                                          \
		.name = "name", .argument = "NAME",                                                \
		.help = "share the block with all who give this name; @dir stands for the "        \
			"repository, worktree or folder"                                           \
	}

enum { OPTION_GO_ON = -1 };

/**
 * option_parse() - Read a verb's options and operands
 *
 * An option given twice has its last value. --help is answered here; what is
 * wrong is said here, an empty value and an operand too many included.
 *
 * Return: OPTION_GO_ON, or the exit status with which the verb is to end
 */
int option_parse(const struct verb *verb, int argc, char *argv[], struct option_values *ret_values);

/* option_help() - Write what `VERB --help` says */
void option_help(const struct verb *verb, FILE *to);

/**
 * option_wrong() - Say on standard error that a verb was called wrongly, and which help to see
 *
 * Return: the exit status for it
 */
__attribute__((format(printf, 2, 3))) int option_wrong(const struct verb *verb, const char *format,
						       ...);

#endif
