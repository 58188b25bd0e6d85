/* trapped_call: one trapped call, what its arguments point to, and words about it; it decides nothing. */
#ifndef PORTFENCE_SUPERVISOR_TRAPPED_CALL_H
#define PORTFENCE_SUPERVISOR_TRAPPED_CALL_H

#include "../core/addr.h"
#include "../core/assign.h"
#include "../core/fence.h"
#include "../core/log.h"
#include "caller.h"
#include "claims.h"
#include "filter.h"
#include "newsocket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What becomes of a call, besides a result of 0 or -errno */
enum { CALL_CONTINUES = 1, CALL_ANSWERED };

/* What all calls of a tree have in common. */
struct trap {
	int listener;
	int program;
	const struct fence *fence;
	struct log *log;
	bool only_socket;    /* socket() alone stops */
	bool mirrors;        /* we may bind to any port, but the program perhaps not */
	unsigned port_start; /* lowest port that needs no privilege */
	bool unreachable;    /* said already */
	bool warned;         /* of what was doubtful at the start */
	const char *refusal; /* said last */
	struct newsocket_place here;
	struct claims claims;
};

/* One trapped call. */
struct trapped_call {
	struct trap *trap;
	struct caller caller;
	enum filter_call call;
	bool narrow; /* 32-bit pointers */
	uint64_t id; /* of the notification */
	uint64_t argument[6];
	long value; /* what the call returns if it is answered with 0 */
	int fd;     /* the socket, here */
	uint64_t cookie;
	union {
		union addr inet;
		struct sockaddr_storage storage;
	} address; /* as read, the rest is zeros */
	socklen_t len;
};

/* trapped_call_lend_stderr() - Lend the log the program's standard error. Return: for trapped_call_take_back() */
int trapped_call_lend_stderr(struct trapped_call *trapped);

/* trapped_call_take_back() - Close it */
void trapped_call_take_back(int fd);

/* trapped_call_tell() - Tell the log of an assignment, if there is anything to tell */
void trapped_call_tell(struct trapped_call *trapped, const struct assign *assign);

/* trapped_call_unreachable() - The program cannot be looked into. Return: what its call fails with */
int trapped_call_unreachable(struct trapped_call *trapped);

/* trapped_call_read_memory() - Return: 0; -EFAULT, or -EACCES if we may not read there */
int trapped_call_read_memory(struct trapped_call *trapped, uint64_t address, void *ret_data,
			     size_t size);

/**
 * trapped_call_read_address() - Read an address into @trapped, as the kernel does
 *
 * Return: 0 or -errno. Source: net/socket.c, move_addr_to_kernel.
 */
int trapped_call_read_address(struct trapped_call *trapped, uint64_t address, int len);

/**
 * trapped_call_read_destination() - Where a message goes to, or its map's port in that place
 *
 * Return: 0; -errno if that cannot be read, and it is zeros
 */
int trapped_call_read_destination(struct trapped_call *trapped);

/* trapped_call_translate() - Put the port in the address that the map has in its place. Return: as translate_to() */
int trapped_call_translate(struct trapped_call *trapped);

/* trapped_call_is_udp() - Is it a datagram socket? */
bool trapped_call_is_udp(const struct trapped_call *trapped);

#endif
