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
#define STATE_VERSION 4
#define STATE_CLAIMS 4096
#define STATE_PEERS 16
#define STATE_MOVED 256 /* ports, by their remainder */
#define STATE_OWN_CLAIMS_MOST 1024

/*
 * Where the orders continue. Every value is valid: a cursor is reduced into the range
 * when it is used. Only atomics; relaxed order is enough, as no value depends on
 * another.
 */
struct state_sequence {
	struct siphash_key key; /* written before the file gets its name, then never changed */
	_Atomic uint64_t draws; /* walks begun */
	_Atomic uint32_t next[PROTO_COUNT];
	uint32_t repeats; /* made by state_make(); written before the file gets its name */
	_Atomic uint32_t table[PROTO_COUNT][ORDER_TABLE_LENGTH];
};

/*
 * Ports that were in use when they were last tried, one bit each. Nothing clears the
 * bit when a port comes free, so a hint only says where not to look first.
 */
struct state_hints {
	_Atomic uint64_t bit[65536 / 64];
};

/* The hints for one destination, for ports that serve each destination once. */
struct state_peer {
	_Atomic uint64_t tag; /* hash of the destination; 0: not in use */
	struct state_hints hints;
};

/* What kept a call from a port of its range, as it is counted; OUTCOME_ values have the details. */
enum state_refusal {
	STATE_NO_PORT, /* the range had none left */
	STATE_SYSTEM_PORT, /* the same, and the call got a port of the system's (`exhausted = system`) */
	STATE_BIND,        /* an explicit bind that `bind =` does not allow */
	STATE_OTHER,
	STATE_REFUSALS
};

/* The state file. Fixed widths; read and written by all processes of one application and user. */
struct state_file {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	_Atomic uint64_t told; /* the run, by its gate, that was told of a lost right */
	struct state_sequence sequence;
	_Atomic uint64_t claim[STATE_CLAIMS];
	struct state_hints exclusive_hints[PROTO_COUNT]; /* for ports that are not shared */
	struct state_peer peer[STATE_PEERS];
	/* a port that was named, and in the lower half the one that was taken for it: see move.h */
	_Atomic uint32_t moved[PROTO_COUNT][STATE_MOVED];
	/* calls that were refused since the file was made; they only grow */
	_Atomic uint64_t refused[PROTO_COUNT][STATE_REFUSALS];
};

_Static_assert(sizeof(struct state_sequence) == 40 + 4 * PROTO_COUNT * ORDER_TABLE_LENGTH,
	       "the state file has no padding");
_Static_assert(sizeof(struct state_peer) == 8 + 65536 / 8, "the state file has no padding");
_Static_assert(offsetof(struct state_file, sequence) == 24 &&
		       offsetof(struct state_file, claim) == 24 + sizeof(struct state_sequence) &&
		       sizeof(struct state_sequence) % 8 == 0 &&
		       sizeof(struct state_file) ==
			       24 + sizeof(struct state_sequence) + 8 * STATE_CLAIMS +
				       PROTO_COUNT * sizeof(struct state_hints) +
				       STATE_PEERS * sizeof(struct state_peer) +
				       PROTO_COUNT * STATE_MOVED * sizeof(uint32_t) +
				       PROTO_COUNT * STATE_REFUSALS * sizeof(uint64_t),
	       "32-bit and 64-bit programs share the file, so it has no padding");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics need no lock");

/* The claims that one process holds for others, by tag: it has taken them, and releases them. */
struct state_own_claims {
	unsigned count;
	uint64_t tag[STATE_OWN_CLAIMS_MOST];
};

/* Pointers into shared mappings, set at start and then immutable. */
struct state {
	struct state_file *file;
	struct state_sequence *sequence; /* file->sequence; with a seed, this process's own */
	const struct state_own_claims
		*own_claims; /* NULL, or claims that do not expire for this process */
	bool repeats;        /* state_make() has made the file with this seed */
	const char *warning; /* the user is to be told it once: why no file is used; or NULL */
};

/**
 * state_open() - Map an application's state
 * @folder:	`state` of the configuration, or NULL for the user's own folder
 * @runtime:	XDG_RUNTIME_DIR, or NULL
 * @rule:	its name gives the file's name; its seed makes cursors private, unless
 *		state_make() has made the file
 * @ret_state:	always usable: without a file, the state is shared with forked children
 *		only, and @ret_state->warning says why
 *
 * No descriptor stays open. Return: 0, -ENOMEM.
 */
