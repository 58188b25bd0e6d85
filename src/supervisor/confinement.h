/* confinement: whether a caller may be under rules that the supervisor is not under: Landlock's, or a label's. */
#ifndef PORTFENCE_SUPERVISOR_CONFINEMENT_H
#define PORTFENCE_SUPERVISOR_CONFINEMENT_H

#include "caller.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFINEMENT_PROCESSES 64

/* Zeroed memory and confinement_start() begin it. */
struct confinement {
	char label[256];      /* our own, of a security module; empty if there is none */
	_Atomic bool rules;   /* somebody has made Landlock rules on the network */
	pthread_mutex_t lock; /* of the rest */
	uint64_t since;       /* clock ticks after the machine's start, when the first made them */
	int starter;          /* see confinement_start() */
	pid_t process[CONFINEMENT_PROCESSES]; /* that make or take on rules, though older than that */
	unsigned processes;
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

/* confinement_note_restriction() - A caller is about to take rules on, perhaps another's */
void confinement_note_restriction(struct confinement *confinement, const struct caller *caller);

/**
 * confinement_holds() - May this caller be under rules that we are not under?
 *
 * Return: false only if that is sure
 */
bool confinement_holds(struct confinement *confinement, const struct caller *caller);

#endif
