/* aside: threads beside those that serve calls, for what may wait as long as a program likes; it serves no call. */
#ifndef PORTFENCE_SUPERVISOR_ASIDE_H
#define PORTFENCE_SUPERVISOR_ASIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* aside_start() - Run a function in a thread of its own. Return: 0, -errno */
int aside_start(void *(*run)(void *context), void *context);

/*
 * aside_wait() - Run a function in a thread of its own, and wait for its end, but not for longer than @ms
 *
 * @context:	lasts as long as the function runs. Where there can be no thread, it is run here, and may take long
 */
void aside_wait(void *(*run)(void *context), void *context, unsigned ms);

/* aside_init_condition() - A condition for aside_wait_until() */
void aside_init_condition(pthread_cond_t *condition);

/*
 * aside_wait_until() - pthread_cond_timedwait(3) until @end, nanoseconds of CLOCK_MONOTONIC
 *
 * Return: false if that time has come
 */
bool aside_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t end);

#endif
