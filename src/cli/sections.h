/* sections: which applications of the configuration a verb is to look at; it looks at nothing. */
#ifndef PORTFENCE_CLI_SECTIONS_H
#define PORTFENCE_CLI_SECTIONS_H

#include "../core/arena.h"
#include "../core/conf.h"
#include "../core/policy.h"

#include <stddef.h>

struct sections {
	struct arena arena;
	struct policy policy; /* the whole file; its member `file` is NULL if there is none */
	const struct rule **rule;
	size_t count;
};

/**
 * sections_read() - Read the configuration
 * @config:	its path, or NULL to find it as settings_load() does. The section and range that
 *		variables of this process name do not count: they are a program's, not the machine's
 * @error:	called with each error
 * @ret_sections: its file may be known after a failure, too
 *
 * Return: 0 (also where there is no file); -EINVAL or another -errno if there is a mistake
 */
int sections_read(const char *config, conf_error_fn *error, void *context,
		  struct sections *ret_sections);

/**
 * sections_load() - Read the configuration for a verb that a mistake stops
 * @apps:	only the sections of these names, in this order; ends with NULL; none: all
 *
 * Return: 0 (also where there is no file, and @apps is empty), or say_status() after the problem was reported
 */
int sections_load(const char *config, char *const *apps, struct sections *ret_sections);

/**
 * sections_of_range() - One section without a name ("") for a range from the command line
 *
 * Return: 0, or say_status() after the problem was reported
 */
int sections_of_range(const char *range, struct sections *ret_sections);

/* sections_free() - Give the memory back */
void sections_free(struct sections *sections);

#endif
