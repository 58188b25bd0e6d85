/* obstacle: says why no supervisor can be had on this machine, and what mends that; it changes nothing. */
#ifndef PORTFENCE_SUPERVISOR_OBSTACLE_H
#define PORTFENCE_SUPERVISOR_OBSTACLE_H

#include <stdbool.h>

/* Both are texts for a line of a message. */
struct obstacle {
	char why[192];
	char remedy[192]; /* what to do about it here; may be empty */
	bool outer; /* the supervisor of an outer run serves this process, by that run's rule */
};

/* obstacle_bypass() - Which ports do calls take that bypass the library? The text follows "take" */
const char *obstacle_bypass(const struct obstacle *obstacle);

/* obstacle_set() - Write a reason without a remedy */
__attribute__((format(printf, 2, 3))) void obstacle_set(struct obstacle *ret_obstacle,
							const char *format, ...);

/**
 * obstacle_of_filter() - Why the kernel takes no filter with a listener
 * @error:	errno of seccomp(2)
 * @exact:	one with SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV was asked for
 */
void obstacle_of_filter(int error, bool exact, struct obstacle *ret_obstacle);

/**
 * obstacle_of_look() - Why the supervisor may not look into the program
 * @error:	errno of pidfd_getfd(2) or process_vm_readv(2)
 *
 * It tells a filter from Yama by making these calls on this process, to which Yama never objects.
 */
void obstacle_of_look(int error, struct obstacle *ret_obstacle);

#endif
