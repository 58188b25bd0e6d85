/* tree: what all calls of a supervised tree have in common; several threads serve calls at a time. */
#ifndef PORTFENCE_SUPERVISOR_TREE_H
#define PORTFENCE_SUPERVISOR_TREE_H

#include "../core/fence.h"
#include "born.h"
#include "caller.h"
#include "claims.h"
#include "confinement.h"
#include "inner.h"
#include "run_log.h"

struct tree {
	/* set once, before the first call is served */
	int listener;              /* of the filter */
	int program;               /* a pidfd of the program that was started first */
	int errors;                /* what was its standard error, see trap_serve() */
	const struct fence *fence; /* its rule is served by the bind engine */
	struct born *born;   /* sockets that are born here; NULL: callers can be looked into */
	unsigned port_start; /* lowest port that needs no right, in our network namespace */

	/* these four have locks of their own */
	struct run_log log;
	struct inners inners;
	struct claims claims;
	struct confinement confinement;
};

#endif
