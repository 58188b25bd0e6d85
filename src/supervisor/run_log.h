/* run_log: writes lines to the log of a run, and knows what was said in it already; no call waits long for a line. */
#ifndef PORTFENCE_SUPERVISOR_RUN_LOG_H
#define PORTFENCE_SUPERVISOR_RUN_LOG_H

#include "../core/log.h"

#include <pthread.h>
#include <stdbool.h>

struct run_log {
	struct log *log; /* of the line that is being written, if there is one */
	/* what was said already */
	_Atomic bool unreachable;
	_Atomic bool warned;
	_Atomic(const char *) refusal;
	/* run_log.c alone uses these */
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t ended;
	bool busy;  /* a line is being written */
	bool stuck; /* somebody has waited for that in vain */
};

/* One line, and all that it needs: it may be written after its call is over. */
struct run_log_line {
	void (*write)(struct log *log, const struct run_log_line *line);
	int pid;    /* the process that it is about */
	int errors; /* its standard error, closed behind the line; -1 if it cannot be reached */
	const char *text;
	struct assign assign;
	const char *call; /* these two are for log_assign() */
	union addr local; /* of no family if there is none */
	const struct rule *rule;
	enum mptcp becomes;
};

void run_log_start(struct run_log *run, struct log *log);

/**
 * run_log_write() - Write a line, with the right to a file of another user's
 *
 * A member of the run can keep standard error or the record locked for as long as it likes. So such a line is written
 * by another thread, and the call goes on after some milliseconds, or seconds if there is a record. Lines that come
 * while one is stuck are dropped; the record notes that.
 */
void run_log_write(struct run_log *run, const struct run_log_line *line);

/* run_log_finish() - Wait until no line is being written, for as long as that takes. No other line may come any more */
void run_log_finish(struct run_log *run);

#endif