int state_open(const char *folder, const char *runtime, const struct rule *rule,
	       struct state *ret_state);

/* state_find() - Open the file that state_open() would map. Return: descriptor, or -errno; @ret_warning as there */
int state_find(const char *folder, const char *runtime, const struct rule *rule,
	       const char **ret_warning);

/**
 * state_use() - Map a state file that was opened already, for reading and writing
 * @fd:		it is closed; a negative one is none, and the state is this process's own then. One that
 *		others than this user can open is not used either
 *
 * Return: 0, -ENOMEM
 */
int state_use(int fd, const struct rule *rule, struct state *ret_state);

/* state_unshare() - From now on, this process and its children have a copy of their own. Other threads may use it */
void state_unshare(const struct state *state);

/* state_close() - Give the memory of a state back, which no other thread may use any more */
void state_close(struct state *state);

/* What is wrong with the user's own folder in /dev/shm? */
enum state_shm {
	STATE_SHM_NONE,     /* nothing that is told: it serves, or it is not there */
	STATE_SHM_FOREIGN,  /* /dev/shm belongs to another user namespace, so none is made there */
	STATE_SHM_SQUATTED, /* it is another user's, or others may change it */
	STATE_SHM_CLOSED,   /* it is this user's alone, but its mode keeps the user out */
};

/**
 * state_folder() - Open the folder of the state files, and make it if it does not exist
 * @folder, @runtime:	as for state_open()
 * @ret_shm:		set where no @folder is named
 *
 * A state file is called APPLICATION.USER, with the user as a number. No name begins with
 * a dot.
 *
 * Return: descriptor, -EPERM if other users may change files in the folder, another -errno
 */
int state_folder(const char *folder, const char *runtime, enum state_shm *ret_shm);

/**
 * state_application() - The application that a state file is for
 * @name:		the file's name, without its folder
 * @ret_application:	untouched if it is not the name of a state file
 */
void state_application(const char *name, char ret_application[NAME_MAX + 1]);

/**
 * state_make() - Make the state file of a run whose ports are to be the same each time
 * @folder:	the run's own folder, without such a file yet
 * @rule:	its name gives the file's name, and its seed the key
 *
 * All processes that map the file continue one sequence, from its beginning. The ports must
 * not depend on time: neither hints nor claims change the sequence.
 *
 * Return: 0 or -errno
 */
int state_make(int folder, const struct rule *rule);

/**
 * state_claim() - Claim a 4-tuple for a moment
 * @tag:	hash of the tuple
 *
 * From the check that a tuple is free until the kernel has registered it, no other
 * fenced caller may pass the same check. A claim expires by itself, so a crash leaves
 * nothing to clean up; the claims in @state->own_claims do not expire.
 *
 * Return: 0, or -EBUSY if another caller holds the claim. With @state->repeats it waits
 * for that caller first, so that the kernel decides whether the tuple is free
 */
int state_claim(const struct state *state, uint64_t tag);

/* state_renew() - Let a claim expire later, unless another claim has replaced it */
void state_renew(const struct state *state, uint64_t tag);

/* state_release() - Give up a claim */
void state_release(const struct state *state, uint64_t tag);

/**
 * state_peer() - The hints for ports towards a destination
 * @tag:	hash of the destination
 *
 * Return: NULL if there are none
 */
struct state_hints *state_peer(const struct state *state, uint64_t tag);

/**
 * state_take_peer() - The hints for ports towards a destination, made if there are none
 * @tag:	hash of the destination
 *
 * They may replace those for another destination.
 */
struct state_hints *state_take_peer(const struct state *state, uint64_t tag);

/* state_hint() - Was this port in use when it was last tried? */
bool state_hint(const struct state_hints *hints, uint16_t port);

/* state_set_hint() - Note that a port was in use */
void state_set_hint(struct state_hints *hints, uint16_t port);

/* state_clear_hints() - Forget the hints of a port that was free, and of its neighbours */
void state_clear_hints(struct state_hints *hints, uint16_t port);

#endif
