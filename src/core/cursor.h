/* cursor: the state that an application's processes share; it decides nothing about ports. */
#ifndef PORTFENCE_CORE_CURSOR_H
#define PORTFENCE_CORE_CURSOR_H

#include "order.h"
#include "policy.h"
#include "siphash.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define CURSOR_MAGIC 0x636e656674726f70ULL /* "portfenc", least significant byte first */
#define CURSOR_VERSION 1
#define CURSOR_CLAIMS 4096

/*
 * What the orders continue from. Every value is good: a cursor is reduced into
 * the range where it is used. Atomics only; relaxed order is enough, as no
 * value says anything about another.
 */
struct cursor_block {
	struct siphash_key key; /* written before the file gets its name, then never */
	_Atomic uint64_t draws; /* walks begun */
	_Atomic uint32_t next[PROTO_COUNT];
	uint32_t unused;
	_Atomic uint32_t table[PROTO_COUNT][ORDER_TABLE_LENGTH];
};

/* The state file. Fixed widths; read and written by all processes of one application and user. */
struct cursor_file {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	struct cursor_block block;
	_Atomic uint64_t claim[CURSOR_CLAIMS];
};

_Static_assert(sizeof(struct cursor_block) == 40 + 4 * PROTO_COUNT * ORDER_TABLE_LENGTH,
	       "the state file has no padding");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics need no lock");

/* Two pointers into shared mappings, set at start and then immutable. */
struct cursor {
	struct cursor_file *file;
	struct cursor_block *block; /* file->block, or one of this process's own if seeded */
	const char *trouble;        /* why the state is private to this process, or NULL */
};

/**
 * cursor_open() - Map an application's state
 * @folder:	`state` of the configuration, or NULL for the user's own folder
 * @runtime:	XDG_RUNTIME_DIR, or NULL
 * @rule:	its name names the file; its seed makes cursors private
 * @ret_cursor:	always usable: where no file can be had, the mapping is shared with forked
 *		children only, and @ret_cursor->trouble says why
 *
 * Nothing stays open. Return: 0, -ENOMEM.
 */
int cursor_open(const char *folder, const char *runtime, const struct rule *rule,
		struct cursor *ret_cursor);

/**
 * cursor_claim() - Claim a tuple for a moment
 * @tag:	hash of what is claimed
 *
 * Between the check that a tuple is free and the kernel's registering it,
 * nobody else under the fence may pass the same check. A claim runs out by
 * itself, so a crash leaves nothing to clean up.
 *
 * Return: 0, or -EBUSY if another caller holds it
 */
int cursor_claim(const struct cursor *cursor, uint64_t tag);

/* cursor_release() - Give a claim back */
void cursor_release(const struct cursor *cursor, uint64_t tag);

#endif
