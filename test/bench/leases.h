/* leases: what a lease costs, in a shell, in a process and in a list. */
#ifndef BENCH_LEASES_H
#define BENCH_LEASES_H

#include "measure.h"

/* leases_run() - The rows of it that are wanted */
void leases_run(const struct measure_effort *effort,
		bool (*wanted)(const char *group, const char *label));

#endif
