/* policy: the rules as immutable data, and which of them is for a process; it reads no file. */
#ifndef PORTFENCE_CORE_POLICY_H
#define PORTFENCE_CORE_POLICY_H

#include "order.h"
#include "portmap.h"
#include "range.h"
#include "slices.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262 /* include/uapi/linux/in.h */
#endif

/* A protocol, as the configuration tells them apart: MPTCP is TCP, UDP-Lite is UDP. */
enum proto { PROTO_TCP, PROTO_UDP, PROTO_SCTP, PROTO_COUNT };

/* Of each choice, zero is the default. */
enum bind_policy { BIND_ALLOW, BIND_OWN, BIND_DENY, BIND_MOVE };

enum exhausted { EXHAUSTED_FAIL, EXHAUSTED_SYSTEM };

enum engine { ENGINE_AUTO, ENGINE_KERNEL, ENGINE_BIND };

/* How `portfence run` reaches a program; a plain preload has nothing to choose. */
enum via { VIA_AUTO, VIA_PRELOAD, VIA_SUPERVISE, VIA_BOTH };

enum io_uring { IO_URING_DENY, IO_URING_ALLOW };

/* What becomes of an MPTCP socket whose further subflows would leave the range, see mptcp.h. */
enum mptcp { MPTCP_TCP, MPTCP_REFUSE, MPTCP_ALLOW };

/* How the configuration names them, by value; each ends with NULL */
extern const char *const policy_bind_names[];
extern const char *const policy_exhausted_names[];
extern const char *const policy_engine_names[];
extern const char *const policy_via_names[];
extern const char *const policy_io_uring_names[];
extern const char *const policy_mptcp_names[];

/* policy_engine_name() - Which engine has served: "kernel", "bind", or "none" for ENGINE_AUTO */
const char *policy_engine_name(enum engine engine);

/* One section. Immutable once read; strings and ranges live as long as its arena. */
struct rule {
	const char *name;
	const char *match; /* globs, separated by commas; NULL if not given */
	const char *args;  /* globs on the command line; NULL if not given */
	const struct range *range[PROTO_COUNT];
	const struct portmap *map; /* NULL: none. Once it is placed, the ranges lack its ports */
	const struct range *move;  /* ports that BIND_MOVE is about; NULL: all that need no right */
	enum order order;
	enum bind_policy bind;
	enum exhausted exhausted;
	enum engine engine;
	enum via via;
	enum io_uring io_uring; /* for a supervisor: a preload does not see these calls */
	enum mptcp mptcp;
	bool seeded;
	unsigned sliced; /* ranges that go by the host's index, by bit: as in range_line */
	uint64_t seed;
	/*
	 * How many ports each `portfence run` leases for itself; the ranges are the pool then.
	 * 0: the ranges are the rule's own
	 */
	uint32_t lease;
	const char *file;                     /* that the section stands in, NULL if in none */
	unsigned line;                        /* of the section's header, 0 if it has none */
	unsigned match_line;                  /* of `match`, 0 if it is not given */
	unsigned range_line[PROTO_COUNT + 1]; /* by protocol, and of `range` itself; 0 if not given */
};

/* One configuration file. */
struct policy {
	const char *file;
	const char *const
		*files;    /* it and its drop-ins, as far as they exist; NULL if not read here */
	const char *log;   /* NULL if not given */
	const char *state; /* NULL if not given */
	const struct slices_host *hosts; /* the section [hosts]; NULL if there is none */
	const char *lease_file;          /* one for all users; NULL if not given */
	const struct range *pool;        /* of leases; NULL if neither given nor needed */
	bool pool_sliced;                /* it goes by the host's index */
	uint32_t lease;                  /* ports of one; 0 if not given */
	bool no_warning;           /* `run` is not to warn of what no supervisor fences here */
	const struct rule **rules; /* in the file's order */
	size_t count;
};

/* What is known about a process. Any member may be NULL. */
struct policy_process {
	const char *exe;        /* resolved path of the executable */
	const char *started_as; /* the path that was executed: it may be a symlink or a script */
	const char *args;       /* command line, joined by blanks */
	/*
	 * It is another process, whose variables may name any file as its configuration. All but
	 * @known_file, which may be NULL, are then opened with care: see conf_load()
	 */
	bool foreign;
	const char *known_file;
};

/**
 * policy_match() - Do a rule's `match` and `args` fit a process?
 *
 * A glob with a slash is compared with whole paths, a glob without one with names.
 * A rule with neither key fits the program that has the rule's name.
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

/* The longest glob of a list; conf refuses longer ones */
#define POLICY_GLOB_MAX 4096

/**
 * policy_next_glob() - Step through a list of globs such as "/opt/erp/bin/<all>, erpd"
 * @list:	moves on
 * @ret_glob:	without the blanks around it; "" for an empty item, and for one that is too long
 *
 * Return: false at the end
 */
bool policy_next_glob(const char **list, char ret_glob[POLICY_GLOB_MAX]);

/* policy_holds() - Is a port in the rule's range, or does it stand for another in the rule's map? */
bool policy_holds(const struct rule *rule, enum proto proto, uint16_t port);

/* policy_file() - The file that a rule stands in: the configuration's own, or a drop-in; NULL if there is none */
const char *policy_file(const struct policy *policy, const struct rule *rule);

/* policy_uses_args() - Does any rule look at the command line? */
bool policy_uses_args(const struct policy *policy);

/* policy_base_name() - What follows the last slash of a path */
const char *policy_base_name(const char *path);

/* policy_proto() - From a socket's protocol (SO_PROTOCOL); PROTO_COUNT if it is not one that we fence */
enum proto policy_proto(int protocol);

/* policy_proto_name() - "tcp", "udp" or "sctp" */
const char *policy_proto_name(enum proto proto);

/**
 * policy_warnings() - Tell what is allowed in a rule but may be a mistake
 * @policy:	the other rules; NULL if there is no file
 * @port_start:	lowest port that needs no privilege (ip_unprivileged_port_start), 0 if privileged
 * @tell:	called with each warning, one line without a full stop
 */
void policy_warnings(const struct policy *policy, const struct rule *rule, unsigned port_start,
		     void (*tell)(void *context, const char *warning), void *context);

#endif
