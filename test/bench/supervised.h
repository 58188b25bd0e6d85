/* supervised: what a call that a supervisor serves costs, in each of its ways. */
#ifndef BENCH_SUPERVISED_H
#define BENCH_SUPERVISED_H

#include "measure.h"

/**
 * supervised_run() - Measures and reports those rows that are wanted: a program without rights, plain, under a
 * supervisor that takes its sockets (pidfd_getfd(2)), and under one that makes them, as behind Docker's filter
 * @wanted: is `supervised/LABEL` selected?
 */
void supervised_run(const struct measure_effort *effort,
		    bool (*wanted)(const char *group, const char *label));

#endif
