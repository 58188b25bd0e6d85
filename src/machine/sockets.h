/* sockets: all IPv4 and IPv6 sockets of a network namespace, from sock_diag; it knows no process. */
#ifndef PORTFENCE_MACHINE_SOCKETS_H
#define PORTFENCE_MACHINE_SOCKETS_H

#include "../core/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* States as the kernel numbers them (include/net/tcp_states.h), for all protocols. */
enum {
	SOCKETS_ESTABLISHED = 1,
	SOCKETS_SYN_SENT,
	SOCKETS_SYN_RECV,
	SOCKETS_FIN_WAIT1,
	SOCKETS_FIN_WAIT2,
	SOCKETS_TIME_WAIT,
	SOCKETS_CLOSE, /* not connected: of UDP, or of TCP and only bound */
	SOCKETS_CLOSE_WAIT,
	SOCKETS_LAST_ACK,
	SOCKETS_LISTEN,
	SOCKETS_CLOSING,
	SOCKETS_STATES
};

/* Who began a TCP connection. */
enum sockets_side {
	SOCKETS_SIDE_UNKNOWN,
	SOCKETS_CONNECTED, /* this end sent the first SYN */
	SOCKETS_ACCEPTED,  /* the other end did */
};

/* One socket. */
struct sockets_entry {
	uint8_t local[16]; /* network byte order; of IPv4 the first four bytes */
	uint8_t remote[16];
	uint32_t inode; /* 0: no process holds it: TIME_WAIT, closed, or not yet accepted */
	uint32_t uid;   /* of who made it; 0 in TIME_WAIT */
	uint16_t local_port;
	uint16_t remote_port;
	uint8_t protocol; /* IPPROTO_TCP (MPTCP's subflows, too), _UDP, _UDPLITE or _SCTP */
	uint8_t family;   /* AF_INET or AF_INET6 */
	uint8_t state;
	uint8_t side; /* enum sockets_side, only with SOCKETS_SIDES */
};

/* What one look has found. */
struct sockets {
	struct sockets_entry *entry;
	size_t count;
};

enum {
	SOCKETS_SIDES = 1, /* tell who began each TCP connection, which makes the look slower */
};

/**
 * sockets_read() - Look at all sockets of this network namespace that have a local port
 * @flags:	SOCKETS_ values
 * @ret_sockets: give it back with sockets_free(), after a failure, too
 *
 * Needs no privilege, and sees the sockets of all users. It is no photograph: a
 * connection that changes meanwhile may be seen twice or not at all. A TCP
 * socket that is only bound is not seen before Linux 6.8, and an SCTP one never.
 *
 * Return: 0; -EOPNOTSUPP if this kernel tells nothing of TCP or UDP sockets (inet_diag);
 * another -errno. Source: sock_diag(7).
 */
int sockets_read(unsigned flags, struct sockets *ret_sockets);

/* sockets_free() - Give the memory back */
void sockets_free(struct sockets *sockets);

/* sockets_proto() - The protocol as the configuration tells it apart */
enum proto sockets_proto(const struct sockets_entry *entry);

/* sockets_protocol_name() - "tcp", "udp", "udplite" or "sctp" */
const char *sockets_protocol_name(const struct sockets_entry *entry);

/* sockets_state_name() - The state as ss(8) has it, such as "LISTEN" */
const char *sockets_state_name(const struct sockets_entry *entry);

/* Room for the longest text of sockets_format() */
#define SOCKETS_TEXT 64

/**
 * sockets_format() - "127.0.0.1:80" or "[::1]:80"
 * @remote:	the peer instead of the socket's own address
 */
void sockets_format(const struct sockets_entry *entry, bool remote, char ret_text[SOCKETS_TEXT]);

#endif
