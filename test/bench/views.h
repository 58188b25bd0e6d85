/* views: what it takes to look at a range. */
#ifndef BENCH_VIEWS_H
#define BENCH_VIEWS_H

#include "measure.h"

/*
 * views_run() - Measures and reports `portfence status` of a range of 28,000 ports, of which
 * nobody holds one, and of which somebody holds 10,000
 */
void views_run(const struct measure_effort *effort);

#endif
