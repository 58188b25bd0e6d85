/* assign: gives a socket its port before the call that would make the kernel choose one. */
#ifndef PORTFENCE_CORE_ASSIGN_H
#define PORTFENCE_CORE_ASSIGN_H

#include "addr.h"
#include "fence.h"
#include "outcome.h"

#include <stdbool.h>
#include <stdint.h>

enum assign_call { ASSIGN_BIND, ASSIGN_CONNECT, ASSIGN_LISTEN, ASSIGN_SEND };

/*
 * One intercepted call: what the program asked for, and what became of it.
 *
 * A fresh socket is TCP (not MPTCP) or UDP, has no address, and has SO_REUSEPORT and
 * IP_BIND_ADDRESS_NO_PORT off; of SO_REUSEADDR, it is known what it is. It is in the network namespace of the
 * calling thread. We then ask the kernel nothing about all this. If the caller is wrong about that, the socket still gets
 * no port outside the range.
 */
struct assign {
	enum assign_call call;
	int fd;
	union addr addr; /* bind: where to; connect and send: the peer; listen: unused */
	socklen_t len;   /* of the address, as the program gave it; the rest is zeros */
	bool fast_open;  /* send: MSG_FASTOPEN, so it connects over TCP */
	bool at_once;    /* bind: choose now, even where IP_BIND_ADDRESS_NO_PORT would put it off */
	int backlog;     /* listen */
	/* bind: the port that the program named, if the map put that of @addr in its place; else 0 */
	uint16_t program_port;
	uint16_t moved; /* bind: the port that the program named, if it gets another one; else 0 */
	bool sctp;      /* the call is libsctp's own: a socket of another protocol refuses it */
	bool shy;       /* as for assign_settle() */
	/* sctp_bindx(): its packed addresses, of which @addr is the first, and their bytes; or NULL */
	const void *addrs;
	socklen_t addrs_size;
	bool fresh;      /* the caller has seen the socket made, see above */
	bool reuse_addr; /* a fresh socket has SO_REUSEADDR on */
	bool same_netns; /* and its network namespace is the one that the kernel engine serves */
	int family;      /* of a fresh socket */

	bool mptcp;         /* proto is PROTO_TCP; never set for a fresh socket */
	enum proto proto;   /* of a fresh socket, it is given by the caller */
	enum engine engine; /* the one that served, ENGINE_AUTO if no port was assigned */
	bool one_port;      /* the kernel was given one port of the range, not all of them */
	bool above_peer;    /* the kernel was given what lies above the destination's port */
	uint32_t tried;     /* candidates looked at */
	uint16_t port;      /* host byte order; 0 where none was assigned, or not yet */
	enum outcome
		outcome; /* after assign_begin(), all but FINE and FELL_BACK are failures of ours */
	uint16_t port_before; /* what getsockname() showed before the call */
	uint64_t claim;       /* on the 4-tuple, given back by assign_end(); 0: none */
};

/**
 * assign_wants_kernel() - Does a rule want the kernel engine for a call?
 * @connects:	the call is a connect() over TCP
 * @ret_why:	the reason, as it follows "as"; may be NULL
 *
 * If so, the kernel engine serves the call, provided that the kernel keeps to the range.
 * If not, the bind engine does.
 */
bool assign_wants_kernel(const struct rule *rule, bool connects, struct reason *ret_why);

/**
 * assign_order() - The order in which the bind engine tries ports for a call
 * @connects:	the call is a connect() over TCP
 *
 * Return: the rule's order, or what stands for ORDER_AUTO
 */
enum order assign_order(const struct rule *rule, bool connects);

/* assign_begin(): the caller makes the real call, or it has been made. */
enum { ASSIGN_GO_ON, ASSIGN_MADE };

/* assign_end(): the call is done, or the caller makes it once more. */
enum { ASSIGN_DONE, ASSIGN_AGAIN };

