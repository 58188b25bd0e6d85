/* key: the keys of a section in one table, and what their values mean; it knows no file and no line. */
#ifndef PORTFENCE_CORE_KEY_H
#define PORTFENCE_CORE_KEY_H

#include "arena.h"
#include "policy.h"
#include "reason.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * To add a key, add
 *
 *  1. its row to KEY_LIST, and its member to struct rule (policy.h): zero is the default. A choice
 *     also needs an enum and the names of its values there;
 *  2. the code that acts on the member;
 *  3. its entry in src/man/portfence.ini.5;
 *  4. its test: test/unit/conf.c for the value, test/rules.bats for what it does.
 *
 * All else goes by this list: conf reads the key and names it in messages, handover passes it on to
 * every process of a tree, and unit tests try each row.
 *
 * If an option and a variable are to override the key, add a row to KEY_OVERRIDES and one to
 * VARIABLES_LIST (variables.h). Then settings, the options of run, env and which, their --help,
 * the completion and the messages know them.
 *
 * X(ID, NAME, TYPE, MEMBER, HANDED, CHOICES, VALUES)
 *   ID       as in KEY_ID
 *   NAME     as in the file
 *   TYPE     of enum key_type, without its prefix
 *   MEMBER   of struct rule
 *   HANDED   whether handover passes it on: a process under the fence needs it
 *   CHOICES  the names of the values of a choice, else NULL
 *   VALUES   for messages: what may be written, if it is no choice
 */
#define KEY_LIST(X)                                                                                \
	X(MATCH, "match", GLOBS, match, false, NULL, "names or paths of programs")                 \
	X(ARGS, "args", GLOBS, args, false, NULL, "globs for the command line")                    \
	X(RANGE, "range", RANGE, range[PROTO_TCP], true, NULL, "ports such as 20000-20999")        \
	X(TCP_RANGE, "tcp.range", PROTO_RANGE, range[PROTO_TCP], false, NULL,                      \
	  "ports such as 20000-20999")                                                             \
	X(UDP_RANGE, "udp.range", PROTO_RANGE, range[PROTO_UDP], true, NULL,                       \
	  "ports such as 20000-20999")                                                             \
	X(SCTP_RANGE, "sctp.range", PROTO_RANGE, range[PROTO_SCTP], true, NULL,                    \
	  "ports such as 20000-20999")                                                             \
	X(EXCLUDE, "exclude", EXCLUDE, range, false, NULL, "ports such as 20080, or services")     \
	X(ORDER, "order", ORDER, order, true, NULL, "an order such as random")                     \
	X(SEED, "seed", SEED, seed, true, NULL, "a whole number")                                  \
	X(BIND, "bind", CHOICE, bind, true, policy_bind_names, NULL)                               \
	X(MOVE, "move", PORTS, move, true, NULL, "ports such as 1024-65535")                       \
	X(EXHAUSTED, "exhausted", CHOICE, exhausted, true, policy_exhausted_names, NULL)           \
	X(ENGINE, "engine", CHOICE, engine, true, policy_engine_names, NULL)                       \
	X(VIA, "via", CHOICE, via, false, policy_via_names, NULL)                                  \
	X(IO_URING, "io-uring", CHOICE, io_uring, false, policy_io_uring_names, NULL)              \
	X(MPTCP, "mptcp", CHOICE, mptcp, true, policy_mptcp_names, NULL)                           \
	X(MAP, "map", MAP, map, true, NULL, "the ports that the program insists on")

/*
 * The keys that a variable overrides, PORTFENCE_ID, and an option of run, env and which.
 *
 * X(ID, NAME, ARGUMENT, HELP): the option's name, and for --help the name of its argument and a text.
 */
