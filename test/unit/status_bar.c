/* status_bar: how full a range is, as a line of blocks; and the line under it. */
#include "../../src/cli/status_bar.h"
#include "unit.h"

#define PORTS 65535

static bool used[PORTS];
static char text[STATUS_BAR_SIZE(STATUS_BAR_WIDEST)];

static void set(uint32_t from, uint32_t to, bool value)
{
	for (; from < to; from++)
		used[from] = value;
}

static const char *draw(uint32_t count, unsigned width, bool utf8)
{
	memset(text, 'x', sizeof(text));
	status_bar_draw(used, count, width, utf8, text);
	return text;
}

/* ---- groups ---- */

static void levels(void)
{
	uint32_t i;

	/* ten cells of nine ports: one more in use in each */
	set(0, PORTS, false);
	for (i = 0; i < 10; i++)
		set(i * 9, i * 9 + i, true);
	CHECK_TEXT(draw(90, 10, true), "·░░▒▒▒▓▓▓█", "nine ports in a cell");
	CHECK_TEXT(draw(90, 10, false), ".::+++***#", "nine ports in a cell, ASCII");
}

static void extremes(void)
{
	set(0, PORTS, false);
	CHECK_TEXT(draw(PORTS, 5, true), "·····", "nothing is in use");
	used[PORTS - 1] = true;
	CHECK_TEXT(draw(PORTS, 5, true), "····░", "one port of all is seen");
	set(0, PORTS, true);
	CHECK_TEXT(draw(PORTS, 5, true), "█████", "all is in use");
	used[0] = false;
	CHECK_TEXT(draw(PORTS, 5, true), "▓████", "one free port of all is seen");
	CHECK_TEXT(draw(1, 1, false), ".", "one free port, one cell");
}

static void stretched(void)
{
	set(0, PORTS, false);
	used[1] = true;
	CHECK_TEXT(draw(3, 9, false), "...###...", "three cells for a port");
	CHECK_TEXT(draw(3, 4, false), "..#.", "not a whole number of cells for a port");
	CHECK_TEXT(draw(1, 5, false), ".....", "one port has all cells");
	used[0] = true;
	CHECK_TEXT(draw(1, 5, false), "#####", "one port has all cells");
}

/* Whatever the numbers, each port is in just one cell, or has cells of its own. */
static void every_port_is_drawn(void)
{
	uint64_t random = 1;
	int i;

	for (i = 0; i < 2000; i++) {
		uint32_t count = (uint32_t)(unit_random(&random) % (i % 2 ? 700 : PORTS)) + 1;
		unsigned width = (unsigned)(unit_random(&random) % STATUS_BAR_WIDEST) + 1, cell,
			 drawn = 0;
		uint32_t port = (uint32_t)(unit_random(&random) % count);

		set(0, PORTS, false);
		used[port] = true;
		draw(count, width, false);
		CHECK(strlen(text) == width, "%u ports, %u cells: %zu characters", count, width,
		      strlen(text));
		for (cell = 0; cell < width; cell++)
			drawn += text[cell] != '.';
		CHECK(count < width ? drawn >= 1 && drawn <= width / count + 1 : drawn == 1,
		      "%u ports, %u cells: port %u has %u cells", count, width, port, drawn);
	}
}

static const char *label(uint16_t first, uint16_t last, unsigned width)
{
	memset(text, 'x', sizeof(text));
	status_bar_label(first, last, width, text);
	return text;
}

static void labels(void)
{
	CHECK_TEXT(label(20000, 20999, 20), "20000          20999", "20 cells");
	CHECK_TEXT(label(1, 65535, 20), "1              65535", "numbers of two lengths");
	CHECK_TEXT(label(20000, 20999, 11), "20000 20999", "just wide enough");
	CHECK_TEXT(label(20000, 20999, 10), "20000-20999", "too narrow");
	CHECK_TEXT(label(20000, 20999, 1), "20000-20999", "one cell");
	CHECK_TEXT(label(7, 7, 20), "7", "one port");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "levels", levels },       { "extremes", extremes },
		{ "stretched", stretched }, { "every-port-is-drawn", every_port_is_drawn },
		{ "labels", labels },       { NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
