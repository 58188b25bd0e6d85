/* signals: keeps the program's signal handlers from running for a moment; it handles no signal. */
#ifndef PORTFENCE_CORE_SIGNALS_H
#define PORTFENCE_CORE_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory: no signals are held back. */
struct signals {
	uint64_t before;
	bool held;
};

/**
 * signals_hold() - Hold back the signals of this thread
 *
 * A handler may leave by siglongjmp(), and then our descriptors would stay open. Signals
 * that the thread raises itself by an instruction or a system call are not held back:
 * the kernel would end the program.
 */
void signals_hold(struct signals *signals);

/* signals_release() - Let held signals through again; call it last. It keeps errno */
void signals_release(const struct signals *signals);

#endif
