/* gate: a page to make system calls from that a supervisor's filter lets pass; it decides nothing. */
#ifndef PORTFENCE_SHIM_GATE_H
#define PORTFENCE_SHIM_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* system calls: number, then arguments. Return: the kernel's own, -errno where it failed */
typedef long gate_fn(long nr, long a, long b, long c, long d, long e, long f);

/* Set once at start, by relaxed atomics; NULL: there is none, and libc's functions do it. */
extern gate_fn *gate_published;

/**
 * gate_open() - Put the page where the filter expects it
 * @address:	of the page; 0: no filter does
 *
 * Where that fails, nothing is lost but time: the filter stops what comes from elsewhere.
 */
void gate_open(uint64_t address);

static inline gate_fn *gate(void)
{
	return __atomic_load_n(&gate_published, __ATOMIC_RELAXED);
}

#endif
