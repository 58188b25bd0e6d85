/* move: which port of the range stands for one outside it that a program binds to; it binds nothing. */
#ifndef PORTFENCE_CORE_MOVE_H
#define PORTFENCE_CORE_MOVE_H

#include "policy.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Theory of operation
 *
 * Some programs draw their source ports themselves, in pairs for RTP. So the choice starts at a port
 * that follows from the one that is named: the same number of ports behind the range's first as the
 * named one is behind 0, modulo the range's length, and even where that is even. Then a pair is a pair
 * again, and a random port stays as random as the range allows. Where another port had to be taken,
 * the state remembers it for a moment, as a hint: for the second port of a pair, and for sockets that
 * share one port (SO_REUSEPORT).
 */

/* move_wanted() - Does a rule give a program another port in the place of this one? */
bool move_wanted(const struct rule *rule, enum proto proto, uint16_t port);

/* move_start() - Index in the rule's range where the search for a port in the place of @port begins */
uint32_t move_start(const struct rule *rule, const struct state *state, enum proto proto,
		    uint16_t port);

/* move_remember() - Note that @real was taken in the place of @port */
void move_remember(const struct state *state, enum proto proto, uint16_t port, uint16_t real);

/* move_remembered() - The port that was last taken in the place of @port; 0 if that is forgotten */
uint16_t move_remembered(const struct state *state, enum proto proto, uint16_t port);

#endif
