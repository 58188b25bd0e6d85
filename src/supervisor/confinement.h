/* confinement: whether a caller may be under rules that the supervisor is not under: Landlock's, or a label's. */
#ifndef PORTFENCE_SUPERVISOR_CONFINEMENT_H
#define PORTFENCE_SUPERVISOR_CONFINEMENT_H

#include "caller.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFINEMENT_USERS 256

/*
 * When the oldest process was started that has taken on rules, in clock ticks after the machine's start;
 * UINT64_MAX: none has. One that had no_new_privs comes second.
 */
struct confinement_since {
	uint64_t ticks[2];
};

/* confinement_start() begins it. */
struct confinement {
	char label[256]; /* our own, of a security module; empty if there is none */
	int starter;     /* see confinement_start() */
	_Atomic uint64_t
		network; /* what the Landlock rules handle that somebody has made, LANDLOCK_ACCESS_NET_* */
	pthread_mutex_t lock;              /* of the rest */
	struct confinement_since anybody;  /* of all users */
	struct confinement_since changing; /* of those that could become another user */
	struct {
		uid_t uid;
		struct confinement_since since;
	} user[CONFINEMENT_USERS]; /* of those that could not */
	unsigned users;
};

/**
 * confinement_start() - Note our own label
 * @starter:	end of a channel; as long as its other end is open, the whole tree is the process that
 *		`portfence run` is, and the rules that it makes are none of a program's
 */
void confinement_start(struct confinement *confinement, int starter);

/**
 * confinement_note_rules() - A caller is about to make Landlock rules
 * @attr, @size:	arguments of landlock_create_ruleset(2)
 *
 * Rules on files alone are none of ours.
 */
void confinement_note_rules(struct confinement *confinement, const struct caller *caller,
			    uint64_t attr, uint64_t size);

/**
 * confinement_note_restriction() - A caller is about to take rules on, perhaps another's
 * @flags:	argument of landlock_restrict_self(2)
 */
void confinement_note_restriction(struct confinement *confinement, const struct caller *caller,
				  uint64_t flags);

/**
 * confinement_holds() - May this caller be under rules that we are not under?
 * @udp:	for a call on a UDP or UDP-Lite socket, which most kernels' Landlock has no rules for
 *
 * Return: false only if that is sure
 */
bool confinement_holds(struct confinement *confinement, const struct caller *caller, bool udp);

#endif
