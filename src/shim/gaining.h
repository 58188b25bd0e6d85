/* gaining: says that a program that is about to be started gains none of the rights that its file gives. */
#ifndef PORTFENCE_SHIM_GAINING_H
#define PORTFENCE_SHIM_GAINING_H

/**
 * gaining_check() - Say once in a run that an executable gains nothing, if so it is
 * @file:	as execvp() takes it
 *
 * The process may be a child between vfork and exec. Keeps errno.
 */
void gaining_check(const char *file);

#endif
