/* born: the sockets that the supervisor has made, found again by their inode numbers; it gives out no port. */
#ifndef PORTFENCE_SUPERVISOR_BORN_H
#define PORTFENCE_SUPERVISOR_BORN_H

#include "reserve.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BORN_SOCKETS 16384
#define BORN_CHUNK 16384 /* inode numbers of one chunk, at two bits each */
#define BORN_CHUNKS (((uint64_t)UINT32_MAX + 1) / BORN_CHUNK)

/* A socket that has no port yet, and our duplicate of it. */
struct born_socket {
	uint64_t inode;
	int fd;             /* -1: this place is free */
	uid_t user;         /* whose it is */
	int next;           /* the next one in its list; -1: none */
	int next_bound;     /* the next one whose bind() went on; -1: none */
	int previous_bound; /* the one before it; -1: none */
	bool given;         /* the program has it */
	bool unseen;        /* the search that is made now has not found it in any process yet */
	bool bound;         /* its bind() went on */
	bool bound_late;    /* if that was to port 0, the port is still to be given */
	bool lingers;       /* of one that is to be closed: close(2) may wait */
	bool looked_at;     /* a thread looks at it now */
	uint64_t round;     /* the last that has passed it */
	unsigned looks;     /* left to find out whether that bind() has given it a port */
	uint64_t due;       /* the next of them, milliseconds */
};

/* Has this socket a port that the program has named? It takes back another one. */
typedef bool born_has_port(int fd, const void *context);

/* born_start() begins it. Every function may be called by several threads. */
struct born {
	pthread_mutex_t lock; /* of all that follows */
	struct born_socket socket[BORN_SOCKETS];
	int list[BORN_SOCKETS]; /* by inode number; -1: empty */
	int free;               /* the first free place */
	unsigned kept;
	struct reserve_users of_user; /* the same, by user */
	unsigned sweep_at;            /* so many kept sockets are looked for in all processes */
	int64_t sweep_from; /* and from then on, see timing_next_search(), those of a user who has no room */
	bool sweeping;  /* a search is made */
	int bound;      /* the first whose bind() went on; -1: none */
	int bound_last; /* the last of them */
	unsigned bounds;
	unsigned sweep_bound_at; /* so many of them are looked for in all processes */
	born_has_port *has_port;
	const void *context;          /* its */
	bool looking;                 /* there is a thread that looks */
	uint64_t looker;              /* its number: one that was there before is to end */
	uint64_t looks_at;            /* when it looks next, milliseconds */
	uint64_t looks;               /* made so far */
	uint64_t round;               /* of looks at bound sockets: the last that has begun */
	uint64_t round_of_all;        /* the last that is over and has looked at all, due or not */
	uint64_t wanted;              /* such a one is wanted, of this number or a higher one */
	pthread_cond_t asked;         /* the thread has something to do */
	pthread_cond_t looked_around; /* round_of_all is another one */
	/* By inode number, of all that ever were settled: SETTLED or EARLY, see born.c. A chunk is made when it is needed */
	uint8_t *settled[BORN_CHUNKS];
};

/* What is known of a socket. */
enum born_state {
	BORN_KEPT,    /* it has no port yet, and we have a duplicate */
	BORN_SETTLED, /* it needs no port from us any more */
	BORN_EARLY,   /* the same, and it got its port before the program asked for one */
	BORN_UNKNOWN
};

void born_start(struct born *born);

/* born_ask_by() - What says whether a socket has its port. To be called before the first bind(). @context: lasts for ever */
void born_ask_by(struct born *born, born_has_port *has_port, const void *context);

/**
 * born_keep() - Keep a socket until it has a port
 * @fd:		ours from now on
 * @ret_inode:	its number
 *
 * To be called before the program can have it. Return: 0, -ENFILE if too few are left for another one of the same user
 */
int born_keep(struct born *born, int fd, uint64_t *ret_inode);

/* born_give() - The program is about to have it */
void born_give(struct born *born, uint64_t inode);

/**
 * born_find() - What is known of a socket?
 * @ret_fd:	of one that is kept, a descriptor for the caller to close
 * @ret_late:	see born_note_bind()
 */
enum born_state born_find(struct born *born, uint64_t inode, int *ret_fd, bool *ret_late);

/**
 * born_note_bind() - The kernel goes on with its bind()
 * @late:	IP_BIND_ADDRESS_NO_PORT is set by us, so a bind() to port 0 gives no port yet
 */
void born_note_bind(struct born *born, uint64_t inode, bool late);

/**
 * born_settle() - A socket needs us no more: close the duplicate, and remember it
 * @early:	it has a port that the program has not asked for
 */
void born_settle(struct born *born, uint64_t inode, bool early);

/* born_drop() - Close the duplicate, and forget the socket */
void born_drop(struct born *born, uint64_t inode);

/**
 * born_look_at_all() - Settle the sockets whose bind() has given them a port
 *
 * A duplicate would keep the port from others after the program has closed the socket. So sockets are looked at some time
 * after their bind(). The kernel may be late with it, so they are looked at again, after longer and longer. This function
 * is for a call that cannot wait for that. It waits for 20 milliseconds at most.
 */
void born_look_at_all(struct born *born);

#endif
