/* dying: waits for processes that are in the middle of ending; it ends none. */
#ifndef PORTFENCE_CLI_DYING_H
#define PORTFENCE_CLI_DYING_H

/**
 * dying_wait() - Wait until all that are ending now have closed their files
 *
 * Since Linux 6.11 a process leaves its seccomp filter when it begins to end, and what it has
 * open is closed a little later. Whose processes cannot be seen is not waited for, and for
 * nobody longer than two seconds. Source: kernel/exit.c, do_exit(); proc_pid_stat(5), flags.
 */
void dying_wait(void);

#endif
