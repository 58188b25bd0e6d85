#include "sandbox.h"

#include "../core/fd.h"
#include "caller_memory.h"

#include <stdatomic.h>
#include <sys/prctl.h>

/*
 * Theory of operation
 *
 * A program may forbid itself all system calls that it does not need, and be
 * killed for another one. What our hooks would ask the kernel is not among those
 * that it needs. So once a filter is there, the hooks use what they know already,
 * or leave the call to the supervisor (hooks_port.c).
 *
 * seccomp(2) has no function in libc that could be hooked. But without
 * CAP_SYS_ADMIN the kernel demands no_new_privs before it takes a filter
 * (kernel/seccomp.c, seccomp_prepare_filter), and libseccomp sets it in any case.
 *
 * A filter that was there when the process began does not count: containers put
 * one around everything, which allows what programs usually do.
 */

/* Atomics. A forked child inherits them, as it inherits the filter. */
static atomic_bool filtered, closed, unseen;

bool sandbox_begins(int option)
{
	return option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP;
}

void sandbox_note_prctl(int option, unsigned long value)
{
	if (sandbox_begins(option)) {
		atomic_store_explicit(&filtered, true, memory_order_relaxed);
		caller_memory_trust();
		fd_open_nothing();
	} else if (option == PR_SET_DUMPABLE) {
		atomic_store_explicit(&closed, value == 0, memory_order_relaxed);
	}
}

bool sandbox_is_filtered(void)
{
	return atomic_load_explicit(&filtered, memory_order_relaxed);
}

void sandbox_note_unseen(void)
{
	atomic_store_explicit(&unseen, true, memory_order_relaxed);
}

bool sandbox_is_unseen(void)
{
	return atomic_load_explicit(&unseen, memory_order_relaxed);
}

bool sandbox_is_closed(void)
{
	return sandbox_is_unseen() || atomic_load_explicit(&closed, memory_order_relaxed);
}
