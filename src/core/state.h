/* state: the state that an application's processes share; it decides nothing about ports. */
#ifndef PORTFENCE_CORE_STATE_H
#define PORTFENCE_CORE_STATE_H

#include "order.h"
#include "policy.h"
#include "siphash.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_MAGIC 0x636e656674726f70ULL /* "portfenc", least significant byte first */
#define STATE_VERSION 2
#define STATE_CLAIMS 4096
#define STATE_PEERS 16
#define STATE_OWN_CLAIMS_MOST 1024

/*
 * What the orders continue from. Every value is good: a cursor is reduced into
 * the range where it is used. Atomics only; relaxed order is enough, as no
 * value says anything about another.
 */
struct state_sequence {
	struct siphash_key key; /* written before the file gets its name, then never */
	_Atomic uint64_t draws; /* walks begun */
	_Atomic uint32_t next[PROTO_COUNT];
	uint32_t repeats; /* see state_make(); written as the key is */
	_Atomic uint32_t table[PROTO_COUNT][ORDER_TABLE_LENGTH];
};

/*
 * Ports that were in use when they were last tried, one bit each. Nobody tells
 * us when a port comes free, so this is no more than where not to look first.
 */
struct state_hints {
	_Atomic uint64_t bit[65536 / 64];
};

/* For one destination, where a port serves each destination once. */
struct state_peer {
	_Atomic uint64_t tag; /* hash of the destination; 0: nobody's */
	struct state_hints hints;
};

/* The state file. Fixed widths; read and written by all processes of one application and user. */
struct state_file {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	struct state_sequence sequence;
	_Atomic uint64_t claim[STATE_CLAIMS];
	struct state_hints exclusive_hints[PROTO_COUNT]; /* for ports that are not shared */
	struct state_peer peer[STATE_PEERS];
};

_Static_assert(sizeof(struct state_sequence) == 40 + 4 * PROTO_COUNT * ORDER_TABLE_LENGTH,
	       "the state file has no padding");
_Static_assert(sizeof(struct state_peer) == 8 + 65536 / 8, "nor there");
_Static_assert(offsetof(struct state_file, sequence) == 16 &&
		       offsetof(struct state_file, claim) == 16 + sizeof(struct state_sequence) &&
		       sizeof(struct state_sequence) % 8 == 0 &&
		       sizeof(struct state_file) ==
			       16 + sizeof(struct state_sequence) + 8 * STATE_CLAIMS +
				       PROTO_COUNT * sizeof(struct state_hints) +
				       STATE_PEERS * sizeof(struct state_peer),
	       "nor between them: programs of 32 and of 64 bits share the file");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics need no lock");

/* Claims that one process has taken for others, by their tags, and gives back for them. */
struct state_own_claims {
	unsigned count;
	uint64_t tag[STATE_OWN_CLAIMS_MOST];
};

/* Two pointers into shared mappings, set at start and then immutable. */
struct state {
	struct state_file *file;
	struct state_sequence *sequence; /* file->sequence, or one of this process's own if seeded */
	const struct state_own_claims
		*own_claims; /* claims that do not run out for this process, or NULL */
	bool repeats;        /* the file is one that state_make() has made of this seed */
	const char *warning; /* the user is to be told it once: why no file is used; or NULL */
};

/**
 * state_open() - Map an application's state
 * @folder:	`state` of the configuration, or NULL for the user's own folder
 * @runtime:	XDG_RUNTIME_DIR, or NULL
 * @rule:	its name names the file; its seed makes cursors private, but for a file of
 *		state_make()
 * @ret_state:	always usable: where no file can be had, the mapping is shared with forked
 *		children only, and @ret_state->warning says why
 *
 * Nothing stays open. Return: 0, -ENOMEM.
 */
int state_open(const char *folder, const char *runtime, const struct rule *rule,
	       struct state *ret_state);

/**
 * state_folder() - Open the folder of the state files, making it where it is not there
 * @folder, @runtime:	as above
 * @ret_squatted:	set to true if something stands in the place of the user's own folder
 *
 * State files are called APPLICATION.USER, the user as a number, and none begins with a dot.
 *
 * Return: descriptor to close, -EPERM if others may change what is in it, another -errno
 */
int state_folder(const char *folder, const char *runtime, bool *ret_squatted);

/**
 * state_application() - The application that a state file is for
 * @name:		the file's name, without its folder
 * @ret_application:	untouched if it is not the name of a state file
 */
void state_application(const char *name, char ret_application[NAME_MAX + 1]);

/**
 * state_make() - Make the state file of one run, whose ports are to be those of every other
 * @folder:	its own folder, where there is no such file yet
 * @rule:	its name names the file, and its seed makes the key
 *
 * Whoever maps the file goes on in the one sequence that is in it, from its beginning. What
 * comes of it must not depend on the time: neither hints nor claims shift it.
 *
 * Return: 0 or -errno
 */
int state_make(int folder, const struct rule *rule);

/**
 * state_claim() - Claim a tuple for a moment
 * @tag:	hash of what is claimed
 *
 * Between the check that a tuple is free and the kernel's registering it,
 * nobody else under the fence may pass the same check. A claim runs out by
 * itself, so a crash leaves nothing to clean up. Those in @state->own_claims do not,
 * as long as they stand there.
 *
 * Return: 0, or -EBUSY if another caller holds it. Where @state->repeats, it waits for
 * that one, so that the kernel is asked whatever came of it
 */
int state_claim(const struct state *state, uint64_t tag);

/* state_renew() - Let a claim run out later, unless another has taken its place */
void state_renew(const struct state *state, uint64_t tag);

/* state_release() - Give a claim back */
void state_release(const struct state *state, uint64_t tag);

/**
 * state_peer() - What is known of the ports towards a destination
 * @tag:	hash of the destination
 *
 * Return: NULL if nothing is
 */
struct state_hints *state_peer(const struct state *state, uint64_t tag);

/* state_take_peer() - Room for it, taken from another destination where there is no more */
struct state_hints *state_take_peer(const struct state *state, uint64_t tag);

/* state_hint() - Was this port in use when it was last tried? */
bool state_hint(const struct state_hints *hints, uint16_t port);

/* state_set_hint() - It was */
void state_set_hint(struct state_hints *hints, uint16_t port);

/* state_clear_hints() - It was not, and so may be those around it */
void state_clear_hints(struct state_hints *hints, uint16_t port);

#endif
