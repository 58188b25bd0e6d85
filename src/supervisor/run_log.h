/* run_log: writes lines to the log of a run, and knows what was said in it already; no call waits long for a line. */
#ifndef PORTFENCE_SUPERVISOR_RUN_LOG_H
#define PORTFENCE_SUPERVISOR_RUN_LOG_H

#include "../core/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* One line, and all that it needs: it may be written after its call is over. */
struct run_log_line {
	void (*write)(struct log *log, const struct run_log_line *line);
	int pid; /* the process that it is about */
	/* its standard error, closed behind the line; -EBADF if that is led elsewhere, below 0 if it cannot be reached */
	int errors;
	const char *text;
	struct assign assign;
	const char *call; /* these two are for log_assign() */
	union addr local; /* of no family if there is none */
	const struct rule *rule;
	enum mptcp becomes;
};

struct run_log {
	struct log *log; /* of the thread that writes, but for what never changes */
	/* what was said already */
	_Atomic bool unreachable;
	_Atomic bool warned;
	_Atomic(const char *) refusal;
	/* the rest is for run_log.c alone */
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t asked;
	pthread_cond_t ended;
	struct run_log_line line;
	uint64_t lines; /* so many have come */
	bool busy;      /* the last of them is being written */
	bool stuck;     /* somebody has waited for that in vain */
	bool writes;    /* there is a thread that writes */
	bool over;      /* it is to end */
};

void run_log_start(struct run_log *run, struct log *log);

/**
 * run_log_write() - Write a line, with the right to a file of another user's
 *
 * Whoever shares standard error, or may read the log or the record, can keep that locked for as long as it likes. So
 * a line is written by another thread, and the call goes on after some milliseconds, or seconds if there is a record.
 * Lines that come while one is stuck are dropped; the record notes that.
 */
void run_log_write(struct run_log *run, const struct run_log_line *line);

/* run_log_is_lost() - Does a line go nowhere, as it would go to standard error? @errors: as in a line */
static inline bool run_log_is_lost(const struct run_log *run, int errors)
{
	return errors == -EBADF && run->log->destination.to <= LOG_TO_STDERR;
}

/* run_log_finish() - Wait until no line is being written, for as long as that takes. No other line may come any more */
void run_log_finish(struct run_log *run);

#endif
