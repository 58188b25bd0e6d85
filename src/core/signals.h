/* signals: keeps the program's signal handlers away for a moment; it handles no signal. */
#ifndef PORTFENCE_CORE_SIGNALS_H
#define PORTFENCE_CORE_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory holds nothing. */
struct signals {
	uint64_t before;
	bool held;
};

/**
 * signals_hold() - Hold back the signals of this thread
 *
 * A handler may leave by siglongjmp(), and what we had opened would stay open.
 * Signals that an instruction or a system call of its own brings on a thread
 * are not held back, as the kernel would end the program.
 */
void signals_hold(struct signals *signals);

/* signals_release() - Let them through again, if they were held; as the last thing. Keeps errno */
void signals_release(const struct signals *signals);

#endif
