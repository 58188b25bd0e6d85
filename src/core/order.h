/* order: the sequences in which ports are tried; it makes no system call. */
#ifndef PORTFENCE_CORE_ORDER_H
#define PORTFENCE_CORE_ORDER_H

#include "siphash.h"

#include <stdbool.h>
#include <stdint.h>

enum order {
	ORDER_AUTO,              /* assign chooses one of the others */
	ORDER_SEQUENTIAL,        /* the last port plus one, as BSD did */
	ORDER_RANDOM,            /* RFC 6056 section 3.3.1, Algorithm 1 */
	ORDER_RANDOM_SIMPLE,     /* RFC 6056 section 3.3.2, Algorithm 2 */
	ORDER_HASH,              /* RFC 6056 section 3.3.3, Algorithm 3 */
	ORDER_DOUBLE_HASH,       /* RFC 6056 section 3.3.4, Algorithm 4 */
	ORDER_RANDOM_INCREMENTS, /* RFC 6056 section 3.3.5, Algorithm 5 */
	ORDER_COUNT
};

/* TABLE_LENGTH of Algorithm 4, a power of two */
#define ORDER_TABLE_LENGTH 256
/* N of Algorithm 5, the value that the RFC suggests */
#define ORDER_INCREMENT_MAX 500

/* What the hash orders hash: addresses in the form of addr_bytes(), port in host byte order. */
struct order_flow {
	uint8_t local[16];
	uint8_t remote[16];
	uint16_t remote_port;
};

/* One walk over the indexes 0 to count - 1 of a range. Plain data, which may be copied. */
struct order_walk {
	enum order order;
	uint32_t count;  /* num_ephemeral of the RFC; of this half alone if the other follows */
	uint32_t rest;   /* so many indexes of the other half follow */
	bool halves;     /* the walk takes odd indexes, then even ones, or the other way round */
	bool odd;        /* it is in its odd half */
	bool in_rounds;  /* see order_in_rounds() */
	uint32_t step;   /* indexes given so far */
	uint64_t from;   /* @at at the start */
	uint64_t at;     /* next_ephemeral of the RFC, plus the offset if the algorithm has one */
	uint64_t draw;   /* number of this walk's own part of the random sequence */
	uint64_t rounds; /* key of the order that order_in_rounds() has */
	struct siphash_key key;
};

/* order_parse() - Find an order by its name. Return: it, or -1 */
int order_parse(const char *name);

/* order_name() - The name of an order */
const char *order_name(enum order order);

/* order_names() - All names, separated by commas, for messages */
const char *order_names(void);

/* order_has_cursor() - Does the order continue where the last assignment stopped? */
bool order_has_cursor(enum order order);

/**
 * order_table_index() - G() of Algorithm 4: the index of the cursor for this flow
 *
 * Return: 0 to ORDER_TABLE_LENGTH - 1
 */
uint32_t order_table_index(const struct siphash_key *key, const struct order_flow *flow);

/**
 * order_start() - Begin a walk
 * @order:	any but ORDER_AUTO
 * @count:	number of ports in the range, at least 1
 * @cursor:	how far earlier walks came; ignored by orders without a cursor
 * @draw:	number of this walk; with the same key and number, walks draw the same
 * @key:	secret key of the hashes and the random sequence
 * @flow:	what the hash orders hash
 */
void order_start(struct order_walk *walk, enum order order, uint32_t count, uint32_t cursor,
		 uint64_t draw, const struct siphash_key *key, const struct order_flow *flow);

/**
 * order_halves() - Walk over the odd indexes first and then over the even ones, or the other way round
 *
 * Linux takes ports for connections, which share ports, from the even ones first, and
 * for sockets that need a port for themselves from the odd ones. So neither kind uses
 * up the ports of the other (net/ipv4/inet_connection_sock.c, inet_csk_find_open_port;
 * net/ipv4/inet_hashtables.c, __inet_hash_connect), and a port that a program has found
 * free and given back is not taken by a connection.
 */
void order_halves(struct order_walk *walk, bool odd_first);

/**
 * order_in_rounds() - Take each index once before one comes again, in an order that the key decides
 * @cursor:	how far earlier walks came
 *
 * Call it after order_start() with ORDER_RANDOM. So a port that was given back is the
 * last to be given again.
 */
void order_in_rounds(struct order_walk *walk, uint32_t cursor);

/**
 * order_next() - The next index of a walk
 * @ret_index:	0 to count - 1
 *
 * Every index comes up at least once, so that a free port is always found. The RFC's
 * algorithms 2 and 5 draw with replacement and may miss some: after their last draw,
 * all indexes follow.
 *
 * Return: true, or false when the walk is over
 */
bool order_next(struct order_walk *walk, uint32_t *ret_index);

/**
 * order_advance() - How far a walk has taken its cursor
 *
 * Return: what to add to the cursor that the walk began with
 */
uint32_t order_advance(const struct order_walk *walk);

#endif
