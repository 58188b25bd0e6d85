/* mark: a number that a process carries, and all that it starts: it tells who belongs to a run. */
#ifndef PORTFENCE_SUPERVISOR_MARK_H
#define PORTFENCE_SUPERVISOR_MARK_H

#include <stdint.h>
#include <sys/types.h>

/* mark_draw() - Draw a number that no other run has. Return: 0 if there are no random numbers */
uint64_t mark_draw(void);

/**
 * mark_set() - Let this process carry a mark, instead of the one that it has
 *
 * Return: 0; -EPERM if its hard limit or a sandbox does not allow that; -EOPNOTSUPP on a 32-bit kernel,
 * whose limits are too small
 */
int mark_set(uint64_t mark);

/* mark_of() - The mark of a process or a thread; 0 if it has none, or has ended */
uint64_t mark_of(pid_t id);

/* mark_each() - Give @each the mark of every process that has one, but this one's. Return: 0, -errno if they cannot be listed */
int mark_each(void (*each)(uint64_t mark, void *context), void *context);

/**
 * mark_wait() - Wait until no process carries a mark
 *
 * The process that waits must not carry it.
 */
void mark_wait(uint64_t mark);

#endif
