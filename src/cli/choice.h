/* choice: which engine serves a section's calls on this machine, and why; it serves none itself. */
#ifndef PORTFENCE_CLI_CHOICE_H
#define PORTFENCE_CLI_CHOICE_H

#include "../core/policy.h"

/* Calls between which the library makes a difference (assign.c). */
enum choice_call {
	CHOICE_CONNECT, /* over TCP */
	CHOICE_TCP,     /* other calls over TCP */
	CHOICE_UDP,
	CHOICE_SCTP,
	CHOICE_CALLS
};

#define CHOICE_WHY 256

struct choice {
	enum engine engine;   /* ENGINE_AUTO: none can, and every such call fails */
	char why[CHOICE_WHY]; /* what follows "as" */
};

/* choice_make() - Judge by what the system's range and reservations are now */
void choice_make(const struct rule *rule, enum choice_call call, struct choice *ret_choice);

/* choice_call_name() - "tcp_connect", "tcp", "udp" or "sctp" */
const char *choice_call_name(enum choice_call call);

/* choice_proto() - The protocol of a call */
enum proto choice_proto(enum choice_call call);

/* choice_engine_name() - "kernel", "bind" or "none" */
const char *choice_engine_name(enum engine engine);

#define CHOICE_TEXT (3 * CHOICE_WHY)

/* choice_describe() - One line for all calls */
void choice_describe(const struct rule *rule, char ret_text[CHOICE_TEXT]);

#endif
