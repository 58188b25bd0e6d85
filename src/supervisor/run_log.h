/* run_log: the log of a run, and what was said in it already. */
#ifndef PORTFENCE_SUPERVISOR_RUN_LOG_H
#define PORTFENCE_SUPERVISOR_RUN_LOG_H

#include "../core/log.h"

#include <pthread.h>
#include <stdbool.h>

struct run_log {
	struct log *log;
	/* for each line; a member of the run can make us wait, so nothing else of the supervisor's is held with it */
	pthread_mutex_t lock;
	/* what was said already */
	_Atomic bool unreachable;
	_Atomic bool warned;
	_Atomic(const char *) refusal;
};

#endif
