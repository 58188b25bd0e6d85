/* status_watch: draws the same thing again and again, in place on a terminal; it knows not what. */
#ifndef PORTFENCE_CLI_STATUS_WATCH_H
#define PORTFENCE_CLI_STATUS_WATCH_H

#include <stdio.h>

/**
 * status_watch_draw_fn - Draw it once
 * @to:		lines of text
 *
 * Return: 0, or the exit status with which to end
 */
typedef int status_watch_draw_fn(FILE *to, void *context);

/**
 * status_watch_run() - Draw until a signal comes, or drawing fails
 * @seconds:	between two drawings; a terminal that changes its size gets one at once
 *
 * On a terminal, the lines that do not fit are left out. Elsewhere they just
 * follow each other. After SIGINT, SIGTERM or SIGHUP, unless they are ignored, the
 * terminal is put in order and the signal does what it does by default.
 *
 * Return: what drawing returned, or EXIT_FAILURE where there is no memory
 */
int status_watch_run(double seconds, status_watch_draw_fn *draw, void *context);

#endif
