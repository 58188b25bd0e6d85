/* view: the configuration's sections beside a snapshot of the machine, for verbs that compare the two. */
#ifndef PORTFENCE_CLI_VIEW_H
#define PORTFENCE_CLI_VIEW_H

#include "../machine/snapshot.h"
#include "sections.h"

/* Zeroed memory is an empty view. */
struct view {
	struct sections sections; /* the verb loads them */
	struct snapshot machine;
};

/**
 * view_take() - Take the snapshot, once the sections are loaded
 * @flags:	SOCKETS_ values
 *
 * Return: 0, or say_status() after the problem was reported; give the view back with view_free() either way
 */
int view_take(struct view *view, unsigned flags);

/* view_free() - Give the memory back */
void view_free(struct view *view);

#endif
