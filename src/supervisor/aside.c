#include "aside.h"

#include "../core/timing.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define STACK (128 * 1024)

int aside_start(void *(*run)(void *context), void *context)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int rc = pthread_attr_init(&attributes);

	if (rc)
		return -rc;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK);
	rc = pthread_create(&thread, &attributes, run, context);
	pthread_attr_destroy(&attributes);
	return -rc;
}

/* A function that somebody waits for. Whoever is the last of the two to leave frees it. */
struct job {
	void *(*run)(void *context);
	void *context;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t over;
	bool ended;
	bool left; /* nobody waits any more */
};

static void free_job(struct job *job)
{
	pthread_cond_destroy(&job->over);
	pthread_mutex_destroy(&job->lock);
	free(job);
}

static void *run_job(void *context)
{
	struct job *job = context;
	bool left;

	job->run(job->context);
	pthread_mutex_lock(&job->lock);
	job->ended = true;
	left = job->left;
	pthread_cond_signal(&job->over);
	pthread_mutex_unlock(&job->lock);
	if (left)
		free_job(job);
	return NULL;
}

void aside_init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

bool aside_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t end)
{
	const struct timespec until = { (time_t)(end / TIMING_SECOND_NS),
					(long)(end % TIMING_SECOND_NS) };

	return !pthread_cond_timedwait(condition, lock, &until);
}

static struct job *new_job(void *(*run)(void *context), void *context)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return NULL;
	*job = (struct job){ .run = run, .context = context };
	pthread_mutex_init(&job->lock, NULL);
	aside_init_condition(&job->over);
	return job;
}

void aside_wait(void *(*run)(void *context), void *context, unsigned ms)
{
	const int64_t end = timing_ns(CLOCK_MONOTONIC) + ms * (int64_t)1000000;
	struct job *job = new_job(run, context);
	bool ended;

	if (!job || aside_start(run_job, job)) {
		if (job)
			free_job(job);
		run(context);
		return;
	}
	pthread_mutex_lock(&job->lock);
	while (!job->ended && aside_wait_until(&job->over, &job->lock, end))
		;
	job->left = true;
	ended = job->ended;
	pthread_mutex_unlock(&job->lock);
	if (ended)
		free_job(job);
}
