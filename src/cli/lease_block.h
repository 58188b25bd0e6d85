/* lease_block: takes the block of ports that the command line asks for; it does not keep it. */
#ifndef PORTFENCE_CLI_LEASE_BLOCK_H
#define PORTFENCE_CLI_LEASE_BLOCK_H

#include "../core/arena.h"
#include "../core/settings.h"
#include "../machine/lease.h"

#include <stdbool.h>
#include <stdint.h>

/* A block that is wanted. */
struct lease_block {
	uint32_t count; /* of ports */
	const struct range *pool;
	double seconds; /* to wait until a block is free */
	bool waits;     /* '--wait' was given */
	/*
	 * Sleeps for @ns between two tries. Return: false to give up at once. NULL: only sleep
	 */
	bool (*rest)(void *context, int64_t ns);
	void *context;
};

/* Each of these returns 0, or reports the problem on standard error and returns say_status(). */

/**
 * lease_block_settings() - Read the configuration that holds for leases of no program
 * @config:	path, NULL for the one that programs would find
 */
int lease_block_settings(const char *config, struct arena *arena, struct settings *ret_settings);

/**
 * lease_block_parse() - Read what '--pool' and '--wait' say of a block
 * @count:	of ports; they have to fit into the pool
 * @pool, @wait: NULL if the option was not given
 */
int lease_block_parse(uint32_t count, const char *pool, const char *wait,
		      const struct settings *settings, struct arena *arena,
		      struct lease_block *ret_block);

/**
 * lease_block_take() - Take the block; where all are taken, the problem lists the holders
 * @fd:		of lease_open()
 * @entry:	gets its ports
 */
int lease_block_take(const struct lease_block *block, int fd, struct lease *entry);

/* lease_block_publish() - Tell others who has it */
int lease_block_publish(int fd, const struct lease *entry);

#endif
