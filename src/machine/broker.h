/* broker: programs whose sockets another process makes, one that may run already; it judges no socket. */
#ifndef PORTFENCE_MACHINE_BROKER_H
#define PORTFENCE_MACHINE_BROKER_H

#include "processes.h"

#include <stdbool.h>

/* A short table: there are more. What a fence is around is the process that makes the socket. */
struct broker {
	const char *clients; /* globs of their names, separated by commas */
	const char *server;  /* its name, as in /proc/PID/comm */
	bool listens;        /* only one that listens on a UNIX socket for them */
	const char *advice;  /* follows "; " */
};

/* broker_of() - The broker of a program, by its path or name; NULL if it has none that we know */
const struct broker *broker_of(const char *program);

/* broker_serves() - Is this the name of a broker? */
bool broker_serves(const char *name);

/* broker_is() - Is this process such a broker, of this user or root, and not fenced? */
bool broker_is(const struct broker *broker, pid_t pid);

/* broker_running() - Such a process; 0 if none is found */
pid_t broker_running(const struct broker *broker);

#endif
