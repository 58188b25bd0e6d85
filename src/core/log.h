/* log: writes lines to the log and the record; it waits for the record only, and allocates nothing. */
#ifndef PORTFENCE_CORE_LOG_H
#define PORTFENCE_CORE_LOG_H

#include "assign.h"
#include "log_destination.h"
#include "record.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_WARNINGS_MAX 8

/* What is said once in a process: the outcomes, by their numbers, and then these. */
enum log_topic {
	LOG_START = OUTCOME_COUNT, /* what was found doubtful at the start */
	LOG_PORT_KEPT,
	LOG_NAMED_OUTSIDE,
	LOG_ADDRESS_UNKNOWN,
	LOG_MPTCP,
	LOG_FILE_CLOSED, /* not told but seen: the log cannot be opened, or is another user's */
	LOG_FILE_CLOSED_TOLD,
	LOG_RECORD_LOST
};

struct log {
	const struct socket_calls *calls;
	struct log_destination destination;
	const char *application;
	struct record record; /* has a line for each assignment, whatever the destination is */
	int pid;              /* the process that the lines are about; 0: this one */
	int stderr_fd;        /* standard error of that process; -1 if it cannot be reached */
	uint64_t stderr_dev;  /* what standard error was at the start: a program may close it */
	uint64_t stderr_ino;  /* and get its number for another file */
	int file;             /* the log's file, open already; 0: it is opened for each line */
	bool verbose;         /* `run -v`: what a configured log says is said in any case */
	bool safe;            /* only root and this user can change where the log's path leads */
	const char *error;    /* the first mistake in the configuration, or NULL */
	const char *warning[LOG_WARNINGS_MAX]; /* found at the start, written with the first port */
	unsigned warnings;
	_Atomic unsigned told; /* topics that were written, by bit; only this member changes */
};

/**
 * log_start() - Note what standard error is now, and whether the log's path is safe
 * @destination:	as the configuration has it, or NULL
 */
void log_start(struct log *log, const char *destination);

/* log_open() - Open the log's file to add to it. Return: descriptor, -errno */
int log_open(const struct log *log);

/* log_is_on() - Does a line for each port go to the log? The record is another matter */
bool log_is_on(const struct log *log);

/**
 * log_local() - Find the socket's address for log_assign()
 *
 * The kernel may wait for the socket's lock (net/ipv4/af_inet.c, inet_getname).
 *
 * Return: @ret_local; NULL if there is none, or no line needs it
 */
const union addr *log_local(const struct log *log, const struct assign *assign,
			    union addr *ret_local);

/**
 * log_assign() - Write a line for an assignment that was made or failed, and the message for it once
 * @call:	name of the call
 * @local:	see log_local()
 *
 * Each line is one write, so that lines of several processes do not mix. If the write
 * would wait, the log drops the line; the record waits, see record_add(). May change
 * errno.
 */
void log_assign(struct log *log, const char *call, const struct assign *assign,
		const union addr *local);

/**
 * log_say() - Write a line with a message
 * @level:	"info", "warning" or "error"; "info" is only written if a destination is configured
 */
void log_say(struct log *log, const char *level, const char *message);

/* log_port_kept() - Say once that a port of a failed send could not be taken back */
void log_port_kept(struct log *log);

/**
 * log_named_outside() - Say once that the program has itself bound a socket to a port outside the range
 * @assign:	a bind that has succeeded
 *
 * Only where `bind = allow` lets it, and the log is on or the run is verbose.
 */
void log_named_outside(struct log *log, const struct rule *rule, const struct assign *assign);

/* log_address_unknown() - Say once that a call failed as the kernel does not say whether an address is local */
void log_address_unknown(struct log *log);

/* log_mptcp() - Say once what a program gets that asks for an MPTCP socket */
void log_mptcp(struct log *log, enum mptcp mptcp);

#endif
