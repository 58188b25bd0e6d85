#include "real.h"

#include <errno.h>

/*
 * Theory of operation
 *
 * These hooks change nothing. Before the first thread is made, the real functions
 * can be resolved without waiting for another thread, see real.c.
 */

static void resolve_before_threads(void)
{
	int saved = errno;

	real_resolve_all();
	errno = saved;
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*function)(void *), void *argument)
{
	resolve_before_threads();
	return REAL(pthread_create)(thread, attributes, function, argument);
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	resolve_before_threads();
	return REAL(thrd_create)(thread, function, argument);
}
