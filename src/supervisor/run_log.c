#include "run_log.h"

#include "../core/timing.h"
#include "aside.h"
#include "rights.h"

#include <time.h>
#include <unistd.h>

/* how long a call waits for its line; a record gives up by itself in less (core/record.c) */
#define LINE_MS 20
#define RECORD_MS 3000

void run_log_start(struct run_log *run, struct log *log)
{
	run->log = log;
	pthread_mutex_init(&run->lock, NULL);
	aside_init_condition(&run->asked);
	aside_init_condition(&run->ended);
}

/* With the lock held, but for the time of the writing. */
static void write_line(struct run_log *run)
{
	/* no other one comes meanwhile */
	const struct run_log_line *line = &run->line;
	const unsigned told = atomic_load(&run->log->told);

	pthread_mutex_unlock(&run->lock);
	run->log->pid = line->pid;
	run->log->stderr_fd = line->errors;
	rights_use(CAP_DAC_OVERRIDE);
	line->write(run->log, line);
	rights_leave(CAP_DAC_OVERRIDE);
	/* nobody has read it, so it has to be said again: to one whose standard error is not led elsewhere */
	if (run_log_is_lost(run, line->errors))
		atomic_fetch_and(&run->log->told, told | 1U << LOG_RECORD_LOST);
	/* this may wait, too */
	if (line->errors >= 0)
		close(line->errors);
	pthread_mutex_lock(&run->lock);
	run->busy = run->stuck = false;
	pthread_cond_broadcast(&run->ended);
}

static void *write_lines(void *context)
{
	struct run_log *run = context;

	pthread_mutex_lock(&run->lock);
	while (run->busy || !run->over)
		if (run->busy)
			write_line(run);
		else
			pthread_cond_wait(&run->asked, &run->lock);
	run->writes = false;
	pthread_cond_broadcast(&run->ended);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

/* With the lock held. Has the line written, by this thread if there can be no other one. */
static void hand_over_line(struct run_log *run, const struct run_log_line *line)
{
	run->line = *line;
	run->lines++;
	run->busy = true;
	if (run->writes)
		pthread_cond_signal(&run->asked);
	else
		run->writes = !aside_start(write_lines, run);
	if (!run->writes)
		write_line(run);
}

/* With the lock held. Waits for the end of a line. Return: false if it is not over by then */
static bool await_line(struct run_log *run, uint64_t line, int64_t until)
{
	while (run->busy && run->lines == line && !run->stuck)
		if (!aside_wait_until(&run->ended, &run->lock, until))
			break;
	return !run->busy || run->lines != line;
}

/* A line that is not written */
static void drop_line(struct run_log *run, const struct run_log_line *line)
{
	if (line->errors >= 0)
		close(line->errors);
	if (run->log->record.path)
		atomic_fetch_or(&run->log->told, 1U << LOG_RECORD_LOST);
}

void run_log_write(struct run_log *run, const struct run_log_line *line)
{
	const unsigned ms = run->log->record.path ? RECORD_MS : LINE_MS;
	const int64_t until = timing_ns(CLOCK_MONOTONIC) + (int64_t)ms * 1000000;

	pthread_mutex_lock(&run->lock);
	while (run->busy && await_line(run, run->lines, until))
		;
	if (!run->busy)
		hand_over_line(run, line);
	else
		drop_line(run, line);
	run->stuck = !await_line(run, run->lines, until);
	pthread_mutex_unlock(&run->lock);
}

void run_log_finish(struct run_log *run)
{
	pthread_mutex_lock(&run->lock);
	run->over = true;
	pthread_cond_signal(&run->asked);
	while (run->busy || run->writes)
		pthread_cond_wait(&run->ended, &run->lock);
	pthread_mutex_unlock(&run->lock);
}
