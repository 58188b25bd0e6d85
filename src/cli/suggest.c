#include "suggest.h"

#include <string.h>

#define FARTHEST 2
#define WORD_LONGEST 31 /* no verb and no option is as long */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The variant that swaps neighbours only ("optimal string alignment"). */
static unsigned distance(const char *a, const char *b)
{
	unsigned cost[WORD_LONGEST + 1][WORD_LONGEST + 1];
	size_t m = strlen(a), n = strlen(b), i, j;

	if (m > WORD_LONGEST || n > WORD_LONGEST)
		return FARTHEST + 1;
	for (i = 0; i <= m; i++)
		cost[i][0] = (unsigned)i;
	for (j = 0; j <= n; j++)
		cost[0][j] = (unsigned)j;
	for (i = 1; i <= m; i++) {
		for (j = 1; j <= n; j++) {
			unsigned change = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			change = least(change, least(cost[i - 1][j], cost[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				change = least(change, cost[i - 2][j - 2] + 1);
			cost[i][j] = change;
		}
	}
	return cost[m][n];
}

void suggest_offer(struct suggest *suggest, const char *candidate)
{
	unsigned d = distance(suggest->word, candidate);

	if (d > FARTHEST || d >= strlen(suggest->word) ||
	    (suggest->nearest && d >= suggest->distance))
		return;
	suggest->nearest = candidate;
	suggest->distance = d;
}
