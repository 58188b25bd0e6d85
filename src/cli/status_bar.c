#include "status_bar.h"

#include <stdio.h>
#include <string.h>

#define LEVELS 5

static const char *const blocks[LEVELS] = { "·", "░", "▒", "▓", "█" };
static const char *const letters[LEVELS] = { ".", ":", "+", "*", "#" };

static unsigned level(uint32_t used, uint32_t count)
{
	if (!used)
		return 0;
	return used == count ? LEVELS - 1 : 1 + used * (LEVELS - 2) / count;
}

void status_bar_draw(const bool *used, uint32_t count, unsigned width, bool utf8, char *ret_text)
{
	const char *const *cells = utf8 ? blocks : letters;
	unsigned cell;

	*ret_text = '\0';
	for (cell = 0; cell < width; cell++) {
		uint32_t from = (uint32_t)((uint64_t)cell * count / width);
		uint32_t to = (uint32_t)((uint64_t)(cell + 1) * count / width);
		uint32_t i, taken = 0;

		if (to == from)
			to++;
		for (i = from; i < to; i++)
			taken += used[i];
		ret_text = stpcpy(ret_text, cells[level(taken, to - from)]);
	}
}

void status_bar_label(uint16_t first, uint16_t last, unsigned width, char *ret_text)
{
	char left[sizeof("65535")], right[sizeof("65535")];
	int gap;

	snprintf(left, sizeof(left), "%d", first);
	snprintf(right, sizeof(right), "%d", last);
	gap = (int)width - (int)strlen(left) - (int)strlen(right);
	if (first == last)
		strcpy(ret_text, left);
	else if (gap < 1)
		sprintf(ret_text, "%s-%s", left, right);
	else
		sprintf(ret_text, "%s%*s%s", left, gap, "", right);
}
