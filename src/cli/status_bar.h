/* status_bar: draws how full a range is as one line of blocks; pure, it knows no socket and no terminal. */
#ifndef PORTFENCE_CLI_STATUS_BAR_H
#define PORTFENCE_CLI_STATUS_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Widest strip that is drawn */
#define STATUS_BAR_WIDEST 512

/* Room for the text of a strip of @width cells: three bytes each in UTF-8, and a NUL */
#define STATUS_BAR_SIZE(width) (3 * (width) + 1)

/**
 * status_bar_draw() - Draw a range, each cell an equal part of it, from its first port to its last
 * @used:	for each port of the range, in order: is it in use?
 * @count:	number of ports, at least 1; where there are fewer than cells, a port has several
 * @width:	number of cells, 1 to STATUS_BAR_WIDEST
 * @utf8:	blocks, or ASCII
 * @ret_text:	room for STATUS_BAR_SIZE(@width) bytes
 *
 * A cell is the lowest of "·░▒▓█", in ASCII ".:+*#", where none of its ports is
 * in use, and the highest only where all are; between them, each is a third.
 */
void status_bar_draw(const bool *used, uint32_t count, unsigned width, bool utf8, char *ret_text);

/**
 * status_bar_label() - The line under a strip: the first port at its left end, the last at its right
 * @ret_text:	room for @width + 1 bytes, and for 12 at least; one port is written once, and what
 *		does not fit is written as "first-last"
 */
void status_bar_label(uint16_t first, uint16_t last, unsigned width, char *ret_text);

#endif
