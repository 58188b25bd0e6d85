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
 * One intercepted call: what was asked, and what became of it.
 *
 * A fresh socket is TCP or UDP, has no address, and SO_REUSEADDR, SO_REUSEPORT and
 * IP_BIND_ADDRESS_NO_PORT are off. Then the kernel is not asked. Where that is
 * wrong, no port outside the range comes of it.
 */
struct assign {
	enum assign_call call;
	int fd;
	union addr addr; /* bind: where to; connect and send: the peer; listen: unused */
	socklen_t len;   /* of the address, as the program gave it; the rest is zeros */
	bool fast_open;  /* send: MSG_FASTOPEN, so over TCP it connects */
	bool at_once;    /* bind: choose now, even where IP_BIND_ADDRESS_NO_PORT would put it off */
	int backlog;     /* listen */
	/* bind: the port that the program named, if the map put that of @addr in its place; else 0 */
	uint16_t program_port;
	bool sctp; /* the call is libsctp's own: a socket of another protocol refuses it */
	/* sctp_bindx(): its packed addresses, of which @addr is the first, and their bytes; or NULL */
	const void *addrs;
	socklen_t addrs_size;
	bool fresh;      /* the caller has seen the socket made, see above */
	bool same_netns; /* and its network namespace is the one that the kernel engine serves */
	int family;      /* of a fresh socket */

	enum proto proto;   /* of a fresh socket, it is given by the caller */
	enum engine engine; /* the one that served, ENGINE_AUTO if no port was assigned */
	uint32_t tried;     /* candidates looked at */
	uint16_t port;      /* host byte order; 0 where none was assigned, or not yet */
	enum outcome
		outcome; /* after assign_begin(), all but FINE and FELL_BACK are failures of ours */
	uint16_t port_before; /* what getsockname() showed before the call */
	uint64_t claim;       /* on the 4-tuple, given back by assign_end(); 0: none */
};

/**
 * assign_wants_kernel() - Would a rule have the kernel engine serve a call, if the kernel keeps to the range?
 * @connects:	the call is a connect() over TCP
 * @ret_why:	the reason, as it follows "as"; may be NULL
 *
 * Else the bind engine serves it.
 */
bool assign_wants_kernel(const struct rule *rule, bool connects, char *ret_why, size_t size);

/**
 * assign_order() - The order in which the bind engine tries ports for a call
 * @connects:	the call is a connect() over TCP
 *
 * Return: the rule's order, or what stands for ORDER_AUTO
 */
enum order assign_order(const struct rule *rule, bool connects);

/* What assign_begin() wants done with the call. */
enum { ASSIGN_GO_ON, ASSIGN_MADE };

/* What assign_end() wants done with it afterwards. */
enum { ASSIGN_DONE, ASSIGN_AGAIN };

/* What assign_state() finds. */
enum assign_state {
	ASSIGN_NEEDY,       /* an unbound IPv4 or IPv6 socket, no socket at all, or unknown */
	ASSIGN_SETTLED,     /* it has its port, or is of a kind that we give none */
	ASSIGN_SETTLED_UDP, /* of these, a UDP socket: no connect chooses another port for it */
	ASSIGN_FOREIGN_UDP  /* likewise, but its port is not of the range: it may lose that */
};

/* assign_fences() - Is this a socket of a kind that is fenced? False where the kernel does not say */
bool assign_fences(const struct fence *fence, int fd);

/**
 * assign_has_port() - Is this an IPv4 or IPv6 socket that has a port?
 *
 * One system call. A TCP port proves nothing (see assign.c), and a send over
 * TCP needs none unless it connects, so ask this of a send only.
 */
bool assign_has_port(const struct fence *fence, int fd);

/* assign_state() - The same in more detail, so that it can be remembered; up to three system calls */
enum assign_state assign_state(const struct fence *fence, int fd);

/**
 * assign_begin() - Before the real call: give the socket a port from the range if it needs one
 *
 * Return: ASSIGN_GO_ON: make the real call, then call assign_end();
 * ASSIGN_MADE: the call, a bind, has been made and succeeded;
 * -errno: the call fails with it
 */
int assign_begin(const struct fence *fence, struct assign *assign);

/**
 * assign_end() - After the real call
 * @error:	its errno, 0 if it succeeded; changed if the call has to fail for another reason
 *
 * Return: ASSIGN_DONE, or ASSIGN_AGAIN: make the real call once more
 */
int assign_end(const struct fence *fence, struct assign *assign, int *error);

/* assign_serves() - Was a port given by us, or left to the kernel on our behalf? Of a map's, after assign_end(). */
bool assign_serves(const struct assign *assign);

/**
 * assign_undo() - Take back a port that the kernel gave to a send without destination
 *
 * A send on a UDP socket that is neither bound nor connected fails with
 * EDESTADDRREQ, EMSGSIZE or EOPNOTSUPP, but only after the kernel has given the
 * socket a port (net/ipv4/af_inet.c, inet_send_prepare). Call it after such a
 * failure; a connected socket is left alone.
 *
 * Return: 0, or -errno if the socket may have kept such a port
 */
int assign_undo(const struct fence *fence, int fd);

#endif
