/* trapped_call: one trapped call, what its arguments point to, and words about it; it decides nothing. */
#ifndef PORTFENCE_SUPERVISOR_TRAPPED_CALL_H
#define PORTFENCE_SUPERVISOR_TRAPPED_CALL_H

#include "../core/addr.h"
#include "../core/assign.h"
#include "caller.h"
#include "filter.h"
#include "tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What becomes of a call, besides a result of 0 or -errno */
enum { CALL_CONTINUES = 1, CALL_ANSWERED };

/* One trapped call. */
struct trapped_call {
	struct tree *tree;
	const struct fence *fence; /* of the caller's run: the tree's, or one of a run inside */
	struct run_log *log;       /* of the same run */
	struct caller caller;
	enum filter_call call;
	bool has_32bit_pointers;
	uint64_t argument[6];
	long value; /* what the call returns if it is answered with 0 */
	int fd;     /* the socket, here */
	uint64_t cookie;
	uint32_t inode; /* where sockets are born */
	union {
		union addr inet;
		struct sockaddr_storage storage;
	} address; /* as read, the rest is zeros */
	socklen_t len;
};

/* trapped_call_report() - Write to the log what became of an assignment, if there is anything to write */
void trapped_call_report(struct trapped_call *trapped, const struct assign *assign);

/* trapped_call_report_mptcp() - Write once what has become of an MPTCP socket: MPTCP_TCP or MPTCP_REFUSE */
void trapped_call_report_mptcp(struct trapped_call *trapped, enum mptcp becomes);

/* trapped_call_named() - As log_named_outside() */
void trapped_call_named(struct trapped_call *trapped, const struct assign *assign);

/**
 * trapped_call_refuse() - Write once why calls of a kind fail
 * @why:	compared by its address with what was written last
 *
 * Return: -EACCES
 */
int trapped_call_refuse(struct trapped_call *trapped, const char *why);

/* trapped_call_unreachable() - Write once that the program cannot be looked into. Return: -EACCES */
int trapped_call_unreachable(struct trapped_call *trapped);

/*
 * trapped_call_read_memory() - As caller_read(), but -EACCES if we may not read there, which is written to
 * the log. Where sockets are born it is -EPERM, and the call is served without what stands there.
 */
int trapped_call_read_memory(struct trapped_call *trapped, uint64_t address, void *ret_data,
			     size_t size);

/**
 * trapped_call_read_address() - Read an address into @trapped, as the kernel does
 *
 * Return: 0 or -errno. Source: net/socket.c, move_addr_to_kernel.
 */
int trapped_call_read_address(struct trapped_call *trapped, uint64_t address, int len);

/**
 * trapped_call_read_destination() - Read into @trapped where a message goes to, with the map's port in it
 *
 * Return: 0; -errno if that cannot be read, and the address is all zeros
 */
int trapped_call_read_destination(struct trapped_call *trapped);

/* trapped_call_translate() - Put the port in the address that the map has in its place. Return: as translate_to() */
int trapped_call_translate(struct trapped_call *trapped);

/* trapped_call_is_udp() - Is it a datagram socket? */
bool trapped_call_is_udp(const struct trapped_call *trapped);

#endif
