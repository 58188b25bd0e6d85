/* born: the sockets that the supervisor has made, found again by their inode numbers; it gives out no port. */
#ifndef PORTFENCE_SUPERVISOR_BORN_H
#define PORTFENCE_SUPERVISOR_BORN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define BORN_SOCKETS 16384
#define BORN_REMEMBERED 65536
#define BORN_LOOK_MS 2

/* A socket that has no port yet, and our duplicate of it. */
struct born_socket {
	uint64_t inode;
	int fd;        /* -1: this place is free */
	int next;      /* the next one in its list; -1: none */
	int next_late; /* the next one that is bound late; -1: none */
	bool given;    /* the program has it */
	bool bound_late; /* its bind() went on; if that was to port 0, the port is still to be given */
	unsigned looks; /* left to find out whether that bind() has given it a port */
};

/* born_start() begins it. Every function may be called by several threads. */
struct born {
	pthread_mutex_t lock; /* of all that follows */
	struct born_socket socket[BORN_SOCKETS];
	int list[BORN_SOCKETS]; /* by inode number; -1: empty */
	int free;               /* the first free place */
	unsigned kept;
	unsigned sweep_at; /* so many kept sockets are looked for in all processes */
	int late;          /* the first that is bound late; -1: none */
	unsigned looking;  /* sockets with looks left */
	uint64_t looked;   /* when they were last looked at, milliseconds */
	uint64_t settled[BORN_REMEMBERED];
};

/* What is known of a socket. */
enum born_state {
	BORN_KEPT,    /* it has no port yet, and we have a duplicate */
	BORN_SETTLED, /* it needs no port from us any more */
	BORN_EARLY,   /* the same, and it got its port before the program asked for one */
	BORN_UNKNOWN
};

void born_start(struct born *born);

/**
 * born_keep() - Keep a socket until it has a port
 * @fd:		ours from now on
 *
 * To be called before the program can have it. Return: 0, -ENFILE if there is no place left
 */
int born_keep(struct born *born, int fd);

/* born_give() - The program is about to have it */
void born_give(struct born *born, uint64_t inode);

/* born_inode() - Number of a socket that is open here; 0 if it cannot be told */
uint64_t born_inode(int fd);

/**
 * born_find() - What is known of a socket?
 * @ret_fd:	of one that is kept, a descriptor for the caller to close
 * @ret_late:	see born_note_bind()
 */
enum born_state born_find(struct born *born, uint64_t inode, int *ret_fd, bool *ret_late);

/* born_note_bind() - The kernel goes on with its bind(), and IP_BIND_ADDRESS_NO_PORT is set by us */
void born_note_bind(struct born *born, uint64_t inode);

/**
 * born_settle() - A socket needs us no more: close the duplicate, and remember it
 * @early:	it has a port that the program has not asked for
 */
void born_settle(struct born *born, uint64_t inode, bool early);

/* born_drop() - Close the duplicate, and forget the socket */
void born_drop(struct born *born, uint64_t inode);

/**
 * born_look() - Settle the sockets whose late bind() has given them a port
 * @has_port:	has this socket a port that the program has named? It takes back another one
 * @all:	look at all of them, not only at those that have looks left
 *
 * A duplicate would keep the port from others after the program has closed the socket. Return: true if
 * there are sockets to be looked at again, after BORN_LOOK_MS
 */
bool born_look(struct born *born, bool (*has_port)(int fd, const void *context),
	       const void *context, bool all);

#endif
