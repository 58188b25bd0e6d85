/* policy: the rules as immutable data, and which of them is a process's own; it reads no file. */
#ifndef PORTFENCE_CORE_POLICY_H
#define PORTFENCE_CORE_POLICY_H

#include "order.h"
#include "portmap.h"
#include "range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A protocol, as the configuration tells them apart: MPTCP is TCP, UDP-Lite is UDP. */
enum proto { PROTO_TCP, PROTO_UDP, PROTO_SCTP, PROTO_COUNT };

enum bind_policy { BIND_ALLOW, BIND_OWN, BIND_DENY };

enum exhausted { EXHAUSTED_FAIL, EXHAUSTED_SYSTEM };

enum engine { ENGINE_AUTO, ENGINE_KERNEL, ENGINE_BIND };

/* How `portfence run` reaches a program; a plain preload has nothing to choose. */
enum via { VIA_AUTO, VIA_PRELOAD, VIA_SUPERVISE, VIA_BOTH };

/* One section. Immutable once read; strings and ranges live as long as its arena. */
struct rule {
	const char *name;
	const char *match; /* globs, separated by commas; NULL if not given */
	const char *args;  /* globs on the command line; NULL if not given */
	const struct range *range[PROTO_COUNT];
	const struct portmap *map; /* NULL: none; its ports are not in the ranges once it is placed */
	enum order order;
	enum bind_policy bind;
	enum exhausted exhausted;
	enum engine engine;
	enum via via;
	bool io_uring; /* a supervisor lets it be */
	bool seeded;
	uint64_t seed;
	/*
	 * Ports of the block that each `portfence run` takes for itself out of the range, which
	 * is the pool then; 0: the range is the rule's own
	 */
	uint32_t lease;
	unsigned line;                        /* of the section's header, 0 if it has none */
	unsigned match_line;                  /* 0 if not given; likewise below */
	unsigned range_line[PROTO_COUNT + 1]; /* by protocol, and of `range` itself */
};

/* One configuration file. */
struct policy {
	const char *file;
	const char *log;           /* NULL if not given */
	const char *state;         /* NULL if not given */
	const char *lease_file;    /* that all users share; NULL if not given */
	const struct range *pool;  /* of leases; NULL if neither given nor needed */
	uint32_t lease;            /* ports of one; 0 if not given */
	const struct rule **rules; /* in the file's order */
	size_t count;
};

/* What is known of a process. Any member may be NULL. */
struct policy_process {
	const char *exe;        /* resolved path of the executable */
	const char *started_as; /* the path that it was started by: a symlink's or a script's own */
	const char *args;       /* command line, joined by blanks */
};

/**
 * policy_match() - Does a rule's `match` and `args` fit a process?
 *
 * A glob with a slash is held against whole paths, one without against names.
 * A rule with neither key matches by its own name.
 */
bool policy_match(const struct rule *rule, const struct policy_process *process);

/**
 * policy_select() - The first rule that matches, else the rule "*"
 *
 * Return: NULL if the process is to be left alone
 */
const struct rule *policy_select(const struct policy *policy, const struct policy_process *process);

/* policy_find() - The rule of a name, or NULL */
const struct rule *policy_find(const struct policy *policy, const char *name);

/* policy_holds() - Is the port of the rule's range, or does its map put it in the place of another? */
bool policy_holds(const struct rule *rule, enum proto proto, uint16_t port);

/* policy_uses_args() - Does any rule look at the command line? */
bool policy_uses_args(const struct policy *policy);

/* policy_base_name() - What follows the last slash of a path */
const char *policy_base_name(const char *path);

/* policy_via_name() - As the configuration has it */
const char *policy_via_name(enum via via);

/* policy_proto() - Which of them a socket's protocol (SO_PROTOCOL) is; PROTO_COUNT if it is not fenced */
enum proto policy_proto(int protocol);

/* policy_proto_name() - "tcp", "udp" or "sctp" */
const char *policy_proto_name(enum proto proto);

/**
 * policy_warnings() - Tell what is doubtful in a rule, though no error
 * @policy:	the other rules; NULL if there is no file
 * @port_start:	lowest port that needs no privilege (ip_unprivileged_port_start), 0 if privileged
 * @tell:	called with each warning, one line without a full stop
 */
void policy_warnings(const struct policy *policy, const struct rule *rule, unsigned port_start,
		     void (*tell)(void *context, const char *warning), void *context);

#endif
