/* engine_choice: which engine serves a section's calls on this machine, and why; it serves none itself. */
#ifndef PORTFENCE_CLI_ENGINE_CHOICE_H
#define PORTFENCE_CLI_ENGINE_CHOICE_H

#include "../core/policy.h"

/* Calls between which the library makes a difference (assign.c). */
enum engine_choice_call {
	ENGINE_CHOICE_CONNECT, /* over TCP */
	ENGINE_CHOICE_TCP,     /* other calls over TCP */
	ENGINE_CHOICE_UDP,
	ENGINE_CHOICE_SCTP,
	ENGINE_CHOICE_CALLS
};

struct engine_choice {
	enum engine engine; /* ENGINE_AUTO: none can, and every such call fails */
	struct reason why;  /* what follows "as" */
};

/* engine_choice_make() - Judge by what the system's range and reservations are now */
void engine_choice_make(const struct rule *rule, enum engine_choice_call call,
			struct engine_choice *ret_choice);

/**
 * engine_choice_unserved() - Find a call that no engine serves, as with `engine = kernel` on some machines
 * @protos:	look at calls of these protocols only: bits by enum proto
 * @ret_proto:	the protocol of the first one
 * @ret_choice:	the reason
 *
 * Return: false if there is none
 */
bool engine_choice_unserved(const struct rule *rule, unsigned protos, enum proto *ret_proto,
			    struct engine_choice *ret_choice);

/* engine_choice_call_name() - "tcp_connect", "tcp", "udp" or "sctp" */
const char *engine_choice_call_name(enum engine_choice_call call);

/* engine_choice_proto() - The protocol of a call */
enum proto engine_choice_proto(enum engine_choice_call call);

#define ENGINE_CHOICE_TEXT (3 * sizeof(struct reason))

/* engine_choice_describe() - One line for all calls */
void engine_choice_describe(const struct rule *rule, char ret_text[ENGINE_CHOICE_TEXT]);

/* engine_choice_mptcp() - One line for MPTCP sockets. Return: do their further subflows stay in the range? */
bool engine_choice_mptcp(const struct rule *rule, char ret_text[ENGINE_CHOICE_TEXT]);

#endif
