/* transparent: what the rooms of the probe share; what a case is and where it says its results. */
#ifndef PORTFENCE_TEST_TRANSPARENT_H
#define PORTFENCE_TEST_TRANSPARENT_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- cases (transparent.c) ---- */

/*
 * Each case runs in a child of its own, and says its results there as words of
 * one line. @body is not called where the case was not asked for.
 */
void transparent_case(void (*body)(const void *context), const void *context, const char *name, ...)
	__attribute__((format(printf, 3, 4)));

/* transparent_say() - One word of the case's line; no blank in it */
void transparent_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* transparent_port() - A port as it is told: "given" where the fence may decide, else which of the case's own */
const char *transparent_port(in_port_t port);

/* Ports that this case may name; no other case of the run that ends near it has them. */
struct transparent_ports {
	in_port_t own, peer, closed, taken, full;
};

extern struct transparent_ports transparent_ports;

/* Cases are wanted that differ from others in little, too. */
extern bool transparent_all;

/* Those that follow are few, so all of them are run. */
extern bool transparent_few;

/*
 * CALL() - The call under test, an expression: its result, errno (which a
 * success leaves alone), whether it waited, signals and descriptors
 */
#define CALL(call)                                                                                 \
	({                                                                                         \
		transparent_before();                                                              \
		long call_result = (long)(call);                                                   \
		transparent_after(call_result);                                                    \
		call_result;                                                                       \
	})

void transparent_before(void);
void transparent_after(long result);

/* ---- sockets (scene.c) ---- */

struct kind {
	const char *name;
	int domain, type, protocol;
	bool inet;         /* one that the fence may serve */
	bool mapped;       /* IPv6 socket, IPv4 addresses */
	int (*make)(void); /* for what is not made by socket() */
};

extern const struct kind scene_kinds[];
extern const size_t scene_kinds_count;

/* The socket under test, and who talks to it. */
struct scene {
	const struct kind *kind;
	int fd;
	int peer; /* listens or receives, -1 if there is none */
	int accepted;
	int full;  /* a listener that takes no more connections */
	bool shut; /* the peer finds the end of what was sent */
};

/* What may have been done to a socket before. */
struct state {
	const char *name;
	int type; /* SOCK_STREAM or SOCK_DGRAM for those alone, 0 for both */
	void (*prepare)(struct scene *scene);
};

extern const struct state scene_states[];
extern const size_t scene_states_count;

const struct kind *scene_kind(const char *name);
const struct state *scene_state(const char *name);

/* scene_open() - The socket in its state, with its peer */
void scene_open(struct scene *scene, const struct kind *kind, const struct state *state);

/* scene_arrived() - Say what has come to the peer; @expected: wait for it */
void scene_arrived(struct scene *scene, bool expected);

/* scene_close() - So that nothing is left in TIME_WAIT */
void scene_close(struct scene *scene);

bool scene_is_stream(const struct kind *kind);

/* ---- addresses (address.c) ---- */

union address {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	char room[256];
};

struct value {
	const char *name;
	socklen_t (*fill)(const struct kind *kind, union address *ret_address);
};

extern const struct value address_values[];
extern const size_t address_values_count;
const struct value *address_value(const char *name);

/* Where memory is that a call is given. */
struct place {
	const char *name;
	/* Return: what to hand over, of which at least @size bytes are filled where it can be read */
	void *(*put)(const void *data, size_t size);
};

extern const struct place address_places[];
extern const size_t address_places_count;
const struct place *address_place(const char *name);

extern const long address_lengths[];
extern const size_t address_lengths_count;

/* address_loopback() - The loopback address of a kind's family with this port */
socklen_t address_loopback(const struct kind *kind, in_port_t port, union address *ret_address);

/* address_say() - As "NAME=FAMILY,ADDRESS,PORT" */
void address_say(const char *name, const void *address, socklen_t len);

/* ---- what can be seen of a descriptor (look.c) ---- */

#define LOOK_ITEMS 64

struct snapshot {
	struct {
		const char *name;
		char value[56];
	} item[LOOK_ITEMS];
	size_t count;
};

void look_at(int fd, struct snapshot *ret_look);

/* look_say() - What is there, and what has changed, as "NAME=BEFORE>AFTER" */
void look_say(const struct snapshot *before, const struct snapshot *after);

/* ---- the cases themselves ---- */

void calls_run(void);
void messages_run(void);
void options_run(void);
void descriptors_run(void);
void programs_run(void);
void waits_run(void);

#endif
