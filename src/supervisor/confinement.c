#include "confinement.h"

#include "rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
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
 * Nor does anything tell whether a thread is under Landlock. But rules are taken on by
 * landlock_restrict_self(2), which the filter traps, and they pass to children and
 * to nobody else. So of a process that has taken on rules, we note what its children
 * have from it for good. A caller that lacks any of that is free of its rules:
 *
 * - Its age. Children are younger, or as old.
 * - no_new_privs. Without it, only CAP_SYS_ADMIN takes on rules (security/landlock/syscalls.c).
 * - Its user. With no_new_privs, nobody gains a right by execve(2), so only one that has CAP_SETUID
 *   already, or several user ids, can become another user. CAP_SYS_ADMIN may do without
 *   no_new_privs, and so gain a right later. Rules that such a process takes on may be
 *   anybody's.
 *
 * In a user namespace of its own, a process may get both capabilities, and become any user that
 * is mapped into it. It never comes back from there (user_namespaces(7)). So its rights there do not
 * count, and a caller in another user namespace than ours may be under the rules of any user.
 *
 * A ruleset is a descriptor, and may be passed on. So as soon as somebody has made one on the
 * network, whoever takes on any may take on that. A thread that rewrites the rules while we
 * read them deceives itself: they are its own.
 *
 * Rules that were made outside the tree, and are passed into it, are not seen. Nor are
 * those that `portfence run` itself makes before it executes the command
 * (bind_rules.c): they allow what the supervisor does for a caller.
 */

/* include/uapi/linux/landlock.h, struct landlock_ruleset_attr: the second member is handled_access_net */
#define NETWORK_OFFSET 8
#define NETWORK_TCP 3 /* LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

/* The same file: LANDLOCK_RESTRICT_SELF_TSYNC, for all threads of the process */
#define ALL_THREADS (1U << 3)

static const struct confinement_since never = { { UINT64_MAX, UINT64_MAX } };

void confinement_start(struct confinement *confinement, int starter)
{
	struct caller_place own;

	memset(confinement, 0, sizeof(*confinement));
	pthread_mutex_init(&confinement->lock, NULL);
	confinement->starter = starter;
	confinement->anybody = never;
	confinement->changing = never;
	caller_own_place(&own);
	memcpy(confinement->label, own.label, sizeof(confinement->label));
}

/* The other end of the channel is close-on-exec: does nobody but `portfence run` itself run under the filter yet? */
static bool is_starting(const struct confinement *confinement)
{
	struct pollfd end = { .fd = confinement->starter };

	return poll(&end, 1, 0) == 0;
}

/* ---- rules that are made ---- */

/* What this kernel's Landlock can handle of the network. What it cannot, nobody can take on. */
static uint64_t handled;

static void ask_what_is_handled(void)
{
	uint64_t attr[2] = { 0, 1 };
	int ruleset;

	for (; attr[1]; attr[1] <<= 1) {
		ruleset = (int)syscall(SYS_landlock_create_ruleset, attr, sizeof(attr), 0);
		if (ruleset >= 0)
			close(ruleset);
		/* E2BIG: it knows files alone. Of any other failure, we do not know */
		if (ruleset >= 0 || (errno != EINVAL && errno != E2BIG))
			handled |= attr[1];
	}
}

void confinement_note_rules(struct confinement *confinement, const struct caller *caller,
			    uint64_t attr, uint64_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t network = 0;
	int rc = 0;

	if (is_starting(confinement))
		return;
	if (size >= NETWORK_OFFSET + sizeof(network))
		rc = caller_read(caller, attr + NETWORK_OFFSET, &network, sizeof(network));
	/* memory that we may not look into may say anything; what cannot be read, the kernel refuses */
	if (rc)
		network = rc == -EPERM ? UINT64_MAX : 0;
	if (network)
		pthread_once(&once, ask_what_is_handled);
	atomic_fetch_or(&confinement->network, network & handled);
}

/* ---- rules that are taken on ---- */

