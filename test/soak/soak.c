/*
 * soak: for a given time, many threads of many processes make and close sockets in every way,
 * while processes are killed at random and others take their place.
 *
 *   soak SECONDS PROCESSES THREADS FIRST LAST
 *
 * The servers are those of `load serve 7000 8`. Every port that is not named has to lie in FIRST to
 * LAST. Prints what became of each call, "OPERATION CALL ERRNO TIMES" a line; what each operation
 * took, "took OPERATION MEAN-MICROSECONDS SLOWEST-MILLISECONDS"; and "killed", "ended", "failed",
 * "escapes", "leaks" and "hangs", each with a number, of which the last four have to be 0.
 */
#include "soak.h"

#include "operations.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG (120 * SOAK_SECOND)
#define KILL_TICKS 25 /* between two of them, on average */

struct soak *soak;

static int memory; /* descriptor of the mapping */
static pid_t workers[SOAK_PROCESSES];
static long killed, ended, failed, hangs;
static _Thread_local uint64_t random_state;

void soak_die(const char *what)
{
	perror(what);
	exit(2);
}

int64_t soak_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SOAK_SECOND + time.tv_nsec;
}

int64_t soak_wait(void)
{
	int64_t next = (soak_now() / SOAK_TICK + 1) * SOAK_TICK;
	struct timespec time = { .tv_sec = next / SOAK_SECOND, .tv_nsec = next % SOAK_SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL))
		;
	return next;
}

void soak_seed(uint64_t number)
{
	random_state = (number ^ (uint64_t)soak_now()) | 1;
}

/* xorshift64* (Vigna, 2016) */
uint32_t soak_draw(uint32_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 0x2545f4914f6cdd1dULL) >> 32) % below;
}

static void map_memory(void)
{
	soak = mmap(NULL, sizeof(*soak), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (soak == MAP_FAILED)
		soak_die("mmap");
}

/* An exec for each, so that it begins as every program does. */
static void start_worker(int index)
{
	char caller_memory_text[16], index_text[16];

	memset(soak->beat[index], 0, sizeof(soak->beat[index]));
	workers[index] = fork();
	if (workers[index] < 0)
		soak_die("fork");
	if (workers[index] > 0)
		return;
	snprintf(caller_memory_text, sizeof(caller_memory_text), "%d", memory);
	snprintf(index_text, sizeof(index_text), "%d", index);
	execl("/proc/self/exe", "soak", caller_memory_text, index_text, (char *)NULL);
	soak_die("exec");
}

static void kill_worker(int index)
{
	kill(workers[index], SIGKILL);
	waitpid(workers[index], NULL, 0);
	workers[index] = 0;
}

/* Return: true if there is no worker, or no more */
static bool has_ended(int index)
{
	int status;

	if (!workers[index])
		return true;
	if (waitpid(workers[index], &status, WNOHANG) <= 0)
		return false;
	workers[index] = 0;
	ended++;
	if (status) {
		fprintf(stderr, "a process has ended with status %#x\n", (unsigned)status);
		failed++;
	}
	return true;
}

/* Return: how long a process has been at one thing, by its slowest thread @ret_thread */
static int64_t age(int index, int *ret_thread)
{
	int64_t time = soak_now(), most = 0;
	int i;

	for (i = 0; i < soak->threads; i++) {
		int64_t since = atomic_load(&soak->beat[index][i].since);

		/* when time is up, all that is left to do is to end */
		if (!since && time > soak->deadline)
			since = soak->deadline;
		if (!since || time - since < most)
			continue;
		most = time - since;
		*ret_thread = i;
	}
	return most;
}

static void kill_hanging(int index)
{
	int thread;

	if (age(index, &thread) < HANG)
		return;
	fprintf(stderr, "hang: %s\n",
		operations_name(atomic_load(&soak->beat[index][thread].operation)));
	hangs++;
	kill_worker(index);
}

/* One that may hang is left for kill_hanging(). */
static void kill_at_random(int index)
{
	int thread;

	if (has_ended(index) || age(index, &thread) > SOAK_SECOND)
		return;
	kill_worker(index);
	killed++;
}

/* Return: how many there are */
static int keep_workers(int wanted, bool over)
{
	int i, left = 0;

	for (i = 0; i < wanted; i++) {
		if (!has_ended(i))
			kill_hanging(i);
		if (!workers[i] && !over)
			start_worker(i);
		left += workers[i] != 0;
	}
	return left;
}

static void print_counts(int operation)
{
	int call, error;

	for (call = 0; call < SOAK_CALLS; call++)
		for (error = 0; error < SOAK_ERRORS; error++)
			if (soak->counts[operation][call][error])
				printf("%s %s %s %ld\n", operations_name(operation),
				       operations_call_name(call),
				       error ? strerrorname_np(error) : "0",
				       soak->counts[operation][call][error]);
}

static void print_results(void)
{
	int i;

	for (i = 0; operations_name(i); i++)
		print_counts(i);
	for (i = 0; operations_name(i); i++)
		if (soak->made[i])
			printf("took %s %lld %lld\n", operations_name(i),
			       (long long)soak->spent[i] / soak->made[i] / 1000,
			       (long long)soak->slowest[i] / 1000000);
	printf("killed %ld\nended %ld\nfailed %ld\nescapes %ld\nleaks %ld\nhangs %ld\n", killed,
	       ended, failed, soak->escapes, soak->leaks, hangs);
}

static int run(int processes)
{
	bool over;

	do {
		over = soak_wait() >= soak->deadline;
		if (!over && !soak_draw(KILL_TICKS))
			kill_at_random((int)soak_draw((unsigned)processes));
	} while (keep_workers(processes, over));
	print_results();
	return failed || soak->escapes || soak->leaks || hangs;
}

int main(int argc, char *argv[])
{
	int processes;

	if (argc == 3) {
		memory = atoi(argv[1]);
		map_memory();
		return worker_run(atoi(argv[2]));
	}
	if (argc != 6)
		return 2;
	memory = memfd_create("soak", 0);
	if (memory < 0 || ftruncate(memory, sizeof(*soak)))
		soak_die("memfd_create");
	map_memory();
	soak_seed(0);
	processes = atoi(argv[2]);
	soak->threads = atoi(argv[3]);
	soak->first = (in_port_t)atoi(argv[4]);
	soak->last = (in_port_t)atoi(argv[5]);
	soak->deadline = soak_now() + atol(argv[1]) * SOAK_SECOND;
	if (processes < 1 || processes > SOAK_PROCESSES || soak->threads < 1 ||
	    soak->threads > SOAK_THREADS)
		return 2;
	return run(processes);
}
