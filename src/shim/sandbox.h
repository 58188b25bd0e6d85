/* sandbox: what the process has forbidden itself or others, as far as the hooks have seen; it asks nobody. */
#ifndef PORTFENCE_SHIM_SANDBOX_H
#define PORTFENCE_SHIM_SANDBOX_H

#include <stdbool.h>

/* sandbox_begins() - Is this an option by which prctl() sets a filter, or by which a process prepares for one? */
bool sandbox_begins(int option);

/* sandbox_note_prctl() - prctl() has succeeded; its first two arguments */
void sandbox_note_prctl(int option, unsigned long value);

/*
 * sandbox_is_filtered() - May a seccomp filter of the program's own forbid what it does not call itself?
 *
 * True once the process has set one by prctl(), or no_new_privs, which comes before a filter that is set
 * by seccomp(2).
 */
bool sandbox_is_filtered(void);

/* sandbox_note_unseen() - The supervisor may look into no process at all */
void sandbox_note_unseen(void);

/* sandbox_is_unseen() - Is it so? */
bool sandbox_is_unseen(void);

/* sandbox_is_closed() - Is it so, or has the process forbidden others to look into it (PR_SET_DUMPABLE)? */
bool sandbox_is_closed(void);

#endif
