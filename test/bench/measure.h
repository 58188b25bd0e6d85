/* measure: interleaved batches, and what they say. It prints nothing. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "subject.h"

#define MEASURE_SUBJECTS_MAX 16
#define MEASURE_ROUNDS_MAX 1001

struct measure_effort {
	unsigned rounds;
	int64_t batch_ns; /* what one batch is calibrated to take */
	bool quick;       /* leave points out */
	bool calls;       /* count system calls and time nothing */
	bool cpu; /* by CPU time, on a machine with other work; what is started goes by the wall */
};

/* A comparison: one operation, several subjects; the first is what the others are held against. */
struct measure {
	const char *group;
	const char *label;
	const char *row;
	unsigned threads, processes; /* 1 unless said otherwise */
	bool fails;                  /* every operation is to fail */
	bool counts;                 /* count system calls, too */
	unsigned least;              /* operations in a batch, at least */
	double percent;              /* how full the range is; only in curves */
	struct subject *subjects;
	unsigned count;
};

struct measure_spread {
	double low, median, high; /* quartiles */
};

struct measure_result {
	char group[16], label[48], subject[24];
	unsigned threads, processes;
	double percent;
	struct measure_spread ns;    /* for one operation */
	struct measure_spread ratio; /* to the first subject's batch of the same round */
	struct measure_spread extra; /* ns more than that batch's, likewise */
	uint64_t batch;              /* operations in one */
	uint64_t wrong;              /* operations that failed, or, if they are to, did not */
	int error;                   /* errno of the first failure */
	double calls;                /* system calls for one operation; below 0: not counted */
	bool missing;                /* it gave no answer */
};

/* measure_run() - Fills one result for each subject */
void measure_run(const struct measure *measure, const struct measure_effort *effort,
		 struct measure_result *ret_results);

#endif
