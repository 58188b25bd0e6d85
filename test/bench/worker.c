/*
 * worker: does rows on command and says how long they took.
 *
 *   worker work CPU   commands `ROW ITERATIONS WARM THREADS PROCESSES`, each answered with
 *                     `NANOSECONDS CPU-NANOSECONDS OPERATIONS ERRORS ERRNO`; WARM operations
 *                     come before, untimed and uncounted. CPU -1: not pinned.
 *                     `where` is answered with the port that a bind to 0 gets
 *   worker serve      see server.h
 *   worker hold       see holder.h
 *
 * The driver (bench.c) starts it once plain and once under each thing that is
 * compared, and never tells it which.
 */
#include "holder.h"
#include "place.h"
#include "rows.h"
#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTS_MAX 64

/* What one thread or process did. */
struct part {
	const struct rows *row;
	pthread_barrier_t *barrier;
	uint64_t iterations, warm;
	uint64_t errors;
	int64_t start, end, cpu;
	int error; /* the first one's errno */
};

static cpu_set_t everywhere;
static int pinned_cpu;

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void run_part(struct part *part, struct rows_state *state)
{
	uint64_t i;

	part->cpu = -now(CLOCK_THREAD_CPUTIME_ID);
	part->start = now(CLOCK_MONOTONIC);
	for (i = 0; i < part->iterations; i++) {
		int error = part->row->once(state);

		if (error) {
			part->errors++;
			if (!part->error)
				part->error = error;
		}
	}
	part->end = now(CLOCK_MONOTONIC);
	part->cpu += now(CLOCK_THREAD_CPUTIME_ID);
}

static void open_part(struct part *part, struct rows_state *state)
{
	uint64_t i;

	memset(state, 0, sizeof(*state));
	state->fd = -1;
	if (part->row->open) {
		part->error = part->row->open(state);
		part->errors += part->error != 0;
	}
	for (i = 0; i < part->warm; i++)
		part->row->once(state);
}

static void *thread_main(void *context)
{
	struct part *part = context;
	struct rows_state state;

	open_part(part, &state);
	pthread_barrier_wait(part->barrier);
	run_part(part, &state);
	rows_close(&state);
	return NULL;
}

static int run_threads(struct part *parts, unsigned count)
{
	pthread_t threads[PARTS_MAX];
	pthread_barrier_t barrier;
	unsigned i;

	pthread_barrier_init(&barrier, NULL, count);
	for (i = 0; i < count; i++) {
		parts[i].barrier = &barrier;
		/* those that stand would wait for ever */
		if (pthread_create(&threads[i], NULL, thread_main, &parts[i]))
			exit(1);
	}
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	return 0;
}

/* A child starts when @go is closed, and writes its part to @done. */
__attribute__((noreturn)) static void child_main(struct part *part, int go, int done)
{
	struct rows_state state;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	open_part(part, &state);
	if (write(done, part, sizeof(*part)) != (ssize_t)sizeof(*part))
		_exit(1);
	while (read(go, &byte, 1) < 0 && errno == EINTR)
		;
	run_part(part, &state);
	_exit(write(done, part, sizeof(*part)) == (ssize_t)sizeof(*part) ? 0 : 1);
}

/* Parts are shorter than PIPE_BUF, so they arrive whole. */
static int read_parts(int done, struct part *parts, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		if (read(done, &parts[i], sizeof(parts[i])) != (ssize_t)sizeof(parts[i]))
			return -1;
	}
	return 0;
}

static int run_processes(struct part *parts, unsigned count)
{
	int go[2], done[2], rc;
	pid_t pids[PARTS_MAX];
	unsigned i;

	if (pipe(go) || pipe(done))
		return -1;
	for (i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			close(go[1]);
			child_main(&parts[i], go[0], done[1]);
		}
		if (pids[i] < 0)
			exit(1); /* the others die with us */
	}
	close(go[0]);
	close(done[1]);
	rc = read_parts(done[0], parts, count);
	close(go[1]);
	if (!rc)
		rc = read_parts(done[0], parts, count);
	close(done[0]);
	for (i = 0; i < count; i++)
		waitpid(pids[i], NULL, 0);
	return rc;
}

static void run_alone(struct part *part)
{
	struct rows_state state;

	open_part(part, &state);
	run_part(part, &state);
	rows_close(&state);
}

static void pin(int alone)
{
	cpu_set_t one;

	if (pinned_cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(pinned_cpu, &one);
	sched_setaffinity(0, sizeof(one), alone ? &one : &everywhere);
}

static int run(const struct rows *row, uint64_t iterations, uint64_t warm, unsigned threads,
	       unsigned processes)
{
	unsigned count = threads > processes ? threads : processes, i;
	struct part parts[PARTS_MAX], all;

	if (count < 1 || count > PARTS_MAX)
		return -1;
	memset(parts, 0, sizeof(parts));
	for (i = 0; i < count; i++) {
		parts[i].row = row;
		parts[i].iterations = (iterations + count - 1) / count;
		parts[i].warm = warm / count;
	}
	pin(count == 1);
	if (processes > 1) {
		if (run_processes(parts, count))
			return -1;
	} else if (threads > 1) {
		run_threads(parts, count);
	} else {
		run_alone(&parts[0]);
	}
	all = parts[0];
	for (i = 1; i < count; i++) {
		all.iterations += parts[i].iterations;
		all.cpu += parts[i].cpu;
		all.errors += parts[i].errors;
		all.error = all.error ? all.error : parts[i].error;
		all.start = parts[i].start < all.start ? parts[i].start : all.start;
		all.end = parts[i].end > all.end ? parts[i].end : all.end;
	}
	printf("%lld %lld %llu %llu %d\n", (long long)(all.end - all.start), (long long)all.cpu,
	       (unsigned long long)all.iterations, (unsigned long long)all.errors, all.error);
	return 0;
}

static int work(void)
{
	unsigned long long iterations, warm;
	char line[PLACE_LINE], name[32];
	unsigned threads, processes;

	while (fgets(line, sizeof(line), stdin)) {
		const struct rows *row;

		if (!strcmp(line, "where\n")) {
			printf("%d\n", rows_where());
		} else {
			if (sscanf(line, "%31s %llu %llu %u %u", name, &iterations, &warm, &threads,
				   &processes) != 5)
				return 2;
			row = rows_find(name);
			if (!row || run(row, iterations, warm, threads, processes))
				return 2;
		}
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	sched_getaffinity(0, sizeof(everywhere), &everywhere);
	pinned_cpu = argc > 2 ? atoi(argv[2]) : -1;
	if (argc > 1 && !strcmp(argv[1], "serve")) {
		pin(1);
		return server_main();
	}
	if (argc > 1 && !strcmp(argv[1], "hold"))
		return holder_main();
	if (argc > 1 && !strcmp(argv[1], "work"))
		return work();
	fprintf(stderr, "usage: worker work|serve|hold [CPU]\n");
	return 2;
}
