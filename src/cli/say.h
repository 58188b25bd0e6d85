/* say: how the command speaks: its own failures, and what is wrong in a file; it ends nothing. */
#ifndef PORTFENCE_CLI_SAY_H
#define PORTFENCE_CLI_SAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Colours: ECMA-48, SGR */
#define SAY_BOLD "\033[1m"
#define SAY_RED "\033[1;31m"
#define SAY_YELLOW "\033[1;33m"
#define SAY_MAGENTA "\033[1;35m"
#define SAY_CYAN "\033[1;36m"
#define SAY_PLAIN "\033[0m"

enum say_level { SAY_ERROR, SAY_WARNING, SAY_NOTE, SAY_LEVELS };

/* say_set_status() - Set what say_failure() returns: main does, once the verb is known. EXIT_FAILURE before that */
void say_set_status(int status);

/* say_status() - The exit status of a failure that has been reported already */
int say_status(void);

/**
 * say_failure() - Print "portfence: ..." on standard error
 *
 * Return: say_status(), so that a caller can report and leave in one line
 */
__attribute__((format(printf, 1, 2))) int say_failure(const char *format, ...);

/**
 * say_conf_error() - A mistake in a configuration, on standard error
 * @line:	0 where it is the whole file's
 *
 * A conf_error_fn, for verbs that a mistake stops; @context is ignored.
 */
void say_conf_error(void *context, const char *file, unsigned line, const char *problem);

/* say_warning() - "portfence: warning: ..." on standard error; @context is ignored */
void say_warning(void *context, const char *warning);

/**
 * say_finding() - "file:line: level: text", as compilers have it, in colours where they are welcome
 * @line:	0 where it is the whole file's
 */
void say_finding(FILE *to, enum say_level level, const char *file, unsigned line, const char *text);

/* say_distrust() - Warn that others could replace a file, if they can; @what is "the library" or such */
void say_distrust(const char *what, const char *path);

/* say_level_name() - "error", "warning" or "note" */
const char *say_level_name(enum say_level level);

/**
 * say_in_colour() - Is it a terminal whose user wants colours?
 *
 * Source: https://no-color.org: NO_COLOR, if not empty, forbids them.
 */
bool say_in_colour(FILE *to);

/* say_plural() - What stands behind a noun: "", or "s" if there are not one */
const char *say_plural(size_t count);

/* The version of what --json prints. Members may be added to it, but none is changed or taken away */
#define SAY_FORMAT 1

/**
 * say_object() - Print a JSON object with "format" in front, and a newline, and give it back
 * @object:	NULL if there was no memory for it
 * @flags:	of json_dumpf()
 *
 * Return: 0, or say_status() after the problem was reported
 */
int say_object(FILE *to, json_t *object, size_t flags);

/* say_json() - A text as a JSON string, with U+FFFD for each byte that is not UTF-8; null for NULL */
json_t *say_json(const char *text);

#endif