static void begin_at(struct confinement_since *since, bool no_new_privs, uint64_t started)
{
	if (started < since->ticks[no_new_privs])
		since->ticks[no_new_privs] = started;
}

static bool has_begun(const struct confinement_since *since, bool no_new_privs, uint64_t started)
{
	return started >= since->ticks[false] || (no_new_privs && started >= since->ticks[true]);
}

/* Return: NULL if that user has taken on none */
static struct confinement_since *find_user(struct confinement *confinement, uid_t uid)
{
	unsigned i;

	for (i = 0; i < confinement->users; i++)
		if (confinement->user[i].uid == uid)
			return &confinement->user[i].since;
	return NULL;
}

/* Return: NULL if there is no room for another user */
static struct confinement_since *add_user(struct confinement *confinement, uid_t uid)
{
	struct confinement_since *since = find_user(confinement, uid);

	if (since || confinement->users == CONFINEMENT_USERS)
		return since;
	confinement->user[confinement->users].uid = uid;
	since = &confinement->user[confinement->users++].since;
	*since = never;
	return since;
}

/* In which user namespace? */
enum place { OURS, ELSEWHERE, UNKNOWN };

static enum place find_place(const struct caller *caller)
{
	uint64_t set, userns;
	int rc;

	rights_look(caller);
	rc = caller_capabilities(caller, &set, &userns);
	rights_look_away();
	if (rc)
		return UNKNOWN;
	return userns == caller_own_userns() ? OURS : ELSEWHERE;
}

static void note(struct confinement *confinement, const struct caller *caller)
{
	struct caller_rights rights = { .mixed = true };
	struct confinement_since *since = NULL;
	uint64_t started = 0;
	bool elsewhere, changes;

	/* if it cannot be told, it may be any */
	if ((caller_started(caller, &started) || caller_rights(caller, &rights)) &&
	    !caller_waits(caller))
		return;
	elsewhere = find_place(caller) == ELSEWHERE;
	changes = rights.mixed || rights.permitted & (1U << CAP_SETUID | 1U << CAP_SYS_ADMIN);
	pthread_mutex_lock(&confinement->lock);
	begin_at(&confinement->anybody, rights.no_new_privs, started);
	if (!elsewhere && !changes)
		since = add_user(confinement, rights.uid);
	if (!elsewhere)
		begin_at(since ? since : &confinement->changing, rights.no_new_privs, started);
	pthread_mutex_unlock(&confinement->lock);
}

static int note_thread(const struct caller *thread, void *context)
{
	uint64_t started;

	/* it may have ended */
	if (!caller_started(thread, &started))
		note(context, thread);
	return 0;
}

void confinement_note_restriction(struct confinement *confinement, const struct caller *caller,
				  uint64_t flags)
{
	if (!confinement->network)
		return;
	note(confinement, caller);
	/* each thread has a user and capabilities of its own */
	if (flags & ALL_THREADS)
		caller_each_thread(caller, note_thread, confinement);
}

static bool has_rules(struct confinement *confinement, const struct caller *caller)
{
	const struct confinement_since *own;
	struct caller_rights rights;
	uint64_t started;
	enum place place;
	bool has;

	if (caller_started(caller, &started) || caller_rights(caller, &rights))
		return true;
	place = find_place(caller);
	pthread_mutex_lock(&confinement->lock);
	own = find_user(confinement, rights.uid);
	if (place != OURS)
		has = has_begun(&confinement->anybody, rights.no_new_privs, started);
	else
		has = has_begun(&confinement->changing, rights.no_new_privs, started) ||
		      (own && has_begun(own, rights.no_new_privs, started));
	pthread_mutex_unlock(&confinement->lock);
	return has;
}

bool confinement_holds(struct confinement *confinement, const struct caller *caller, bool udp)
{
	const uint64_t network = confinement->network;
	char label[sizeof(confinement->label)];

	if (*confinement->label &&
	    (caller_label(caller, label, sizeof(label)) || strcmp(label, confinement->label) != 0))
		return true;
	return (udp ? network & ~(uint64_t)NETWORK_TCP : network) && has_rules(confinement, caller);
}
