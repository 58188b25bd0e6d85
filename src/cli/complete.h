/* complete: what may stand next on a command line, for the completion scripts of shells. */
#ifndef PORTFENCE_CLI_COMPLETE_H
#define PORTFENCE_CLI_COMPLETE_H

#include "option.h"

/**
 * complete_print() - Print what may stand in the place of the last word
 * @verbs:	all of them; ends with NULL
 * @words:	the command line without `portfence`; the last one is being typed, and may be empty
 * @count:	number of words, at least 1
 *
 * One candidate a line, all that there are, whatever the last word holds so
 * far; a description may follow after a tab. Instead of a candidate, a line
 * can be ":files" (any file's name), or ":command N" (words from index N are a
 * command line of their own).
 */
void complete_print(const struct verb *const verbs[], char *words[], int count);

#endif
