/* lines: from a file's text to section headers and whole values of keys; it knows no key. */
#ifndef PORTFENCE_CORE_LINES_H
#define PORTFENCE_CORE_LINES_H

#include "arena.h"

#include <stdbool.h>
#include <stddef.h>

/* What the reader of a file is asked and told, in the file's order. @line counts from 1. */
struct lines_calls {
	/* May this key stand in the section? An indented line with it does not go on with a list. */
	bool (*is_key)(void *context, const char *name);
	/* Is its value a list, which may go on in the next line? */
	bool (*is_list)(void *context, const char *name);
	/* A line that begins with '[', without the blanks around it and without a NUL behind it */
	void (*header)(void *context, unsigned line, const char *text, size_t len);
	/* A key, "" if there is none before '=', and its value; @line is where they begin */
	void (*pair)(void *context, unsigned line, const char *name, const char *value);
	/* A line that is neither */
	void (*problem)(void *context, unsigned line, const char *problem);
};

/**
 * lines_read() - Read the text of an INI file
 * @text:	not changed; it needs no NUL at its end
 *
 * Return: 0, -ENOMEM. Mistakes are told by @calls and change nothing here.
 */
int lines_read(const char *text, size_t size, struct arena *arena, const struct lines_calls *calls,
	       void *context);

#endif