#define KEY_OVERRIDES(X)                                                                               \
	X(RANGE, "range", "RANGE",                                                                     \
	  "use this range: first-last, first+count, a port, a preset, or a list")                      \
	X(ORDER, "order", "ORDER",                                                                     \
	  "auto, sequential, random, random-simple, hash, double-hash or random-increments")           \
	X(SEED, "seed", "N", "draw the same random numbers in every run")                              \
	X(MAP, "map", "PORTS",                                                                         \
	  "let COMMAND have these ports, such as 8080,5432, without taking them: it binds to others, " \
	  "of the range's end, and is shown its own; 8080? is moved only if another run or program has it")

#define KEY_ENUM(id, ...) KEY_##id,
enum key { KEY_LIST(KEY_ENUM) KEY_COUNT };
#undef KEY_ENUM

enum key_type {
	KEY_TYPE_GLOBS,       /* a list, const char * */
	KEY_TYPE_RANGE,       /* a list of ports, for all protocols */
	KEY_TYPE_PROTO_RANGE, /* a list of ports, for one protocol */
	KEY_TYPE_EXCLUDE, /* a list of ports that the ranges lack; it has no member of its own */
	KEY_TYPE_ORDER,   /* enum order */
	KEY_TYPE_SEED,    /* uint64_t, and sets `seeded` */
	KEY_TYPE_CHOICE,  /* an enum whose names are in a table */
	KEY_TYPE_MAP,     /* a list, const struct portmap * */
	KEY_TYPE_PORTS, /* a list of ports that are none of the section's own, const struct range * */
};

struct key_row {
	const char *name;
	enum key_type type;
	size_t member; /* offset in struct rule */
	bool handed;
	const char *const *choices; /* ends with NULL; NULL if it is no choice */
	const char *values;         /* NULL for a choice */
};

/* By enum key */
extern const struct key_row key_table[KEY_COUNT];

/* key_find() - The key of a name, or KEY_COUNT */
enum key key_find(const char *name);

/* key_is_list() - Is a value a list, which may go on in the next line? */
bool key_is_list(enum key key);

/* key_is_ports() - Is a value a list of ports, which conf joins to the ranges of a section? */
bool key_is_ports(enum key key);

/* key_values() - What may be written, for messages: "allow, own, deny or move" */
void key_values(enum key key, struct reason *ret_values);

/* key_choice() - The value of a choice, as a number. The key's type is KEY_TYPE_CHOICE. */
unsigned key_choice(const struct rule *rule, enum key key);

/**
 * key_set() - Set a key of a rule, unless key_is_ports()
 * @text:	the value as it would be in the file
 * @ret_why:	on failure with -EINVAL, the problem
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int key_set(struct rule *rule, enum key key, const char *text, struct arena *arena,
	    struct reason *ret_why);

/**
 * key_override() - Set a key of a rule from the environment or the command line
 * @text:	the value as it would be in the file
 * @ret_why:	on failure with -EINVAL, the problem
 *
 * KEY_RANGE replaces the ranges of all protocols, and what was excluded.
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int key_override(struct rule *rule, enum key key, const char *text, struct arena *arena,
		 struct reason *ret_why);

/**
 * key_place_map() - Choose a port of the ranges for each port of a rule's map, and remove those ports
 *
 * Call it once, when nothing overrides the ranges any more. A rule without a map stays as it is.
 *
 * Return: 0, -EINVAL and the problem in @ret_why, -ENOMEM
 */
int key_place_map(struct rule *rule, struct arena *arena, struct reason *ret_why);

/**
 * key_range() - Read a range by itself
 * @ret_why:	on failure with -EINVAL, the problem
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int key_range(const char *text, struct arena *arena, const struct range **ret_range,
	      struct reason *ret_why);

/**
 * key_check() - Is a rule without contradiction?
 *
 * Return: 0, -EINVAL and the problem in @ret_why
 */
int key_check(const struct rule *rule, struct reason *ret_why);

/**
 * key_check_quotes() - Refuse a value, or an item of a list, that begins with a quote
 *
 * Nothing takes quotes off, so a glob in quotes would fit no program, without a word.
 *
 * Return: 0, -EINVAL and the problem in @ret_why
 */
int key_check_quotes(const char *text, struct reason *ret_why);

#endif