/* What assign_state() finds. */
enum assign_state {
	ASSIGN_NEEDY,       /* an unbound IPv4 or IPv6 socket, no socket at all, or unknown */
	ASSIGN_SETTLED,     /* it has a port, or is of a kind that gets none from us */
	ASSIGN_SETTLED_UDP, /* a UDP socket with a port that no connect() takes out of the range */
	ASSIGN_FOREIGN_UDP, /* a UDP socket with a port outside the range, which it may lose */
	ASSIGN_OTHER_FAMILY /* neither an IPv4 nor an IPv6 socket */
};

/* assign_fences() - Is this socket of a kind that is fenced? False if the kernel does not say */
bool assign_fences(const struct fence *fence, int fd);

/**
 * assign_port() - The port that an IPv4 or IPv6 socket has; 0: none, or it is another socket
 *
 * One system call. For a TCP socket a port proves nothing (see assign.c), but a
 * send over TCP needs no port unless it connects: so call this for sends only.
 */
uint16_t assign_port(const struct fence *fence, int fd);

/* assign_has_port() - Is there such a port? */
static inline bool assign_has_port(const struct fence *fence, int fd)
{
	return assign_port(fence, fd) != 0;
}

/* assign_state() - What a socket is, in more detail; up to three system calls */
enum assign_state assign_state(const struct fence *fence, int fd);

/**
 * assign_settle() - The same, after a port outside the range that the kernel chose is taken back
 * @named:	a port that the socket may have been bound to by hand; 0: none is known
 * @shy:	take nothing back, as a filter of the program's own may forbid the calls for it
 * @ret_port:	the port that the socket has, 0: none
 *
 * A send without a destination leaves such a port, see assign_undo(). Another port survives this,
 * so it is one that was bound by hand: ASSIGN_SETTLED_UDP. A socket that is connected or bound to a device is left alone.
 */
enum assign_state assign_settle(const struct fence *fence, int fd, uint16_t named, bool shy,
				uint16_t *ret_port);

/**
 * assign_keep_port() - Mark a UDP socket that came from outside with a port outside the range
 *
 * The kernel does not tell a port that somebody's bind() to port 0 chose from one that a write() without
 * a destination has left. With this mark, assign_settle() and assign_undo() leave it to the socket.
 */
void assign_keep_port(const struct fence *fence, int fd);

/**
 * assign_begin() - Before the real call, give the socket a port of the range if it needs one
 *
 * Return: ASSIGN_GO_ON: make the real call, then call assign_end();
 * ASSIGN_MADE: the call, a bind, has been made and succeeded;
 * -errno: the call fails with it
 */
int assign_begin(const struct fence *fence, struct assign *assign);

/**
 * assign_end() - After the real call, find out what it did
 * @error:	errno of the real call, 0 if it succeeded; changed if the call has to fail
 *		for another reason
 *
 * Return: ASSIGN_DONE, or ASSIGN_AGAIN: make the real call once more
 */
int assign_end(const struct fence *fence, struct assign *assign, int *error);

/**
 * assign_serves() - Did we choose the port, or let the kernel choose it?
 *
 * For a port that a map gave, call it after assign_end().
 */
bool assign_serves(const struct assign *assign);

/* assign_count() - Count an assignment in the application's state file, if it has failed */
void assign_count(const struct fence *fence, const struct assign *assign);

/**
 * assign_undo() - Take back a port that the kernel gave to a send without destination
 *
 * A send without destination fails on a UDP socket that is neither bound nor
 * connected, with EDESTADDRREQ, EMSGSIZE or EOPNOTSUPP. But the kernel has given the
 * socket a port by then (net/ipv4/af_inet.c, inet_send_prepare). Call this after such
 * a failure. It leaves a connected socket alone.
 *
 * Return: 0, or -errno if the socket may have kept such a port
 */
int assign_undo(const struct fence *fence, int fd);

#endif
