/* settings: which configuration and which rule are a process's own; it gives out no port. */
#ifndef PORTFENCE_CORE_SETTINGS_H
#define PORTFENCE_CORE_SETTINGS_H

#include "arena.h"
#include "conf.h"
#include "policy.h"
#include "record.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_SYSTEM_FILE "/etc/portfence.ini"

/* What applies to one process. Strings live as long as the arena. */
struct settings {
	struct policy policy;    /* policy.file is NULL if there is no file */
	const struct rule *rule; /* NULL: the process is left alone */
	const char *log;         /* destination; NULL: warnings on standard error */
	const char *state;       /* folder; NULL: the user's own */
	const char *runtime;     /* XDG_RUNTIME_DIR, or NULL */
	struct record record;    /* with the ports of PORTFENCE_FIRST to _LAST as its block */
	bool verbose;            /* `portfence run -v` */
	uint64_t gate;           /* page whose calls a supervisor's filter lets pass; 0: none */
	uint64_t tracer;       /* process that each one has to name with PR_SET_PTRACER; 0: none */
	uint64_t tracer_space; /* number of its PID namespace, as stat(2) shows it */
	bool taken_over;       /* `portfence run` has found all this */
	bool unseen;           /* the supervisor may not look into programs */
};

/**
 * settings_load() - Find and read what applies to a process
 * @process:	the process, NULL for this one
 * @error:	called with each error; for one in the environment, with the variable as file
 *
 * File: PORTFENCE_CONFIG, else portfence.ini under XDG_CONFIG_HOME (~/.config), else
 * SETTINGS_SYSTEM_FILE. Rule: PORTFENCE_APP, else the first that matches. Then
 * PORTFENCE_RANGE, _ORDER, _SEED, _LOG, _STATE and _RECORD override. An empty variable counts as
 * not set. In a setuid program the environment is ignored. For this process, what
 * `portfence run` has handed over stands for all of it.
 *
 * Return: 0; -EINVAL or another -errno if there is a mistake (@error was called)
 */
int settings_load(const struct policy_process *process, struct arena *arena, conf_error_fn *error,
		  void *context, struct settings *ret_settings);

/**
 * settings_unprivileged_port() - Lowest port that a process without privilege may bind to
 *
 * Source: ip-sysctl.rst, ip_unprivileged_port_start. Return: 1024, its default, if it cannot be read
 */
unsigned settings_unprivileged_port(void);

/* settings_port_start() - Lowest port that this process may bind to; 0 if it may bind to all */
unsigned settings_port_start(void);

#endif
