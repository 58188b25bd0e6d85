/* rows: the operations that are measured, one function each; it takes no time and counts nothing. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <sys/socket.h>

#define ROWS_MESSAGES 16 /* in one sendmmsg */

/* What an operation finds ready, one for each thread. */
struct rows_state {
	int fd;
	struct mmsghdr messages[ROWS_MESSAGES];
	struct iovec data;
};

struct rows {
	const char *name;
	/* Makes ready, untimed. Return: 0 or errno. NULL: nothing to do */
	int (*open)(struct rows_state *state);
	/* The operation. Return: 0 or errno */
	int (*once)(struct rows_state *state);
};

/* rows_find() - The row of that name, or NULL */
const struct rows *rows_find(const char *name);

/* rows_close() - Gives back what a row's open() made */
void rows_close(struct rows_state *state);

/* rows_where() - The port that a bind to 0 gets. Return: the port, or -errno */
int rows_where(void);

#endif
