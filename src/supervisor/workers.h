/* workers: threads that serve calls one after another, so that a call which waits holds up no other. */
#ifndef PORTFENCE_SUPERVISOR_WORKERS_H
#define PORTFENCE_SUPERVISOR_WORKERS_H

#include <stdbool.h>

/**
 * workers_run() - Serve until there is nothing more to serve
 * @serve:	waits for one call and serves it; calls workers_begin() in between. False at the end
 *
 * One thread serves. If it stays with a call for longer than calls take that need not wait, another
 * one takes its place, and it ends once that call is served.
 */
void workers_run(bool (*serve)(void *context), void *context);

/* workers_begin() - To be called by @serve when it has a call to serve */
void workers_begin(void);

#endif
