/* lease_block: takes the block of ports that the command line asks for; it does not keep it. */
#ifndef PORTFENCE_CLI_LEASE_BLOCK_H
#define PORTFENCE_CLI_LEASE_BLOCK_H

#include "../core/arena.h"
#include "../core/settings.h"
#include "../machine/lease.h"
#include "../machine/lease_name.h"

#include <stdbool.h>
#include <stdint.h>

/* A block that is wanted. */
struct lease_block {
	uint32_t count;  /* of ports; 0: as many as the name had */
	uint32_t if_new; /* of ports, if @count is 0 and the name is new; 0: refuse that */
	char name[LEASE_NAME_MOST + 1]; /* "" if it has none */
	const struct range *pool;
	double seconds; /* to wait until a block is free */
	bool waits;     /* '--wait' was given */
	/*
	 * Sleeps for @ns between two tries. Return: false to give up at once. NULL: only sleep
	 */
	bool (*rest)(void *context, int64_t ns);
	void *context;
};

/* A block that was taken. It is held until the last copies of the descriptors are closed. */
struct lease_taken {
	struct lease entry;
	int fd;       /* of the lease file */
	int names_fd; /* of the file of names; -1 if the block has no name */
	struct lease_named named;
};

/* Each of these returns 0, or reports the problem on standard error and returns say_status(). */

/**
 * lease_block_settings() - Read the configuration that holds for leases of no program
 * @config:	path, NULL for the one that programs would find
 */
int lease_block_settings(const char *config, struct arena *arena, struct settings *ret_settings);

/**
 * lease_block_parse() - Read what options say of a block
 * @count:	of ports; they have to fit into the pool
 * @pool, @wait, @name: NULL if the option was not given
 */
int lease_block_parse(uint32_t count, const char *pool, const char *wait, const char *name,
		      const struct settings *settings, struct arena *arena,
		      struct lease_block *ret_block);

/**
 * lease_block_take() - Take the block, and tell others who has it
 * @taken:	its @entry says who; it gets the rest
 *
 * Where all are taken, the problem lists the holders.
 */
int lease_block_take(const struct lease_block *block, const struct settings *settings,
		     struct lease_taken *taken);

/* lease_block_publish() - Tell others anew who has the block, after @taken's entry has changed */
int lease_block_publish(const struct lease_taken *taken);

/* lease_block_holders() - List on standard error who holds the lease of a name */
void lease_block_holders(const struct settings *settings, const char *name);

#endif
