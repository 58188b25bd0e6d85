/* operations: what a thread does with sockets, one at a time; who does it when is worker's. */
#ifndef PORTFENCE_TEST_OPERATIONS_H
#define PORTFENCE_TEST_OPERATIONS_H

#include <stdbool.h>

/* Who closes a connection first, and how. */
enum ending { CLIENT, SERVER, CLIENT_RESET, SERVER_RESET };

/* The sockets of one operation; -1 where it has none. */
struct slot {
	int fd;
	int listener; /* of a pair */
	int accepted;
	enum ending ending;
	bool connected;
};

extern const struct slot operations_empty;

/* operations_draw() - One of them, by its weight */
int operations_draw(void);

/* operations_name() - NULL after the last */
const char *operations_name(int operation);

/* operations_call_name() - The name of a call */
const char *operations_call_name(int call);

/**
 * operations_make() - Do it, and count what became of each call
 * @slot:	empty; gets the sockets
 */
void operations_make(int operation, struct slot *slot);

/* operations_clear() - Close what a slot holds, in the way that was drawn for it */
void operations_clear(struct slot *slot);

#endif
