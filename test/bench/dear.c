#include "dear.h"

#include "scene.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CALLS 20000
#define ROUNDS 5
#define LENGTH 256

unsigned dear_call_ns(void)
{
	unsigned best = UINT32_MAX, round, i;
	struct timespec start, end;
	int64_t ns;

	for (round = 0; round < ROUNDS; round++) {
		clock_gettime(CLOCK_MONOTONIC, &start);
		for (i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		clock_gettime(CLOCK_MONOTONIC, &end);
		ns = (end.tv_sec - start.tv_sec) * INT64_C(1000000000) + end.tv_nsec -
		     start.tv_nsec;
		if (ns / CALLS < best)
			best = (unsigned)(ns / CALLS);
	}
	return best;
}

/* A filter that computes for so many instructions, and allows. */
static void add_filter(unsigned length)
{
	/* what looks at an argument is run at each call (kernel/seccomp.c, seccomp_is_const_allow) */
	static const struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							offsetof(struct seccomp_data, args)),
					multiply = BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 1664525),
					allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_filter *code = calloc(length, sizeof(*code));
	struct sock_fprog program = { .len = (unsigned short)length, .filter = code };
	unsigned i;

	if (!code)
		die("no memory for a filter");
	for (i = 0; i < length; i++)
		code[i] = !i ? load : i + 1 < length ? multiply : allow;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("a filter cannot be set: '--dear' takes root");
	free(code);
}

void dear_make(unsigned ns)
{
	const unsigned before = dear_call_ns();
	unsigned cost, now, length;

	if (ns <= before)
		return;
	add_filter(LENGTH);
	now = dear_call_ns();
	cost = now > before ? now - before : 1;
	while (now + cost < ns) {
		length = (ns - now) * LENGTH / cost;
		add_filter(length < BPF_MAXINSNS ? length : BPF_MAXINSNS);
		now = dear_call_ns();
	}
}
