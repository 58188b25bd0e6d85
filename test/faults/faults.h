/* faults: what the injector, the scenes and the driver have in common. */
#ifndef PORTFENCE_TEST_FAULTS_H
#define PORTFENCE_TEST_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Answers that are no error. The kernel gives the first two; of netlink, none of the others. */
enum {
	FAULT_SHORT = -1, /* half of what was asked for */
	FAULT_ZERO = -2,
	FAULT_GARBAGE = -3,
	FAULT_LENGTH = -4,      /* a message of no length */
	FAULT_LONG = -5,        /* a message longer than what was received */
	FAULT_INTERRUPTED = -6, /* NLM_F_DUMP_INTR: a dump that is not of one moment */
};

#define REPORT_FD 200

enum {
	WRONG_DESCRIPTORS = 1,
	WRONG_MAPPINGS = 2,
	WRONG_OPTIONS = 4,
	WRONG_ERRNO = 8,
	WRONG_MASK = 16,
	WRONG_PEER = 32,
};

/* What became of one call */
struct record {
	char call[16];
	int32_t result;
	int32_t error;
	int32_t port; /* by getsockname(), 0 for none */
	uint32_t wrong;
};

struct scene {
	const char *name;
	const char *ini;         /* NULL: none */
	const char *environment; /* NAME=value, blanks between; @ is the work folder */
	unsigned flags;
	uint16_t first, last; /* the range */
	void (*body)(void);
};

enum {
	SCENE_NEW_STATE = 1,  /* the state file is not there yet */
	SCENE_HANDED = 2,     /* by `portfence run` */
	SCENE_RELATIVE = 4,   /* LD_PRELOAD */
	SCENE_TIME_WAIT = 8,  /* the kernel keeps it */
	SCENE_FULL_PIPE = 16, /* standard error is one, and nobody reads it */
};

/* Ends with an entry without a name. */
extern const struct scene scenes[];

const struct scene *scene_find(const char *name);

#endif
