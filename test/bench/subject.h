/* subject: what is compared: a worker process, plain or with something preloaded. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include "scene.h"

#include <stdint.h>

struct subject {
	char name[24];
	struct scene_process process;
	const char *rows; /* the rows that it can do, between blanks; NULL: all */
	bool may_fail;    /* it is somebody else's */
	bool dead;        /* it did */
};

/* What one batch took. */
struct subject_batch {
	int64_t ns;
	int64_t cpu_ns; /* of its threads or processes together, not of what they start */
	uint64_t operations;
	uint64_t errors;
	int error; /* errno of the first */
};

/*
 * All of these start a worker in a namespace (-1: ours), to be ended with
 * subject_stop(). A fenced one is asked for a port at once, and we die if that
 * is not in its range.
 */

/* subject_plain() - Nothing preloaded */
void subject_plain(struct subject *subject, const char *name, int netns);

/* subject_leasing() - Nothing preloaded, with a state folder of its own. Return: the folder, to be freed */
char *subject_leasing(struct subject *subject, const char *name);

/* subject_shim() - One of the bench's own shims preloaded; its name is the subject's */
void subject_shim(struct subject *subject, const char *name, int netns);

/*
 * subject_fenced() - Under portfence, by variables alone
 * @first: PLACE_INSIDE for the kernel engine, PLACE_OUTSIDE for the bind engine
 * @order: or NULL
 */
void subject_fenced(struct subject *subject, const char *name, int netns, unsigned first,
		    const char *order);

/*
 * subject_configured() - Under portfence, by a file whose last section is the worker's
 * @sections: how many the file has
 * @launched: by `portfence run`, not by LD_PRELOAD alone
 */
void subject_configured(struct subject *subject, const char *name, unsigned sections,
			bool launched);

/**
 * subject_launching() - Not fenced, but what it runs is launched
 * @launcher: as scene_built() has it
 * @sections: of the configuration
 */
void subject_launching(struct subject *subject, const char *name, const char *launcher,
		       unsigned sections);

/**
 * subject_supervised() - Under `portfence run --via supervise`, without any capability
 * @sandbox: behind this filter of test/probes/sandbox.c; or NULL
 */
void subject_supervised(struct subject *subject, const char *name, const char *sandbox);

/* A program that people preload for purposes like ours. */
struct subject_neighbour {
	const char *name;
	const char *pattern;        /* glob of its library */
	const char *variables[3];   /* in which %s stands for the temporary folder */
	const char *file, *content; /* written to the folder, or NULL */
	bool own_world;             /* it speaks only to what it wraps, too */
	const char *rows;           /* what it can do */
};

/* subject_neighbours() - All that we know of, up to one without a name */
const struct subject_neighbour *subject_neighbours(void);

/*
 * subject_neighbour_start() - Starts one
 * @server: filled where it needs a server of its own
 *
 * Return: false if it is not installed or does not run here
 */
bool subject_neighbour_start(struct subject *subject, const struct subject_neighbour *neighbour,
			     struct scene_process *server);

void subject_stop(struct subject *subject);

/* subject_can() - Can it do that row? */
bool subject_can(const struct subject *subject, const char *row);

/* subject_run() - One batch. Return: false if it gave no answer (only a neighbour may) */
bool subject_run(struct subject *subject, const char *row, uint64_t iterations, unsigned threads,
		 unsigned processes, struct subject_batch *ret_batch);

/* subject_parse() - The answer to a batch's command. Return: false if it is none */
bool subject_parse(const char *line, struct subject_batch *ret_batch);

#endif
