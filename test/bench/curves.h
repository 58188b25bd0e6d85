/* curves: one assignment's cost as the range fills up. */
#ifndef BENCH_CURVES_H
#define BENCH_CURVES_H

#include "measure.h"

/*
 * curves_run() - Measures and reports those curves that are wanted
 * @wanted: is `curves/LABEL` selected?
 */
void curves_run(const struct measure_effort *effort,
		bool (*wanted)(const char *group, const char *label));

/*
 * curves_shared() - Measures and reports a connect by the bind engine where each
 * port of the range is held by a connection to another destination
 */
void curves_shared(const struct measure_effort *effort);

#endif
