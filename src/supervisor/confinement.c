#include "confinement.h"

#include "../core/timing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Landlock and security modules decide by the credentials of the thread that makes
 * a call. If the supervisor makes it, its own credentials are asked, and these are
 * not under the rules that a program has put itself under. Nothing tells which
 * rules those are, so for such a caller the supervisor makes no call by which rules
 * could be passed by (trap.c).
 *
 * Nor does anything tell whether a thread is under Landlock. But rules come from
 * landlock_create_ruleset(2), which the filter traps, and they pass to children and
 * to nobody else. So a process that is older than the first rules on the network is
 * free of them, unless it makes or takes on some itself. Every younger one may have
 * them from its parents. A thread that rewrites the rules while we read them
 * deceives itself: they are its own.
 *
 * Rules that were made outside the tree, and are passed into it, are not seen. Nor are
 * those that `portfence run` itself makes before it executes the command
 * (bind_rules.c): they allow what the supervisor does for a caller.
 */

/* include/uapi/linux/landlock.h, struct landlock_ruleset_attr: the second member is handled_access_net */
#define NETWORK_OFFSET 8

void confinement_start(struct confinement *confinement, int starter)
{
	struct caller_place own;

	pthread_mutex_init(&confinement->lock, NULL);
	confinement->starter = starter;
	caller_own_place(&own);
	memcpy(confinement->label, own.label, sizeof(confinement->label));
}

/* Clock ticks after the machine's start, as /proc/ID/stat counts them */
static uint64_t now_ticks(void)
{
	return (uint64_t)(timing_ns(CLOCK_BOOTTIME) / (TIMING_SECOND_NS / sysconf(_SC_CLK_TCK)));
}

static bool is_noted(const struct confinement *confinement, pid_t process)
{
	unsigned i;

	for (i = 0; i < confinement->processes; i++)
		if (confinement->process[i] == process)
			return true;
	return false;
}

static void note(struct confinement *confinement, const struct caller *caller)
{
	const pid_t process = caller_process(caller);

	pthread_mutex_lock(&confinement->lock);
	if (!confinement->rules)
		confinement->since = now_ticks();
	/* a process that cannot be told, or has no room: from now on, every one counts */
	if (!process || confinement->processes == CONFINEMENT_PROCESSES)
		confinement->since = 0;
	else if (!is_noted(confinement, process))
		confinement->process[confinement->processes++] = process;
	confinement->rules = true;
	pthread_mutex_unlock(&confinement->lock);
}

/* The other end of the channel is close-on-exec: does nobody but `portfence run` itself run under the filter yet? */
static bool is_starting(const struct confinement *confinement)
{
	struct pollfd end = { .fd = confinement->starter };

	return poll(&end, 1, 0) == 0;
}

void confinement_note_rules(struct confinement *confinement, const struct caller *caller,
			    uint64_t attr, uint64_t size)
{
	uint64_t network = 0;
	int rc = 0;

	if (is_starting(confinement))
		return;
	if (size >= NETWORK_OFFSET + sizeof(network))
		rc = caller_read(caller, attr + NETWORK_OFFSET, &network, sizeof(network));
	/* memory that we may not look into may say anything; what cannot be read, the kernel refuses */
	if (rc == -EPERM || (!rc && network))
		note(confinement, caller);
}

void confinement_note_restriction(struct confinement *confinement, const struct caller *caller)
{
	if (confinement->rules)
		note(confinement, caller);
}

static bool has_rules(struct confinement *confinement, const struct caller *caller)
{
	uint64_t started;
	bool has;
	pid_t process;

	if (!confinement->rules)
		return false;
	process = caller_process(caller);
	if (!process || caller_started(caller, &started))
		return true;
	pthread_mutex_lock(&confinement->lock);
	has = started >= confinement->since || is_noted(confinement, process);
	pthread_mutex_unlock(&confinement->lock);
	return has;
}

bool confinement_holds(struct confinement *confinement, const struct caller *caller)
{
	char label[sizeof(confinement->label)];

	if (*confinement->label &&
	    (caller_label(caller, label, sizeof(label)) || strcmp(label, confinement->label) != 0))
		return true;
	return has_rules(confinement, caller);
}
