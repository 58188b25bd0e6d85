/* inner: the runs inside this one, and the rule that each has; it serves no call. */
#ifndef PORTFENCE_SUPERVISOR_INNER_H
#define PORTFENCE_SUPERVISOR_INNER_H

#include "../core/fence.h"
#include "../core/handover.h"
#include "../core/log.h"
#include "../core/settings.h"
#include "caller.h"
#include "claims.h"
#include "obstacle.h"
#include "run_log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A process can have only one supervisor (kernel/seccomp.c, has_duplicate_listener). So the supervisor of the
 * outermost run serves the runs inside, too, by their own rules. A run inside asks it by a bind() on
 * descriptor -1, with one of these numbers in the place of the address. HANDOVER_PROBE is another such number.
 */
#define INNER_OPEN (HANDOVER_PROBE + 1)  /* for a channel: the call returns its descriptor */
#define INNER_ENTER (HANDOVER_PROBE + 2) /* to take the request that was sent through the channel */

#define INNER_MOST 1024  /* runs inside at a time */
#define INNER_OPENED 256 /* channels at a time; of more, the oldest of the same user is closed */

/* What the supervisor tells, as the first message through the channel. */
struct inner_offer {
	uint64_t version; /* INNER_VERSION, of this program */
	uint64_t gate;    /* this and the next three: as in struct settings */
	uint64_t tracer;
	uint64_t tracer_space;
	uint64_t unseen;
	uint64_t io_uring;  /* the filter allows io_uring */
	uint64_t any_mptcp; /* the filter allows MPTCP sockets */
	uint64_t polices;   /* the rule polices named ports, so no other is taken */
};

/* ---- for the supervisor ---- */

/* A run inside. Immutable, but for what is made of atomics. */
struct inner {
	struct fence fence;
	struct log log;
	struct run_log run_log; /* of that log */
	uint64_t mark;
	struct caller_rights starter; /* of the process that asked for it */
	struct rule rule;
	struct engine_kernel kernel[PROTO_COUNT];
	struct source_addr_cache sources;
	struct arena arena;
	unsigned users; /* calls that it serves now; this and the next: under the lock of struct inners */
	unsigned missed;    /* searches in a row that found none of its processes */
	struct inner *next; /* that has ended, too */
};

/* A channel for a request that has not come yet. */
struct inner_opened {
	pid_t thread; /* that asked for it; 0: not in use */
	uid_t user;   /* of that thread */
	int channel;
	uint64_t number; /* of one that was opened later, it is higher */
};

/* Zeroed memory and inner_start() begin it. */
struct inners {
	struct inner_offer offer;
	struct claims *claims;
	_Atomic unsigned count;
	pthread_mutex_t lock; /* of the rest */
	struct inner *run[INNER_MOST];
	unsigned sweep_at;  /* with so many runs, those that have ended are looked for */
	int64_t sweep_from; /* from that time on, see timing_next_search() */
	struct inner_opened opened[INNER_OPENED];
	uint64_t last_opened;
};

/* inner_start() - Begin with no run inside. @claims: those that are held for its calls */
void inner_start(struct inners *inners, const struct inner_offer *offer, struct claims *claims);

/* inner_open() - Make a channel for a caller that asks for one. Return: the caller's end of it, -errno */
int inner_open(struct inners *inners, const struct caller *caller);

/**
 * inner_enter() - Take the request of a caller that has a channel
 * @calls:	to serve the run with
 *
 * Any member of the tree can send any request, so a request gives no right. It chooses a range that the
 * member could also use without a supervisor. It names no file: the member itself has opened what the supervisor
 * is to write to. The caller carries the mark already by which its run is known.
 *
 * Return: 0; -EPERM if the rule here polices named ports; -EEXIST if the mark is another run's of the same user; -ENOSPC if
 * there are too many runs; another -errno
 */
int inner_enter(struct inners *inners, const struct caller *caller,
		const struct socket_calls *calls);

/**
 * inner_find() - Which run inside does a caller belong to?
 * @ret_inner:	NULL if it belongs to none; else to be given back by inner_leave()
 *
 * Return: 0, -ESRCH
 */
int inner_find(struct inners *inners, const struct caller *caller, struct inner **ret_inner);
void inner_leave(struct inners *inners, struct inner *inner);

/* inner_share() - Let inner_shared_at() find a state file, which others may shorten. Return: false if there is no room */
bool inner_share(struct state_file *file);

/* inner_shared_at() - The state file that is mapped at an address, or NULL. Fit for a signal handler */
struct state_file *inner_shared_at(uintptr_t address);

/* ---- for the run inside ---- */

/**
 * inner_ask() - Is there a supervisor that serves runs inside?
 *
 * Return: a channel to it, close-on-exec; -EBADF if there is none; another -errno
 */
int inner_ask(struct inner_offer *ret_offer);

/**
 * inner_compare() - Could that supervisor serve a rule? Its filter, which was made for its own rule, stays
 * @settings:	its rule may be NULL
 * @exact:	as for supervise_start()
 *
 * Return: 0, -EPERM with the reason
 */
int inner_compare(const struct inner_offer *offer, const struct settings *settings, bool exact,
		  struct obstacle *ret_obstacle);

/**
 * inner_submit() - Ask to be served by a rule
 * @channel:	of inner_ask(); it is closed
 * @settings:	this process carries the run's mark already
 *
 * Return: 0, -errno with the reason
 */
int inner_submit(int channel, const struct settings *settings, struct obstacle *ret_obstacle);

#endif
