#include "run_log.h"

#include "../core/timing.h"
#include "aside.h"
#include "rights.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* how long a call waits for its line; a record gives up by itself in less (core/record.c) */
#define LINE_MS 20
#define RECORD_MS 3000

void run_log_start(struct run_log *run, struct log *log)
{
	run->log = log;
	pthread_mutex_init(&run->lock, NULL);
	aside_init_condition(&run->ended);
}

static unsigned patience_ms(const struct run_log *run)
{
	return run->log->record.path ? RECORD_MS : LINE_MS;
}

/*
 * Can a member of the run keep the line from being written? A file that is opened anew for each line has a lock for its
 * position that nobody else has, and what else a write waits for needs the right to write to that file.
 */
static bool may_wait(const struct log *log)
{
	return log->destination.to <= LOG_TO_STDERR || log->file || log->record.path;
}

/* Return: false if the line before this one is stuck */
static bool take_turn(struct run_log *run)
{
	const int64_t end = timing_ns(CLOCK_MONOTONIC) + (int64_t)patience_ms(run) * 1000000;
	bool taken;

	pthread_mutex_lock(&run->lock);
	while (run->busy && !run->stuck && aside_wait_until(&run->ended, &run->lock, end))
		;
	taken = !run->busy;
	run->stuck = run->busy;
	run->busy = true;
	pthread_mutex_unlock(&run->lock);
	return taken;
}

static void end_turn(struct run_log *run)
{
	pthread_mutex_lock(&run->lock);
	run->busy = false;
	pthread_cond_broadcast(&run->ended);
	pthread_mutex_unlock(&run->lock);
}

struct job {
	struct run_log *run;
	struct run_log_line line;
};

static void *write_line(void *context)
{
	struct job *job = context;
	struct log *log = job->run->log;

	log->pid = job->line.pid;
	log->stderr_fd = job->line.errors;
	rights_use(CAP_DAC_OVERRIDE);
	job->line.write(log, &job->line);
	rights_leave(CAP_DAC_OVERRIDE);
	/* close(2) may wait, too */
	if (job->line.errors >= 0)
		close(job->line.errors);
	end_turn(job->run);
	free(job);
	return NULL;
}

void run_log_write(struct run_log *run, const struct run_log_line *line)
{
	struct job *job = malloc(sizeof(*job));

	if (job && take_turn(run)) {
		*job = (struct job){ run, *line };
		if (may_wait(run->log))
			aside_wait(write_line, job, patience_ms(run));
		else
			write_line(job);
		return;
	}
	free(job);
	if (line->errors >= 0)
		close(line->errors);
	if (run->log->record.path)
		atomic_fetch_or(&run->log->told, 1U << LOG_RECORD_LOST);
}

void run_log_finish(struct run_log *run)
{
	pthread_mutex_lock(&run->lock);
	while (run->busy)
		pthread_cond_wait(&run->ended, &run->lock);
	pthread_mutex_unlock(&run->lock);
}
