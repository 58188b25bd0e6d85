#include "measure.h"

#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * A machine drifts: its clock, its caches, its other work. So subjects take
 * turns, one short batch each, and a ratio is that of two batches of the same
 * round. The median of those is what is reported, with the quartiles. Each
 * round has an order of its own, so that no subject always comes after the same
 * other, and a batch begins with a few operations that are not timed.
 *
 * The subject `control` is a second plain worker: how far its ratio is from 1
 * is what the method cannot see.
 */

#define CALIBRATIONS_MAX 12
#define SLOW_NS 100000

static double values[MEASURE_SUBJECTS_MAX][MEASURE_ROUNDS_MAX];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* @part of the way through sorted values, between two of them where it has to be */
static double quantile(const double *sorted, unsigned count, double part)
{
	double at = part * (count - 1);
	unsigned below = (unsigned)at;

	if (below + 1 >= count)
		return sorted[count - 1];
	return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

static void spread(double *list, unsigned count, struct measure_spread *ret_spread)
{
	qsort(list, count, sizeof(*list), compare);
	ret_spread->low = quantile(list, count, 0.25);
	ret_spread->median = quantile(list, count, 0.5);
	ret_spread->high = quantile(list, count, 0.75);
}

/* Puts the turns of a round in a new order; the same in every run of the bench. */
static void shuffle(unsigned *turns, unsigned count)
{
	static uint32_t x = 2463534242U;
	unsigned i;

	for (i = count; i > 1; i--) {
		unsigned j, swap = turns[i - 1];

		/* Marsaglia's xorshift32 */
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		j = x % i;
		turns[i - 1] = turns[j];
		turns[j] = swap;
	}
}

static bool run(const struct measure *measure, unsigned i, struct measure_result *result,
		struct subject_batch *ret_batch)
{
	if (result->missing)
		return false;
	if (!subject_run(&measure->subjects[i], measure->row, result->batch, measure->threads,
			 measure->processes, ret_batch)) {
		result->missing = true;
		return false;
	}
	if (!result->error)
		result->error = ret_batch->error;
	result->wrong +=
		measure->fails ? ret_batch->operations - ret_batch->errors : ret_batch->errors;
	return true;
}

/* Finds how many operations a batch needs; it warms the subject up, too. */
static void calibrate(const struct measure *measure, unsigned i, int64_t batch_ns,
		      struct measure_result *result)
{
	unsigned least =
		measure->threads > measure->processes ? measure->threads : measure->processes;
	struct subject_batch batch;
	int tries;

	if (least < measure->least)
		least = measure->least;
	result->batch = least;
	for (tries = 0; tries < CALIBRATIONS_MAX; tries++) {
		double one, fitting;

		if (!run(measure, i, result, &batch))
			return;
		if (batch.ns > batch_ns * 2 / 3)
			break;
		one = (double)(batch.ns > 0 ? batch.ns : 1) / (double)batch.operations;
		fitting = (double)batch_ns / one;
		/* the first few are slower than the rest */
		if (fitting > 16.0 * (double)result->batch)
			fitting = 16.0 * (double)result->batch;
		if (fitting <= (double)result->batch)
			break;
		result->batch = (uint64_t)fitting;
	}
	if (batch.ns > batch_ns && batch.operations > least)
		result->batch =
			(uint64_t)((double)batch.operations * (double)batch_ns / (double)batch.ns);
	if (result->batch < least)
		result->batch = least;
}

static void begin(const struct measure *measure, unsigned i, struct measure_result *result)
{
	memset(result, 0, sizeof(*result));
	snprintf(result->group, sizeof(result->group), "%s", measure->group);
	snprintf(result->label, sizeof(result->label), "%s", measure->label);
	memcpy(result->subject, measure->subjects[i].name, sizeof(result->subject));
	result->threads = measure->threads;
	result->processes = measure->processes;
	result->percent = measure->percent;
	result->calls = -1;
}

static void conclude(struct measure_result *result, unsigned i, unsigned rounds)
{
	static double list[MEASURE_ROUNDS_MAX];
	unsigned round;

	for (round = 0; round < rounds; round++)
		list[round] = values[i][round] / values[0][round];
	spread(list, rounds, &result->ratio);
	for (round = 0; round < rounds; round++)
		list[round] = values[i][round] - values[0][round];
	spread(list, rounds, &result->extra);
	memcpy(list, values[i], rounds * sizeof(*list));
	spread(list, rounds, &result->ns);
}

/* Counts in batches of so many operations; the first batch warms up. */
static void count_calls(const struct measure *measure, unsigned i, int operations,
			struct measure_result *result)
{
	struct subject_batch batch;

	if (measure->counts && run(measure, i, result, &batch))
		result->calls = calls_count(&measure->subjects[i], measure->row, operations);
}

/* The processor time of what an operation starts is not the worker's. */
static bool starts_processes(const char *row)
{
	static const char *const rows[] = { "spawn", "run", "lease", "leases", "fixture", "status" };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(row, rows[i]))
			return true;
	return false;
}

void measure_run(const struct measure *measure, const struct measure_effort *effort,
		 struct measure_result *ret_results)
{
	struct subject_batch batch;
	bool cpu = effort->cpu && !starts_processes(measure->row);
	unsigned turns[MEASURE_SUBJECTS_MAX], round, turn, i;

	for (i = 0; i < measure->count && effort->calls; i++) {
		begin(measure, i, &ret_results[i]);
		ret_results[i].batch = 1;
		count_calls(measure, i, strcmp(measure->row, "spawn") ? 100 : 4, &ret_results[i]);
	}
	for (i = 0; i < measure->count && !effort->calls; i++) {
		turns[i] = i;
		begin(measure, i, &ret_results[i]);
		calibrate(measure, i, effort->batch_ns, &ret_results[i]);
	}
	for (round = 0; round < effort->rounds && !effort->calls; round++) {
		shuffle(turns, measure->count);
		for (turn = 0; turn < measure->count; turn++) {
			i = turns[turn];
			if (run(measure, i, &ret_results[i], &batch))
				values[i][round] = (double)(cpu ? batch.cpu_ns : batch.ns) /
						   (double)batch.operations;
		}
	}
	for (i = 0; i < measure->count && !effort->calls; i++) {
		if (ret_results[i].missing)
			continue;
		conclude(&ret_results[i], i, effort->rounds);
		count_calls(measure, i, ret_results[i].ns.median > SLOW_NS ? 4 : 100,
			    &ret_results[i]);
	}
}
