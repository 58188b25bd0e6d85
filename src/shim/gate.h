/* gate: a page whose system calls a supervisor's filter lets pass; it decides nothing. */
#ifndef PORTFENCE_SHIM_GATE_H
#define PORTFENCE_SHIM_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* Makes a system call: its number, then its arguments. Return: what the kernel returns, -errno if it failed */
typedef long gate_fn(long nr, long a, long b, long c, long d, long e, long f);

/*
 * Set at start and at the first call, by relaxed atomics; NULL: there is no gate, and libc's functions make
 * the calls
 */
extern gate_fn *gate_published;

/**
 * gate_open() - Let the first call through the gate put the page where the filter expects it
 * @address:	of the page; 0: there is no such filter
 *
 * Where that fails, nothing is lost but time: the filter stops calls from elsewhere, and the supervisor
 * serves them.
 */
void gate_open(uint64_t address);

/* gate_prepare() - Put the page there now: a filter may forbid it later. Keeps errno. */
void gate_prepare(void);

/*
 * gate_works() - Does the filter let calls through the gate pass?
 *
 * Not where there is no gate, nor under a translator such as valgrind, whose own code makes all calls.
 */
bool gate_works(void);

/* gate() - Is there a gate? NULL if there is none. To call through it, use gate_call() */
static inline gate_fn *gate(void)
{
	return __atomic_load_n(&gate_published, __ATOMIC_RELAXED);
}

/* gate_call() - Make a system call through the gate, or past it where it is none any more. Return: as a gate_fn */
gate_fn gate_call;

#endif
