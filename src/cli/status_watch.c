#include "status_watch.h"

#include "say.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ECMA-48, and DEC's private modes: 7 wraps lines, 25 shows the cursor */
#define BEGIN "\033[?25l\033[?7l\033[2J"
#define HOME "\033[H"
#define END_LINE "\033[K"
#define END_SCREEN "\033[J"
#define END "\n\033[?7h\033[?25h"

/* Puts lines in place of the last ones. The last line has no line feed, which could scroll. */
static void put_in_place(const char *text)
{
	struct winsize size = { .ws_row = 0 };
	unsigned row, rows = 24;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row)
		rows = size.ws_row;
	fputs(HOME, stdout);
	for (row = 0; *text && row < rows; row++) {
		size_t len = strcspn(text, "\n");

		printf("%s%.*s" END_LINE, row ? "\n" : "", (int)len, text);
		text += len + (text[len] == '\n');
	}
	fputs(END_SCREEN, stdout);
}

static int draw_once(bool terminal, status_watch_draw_fn *draw, void *context)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	int rc;

	if (!to)
		return say_failure("%s", strerror(errno));
	rc = draw(to, context);
	if (fclose(to) && !rc)
		rc = say_failure("%s", strerror(errno));
	if (!rc && terminal)
		put_in_place(text);
	else if (!rc)
		fputs(text, stdout);
	free(text);
	if (!rc && (fflush(stdout) || ferror(stdout)))
		rc = say_failure("cannot write: %s", strerror(errno));
	return rc;
}

/* The signals that end it, or tell of a new size; without those that nohup(1), say, has ignored. */
static void choose_signals(sigset_t *ret_signals)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct sigaction action;
	size_t i;

	sigemptyset(ret_signals);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!sigaction(wanted[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(ret_signals, wanted[i]);
}

int status_watch_run(double seconds, status_watch_draw_fn *draw, void *context)
{
	const struct timespec pause = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};
	bool terminal = isatty(STDOUT_FILENO);
	sigset_t signals, before;
	int rc, got = 0;

	/* blocked signals wait until sigtimedwait() takes them, so none can come between */
	choose_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (terminal)
		fputs(BEGIN, stdout);
	do {
		rc = draw_once(terminal, draw, context);
		if (!rc)
			got = sigtimedwait(&signals, NULL, &pause);
	} while (!rc && (got == -1 || got == SIGWINCH));
	if (terminal)
		fputs(END, stdout);
	fflush(stdout);
	if (!rc)
		raise(got);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}
