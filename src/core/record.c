#include "record.h"

#include "fd.h"
#include "ownership.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A record is complete at every moment, in whatever way its processes end. Each writer
 * replaces the summary by its line and a new summary, in one write and under a lock.
 * All that it has to know of the lines before is in the summary that it replaces.
 *
 * The lock is flock(2)'s, so that flock(1) can take it, too. The kernel releases it
 * when its holder dies, but not when its holder is stopped; and a child that another
 * thread forks meanwhile also has the descriptor. So no writer waits for ever: it
 * gives its line up and says so.
 *
 * One gap is left. The kernel writes page by page, and a SIGKILL can end it between
 * two pages (mm/filemap.c, generic_perform_write), so that the file ends within a
 * line. The next writer drops that line, whose process is dead, and counts the others
 * anew.
 *
 * A thread of the program that closes all descriptors may close ours, too, and the
 * number may become another file's at once. So we only write to a file that we have
 * just seen to end as a record does.
 */

#define FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* a lock is mostly held for some microseconds; two seconds are the limit */
#define TURNS_YIELDING 64
#define TURNS_MOST 4000
#define PAUSE_NS 500000

/* An open record. */
struct sheet {
	int fd;
	uint64_t size;
	uint64_t at; /* where the summary begins, or is to begin */
	struct summary summary;
	const struct summary_block *block;
};

/* Return: 0, -errno */
static int lock_sheet(int fd, int turns)
{
	static const long pause[] = { 0, PAUSE_NS };
	int turn;

	for (turn = 0; turn < turns; turn++) {
		if (!syscall(SYS_flock, fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		/* the bare call: libc's is a cancellation point */
		if (turn < TURNS_YIELDING)
			sched_yield();
		else
			syscall(SYS_nanosleep, pause, NULL);
	}
	return -EBUSY;
}

static int stat_sheet(struct sheet *sheet)
{
	struct stat st;

	if (fd_stat(sheet->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	sheet->size = (uint64_t)st.st_size;
	return 0;
}

/* Closing alone would leave the lock to a child that also has the descriptor. */
static void close_sheet(struct sheet *sheet)
{
	syscall(SYS_flock, sheet->fd, LOCK_UN);
	fd_close(sheet->fd);
}

/* Return: 0, -errno and nothing is open */
static int open_sheet(const struct record *record, int flags, int turns, struct sheet *ret_sheet)
{
	struct sheet sheet;
	bool safe;
	int rc;

	/* one lock serves this process's threads, of which one at a time writes */
	if (record->file)
		sheet.fd = (int)syscall(SYS_fcntl, record->file, F_DUPFD_CLOEXEC, 3);
	else
		sheet.fd = ownership_open(record->path, FLAGS | flags, 0666, &safe);
	if (sheet.fd < 0)
		return record->file ? -errno : sheet.fd;
	sheet.block = &record->block;
	/* a file that is no record is not even locked */
	rc = stat_sheet(&sheet);
	if (!rc)
		rc = lock_sheet(sheet.fd, turns);
	if (!rc)
		rc = stat_sheet(&sheet);
	if (rc)
		close_sheet(&sheet);
	else
		*ret_sheet = sheet;
	return rc;
}

static long read_at(const struct sheet *sheet, uint64_t at, char *ret_text, size_t size)
{
	long n = lseek(sheet->fd, (off_t)at, SEEK_SET) < 0
			 ? -1
			 : syscall(SYS_read, sheet->fd, ret_text, size);

	return n < 0 ? -errno : n;
}

/*
 * Counts all lines anew. The last one may be half a line, or its second half may be
 * what the file held before.
 *
 * Return: 0, -errno
 */
static int count_lines(struct sheet *sheet)
{
	struct summary summary = { .low = 0 };
	char text[RECORD_LINE_MAX];
	uint64_t at = 0;

	while (at < sheet->size) {
		long n = read_at(sheet, at, text, sizeof(text));
		const char *end;
		size_t len;

		if (n <= 0)
			return n ? (int)n : -EBADMSG;
		end = memchr(text, '\n', (size_t)n);
		len = end ? (size_t)(end - text) + 1 : (size_t)n;
		if (!summary_count(&summary, sheet->block, text, len)) {
			if (at + len < sheet->size || *text != '{')
				return -EBADMSG;
			break;
		}
		at += len;
	}
	sheet->at = at;
	sheet->summary = summary;
	return 0;
}

/* Reads the summary, or counts the lines. Return: 0, 1 if they were counted, -errno */
static int find_summary(struct sheet *sheet)
{
	uint64_t from = sheet->size > SUMMARY_MAX ? sheet->size - SUMMARY_MAX : 0;
	const char *begin, *before;
	char text[SUMMARY_MAX];
	long n;
	int rc;

	n = read_at(sheet, from, text, sizeof(text));
	if (n < 0)
		return (int)n;
	/* the newline before the last one */
	before = n ? memrchr(text, '\n', (size_t)n - 1) : NULL;
	begin = before ? before + 1 : text;
	if (n && summary_read(sheet->block, begin, (size_t)(text + n - begin), &sheet->summary) &&
	    (before || !from)) {
		sheet->at = from + (uint64_t)(begin - text);
		return 0;
	}
	rc = count_lines(sheet);
	return rc ? rc : 1;
}

/* Writes the end of the file, from @at on. Return: 0, -errno */
static int write_end(const struct sheet *sheet, const char *text, size_t len)
{
	long n;

	if (lseek(sheet->fd, (off_t)sheet->at, SEEK_SET) < 0)
		return -errno;
	n = fd_write(sheet->fd, text, len);
	if (n != (long)len)
		return n < 0 ? (int)n : -ENOSPC;
	if (sheet->size > sheet->at + len && ftruncate(sheet->fd, (off_t)(sheet->at + len)))
		return -errno;
	return 0;
}

/* Restores the old summary when the file cannot grow: there is room for it, as it was there before. */
static void put_summary_back(struct sheet *sheet, const struct summary *summary)
{
	char text[SUMMARY_MAX];

	sheet->size = UINT64_MAX;
	write_end(sheet, text, summary_write(summary, sheet->block, text));
}

static int add_line(struct sheet *sheet, const char *line, size_t len, uint16_t port)
{
	char text[RECORD_LINE_MAX + SUMMARY_MAX];
	struct summary before;
	int rc = find_summary(sheet);

	if (rc < 0)
		return rc;
	before = sheet->summary;
	summary_add(&sheet->summary, port);
	memcpy(text, line, len);
	len += summary_write(&sheet->summary, sheet->block, text + len);
	rc = write_end(sheet, text, len);
	if (rc)
		put_summary_back(sheet, &before);
	return rc;
}

int record_add(const struct record *record, const char *text, size_t len, uint16_t port,
	       bool hurried)
{
	struct signals signals;
	struct sheet sheet;
	int rc;

	signals_hold(&signals);
	rc = open_sheet(record, 0, hurried ? TURNS_YIELDING : TURNS_MOST, &sheet);
	if (!rc) {
		rc = add_line(&sheet, text, len, port);
		close_sheet(&sheet);
	}
	signals_release(&signals);
	return rc;
}

int record_open(const struct record *record)
{
	bool safe;

	return ownership_open(record->path, FLAGS, 0, &safe);
}

int record_begin(const struct record *record)
{
	struct sheet sheet = { .fd = -1 };
	char text[SUMMARY_MAX];
	int rc;

	rc = open_sheet(record, O_CREAT, TURNS_MOST, &sheet);
	if (rc)
		return rc;
	sheet.at = 0;
	sheet.summary = (struct summary){ .low = 0 };
	if (ftruncate(sheet.fd, 0))
		rc = -errno;
	sheet.size = 0;
	if (!rc)
		rc = write_end(&sheet, text, summary_write(&sheet.summary, sheet.block, text));
	close_sheet(&sheet);
	return rc;
}

int record_repair(const struct record *record)
{
	char text[SUMMARY_MAX];
	struct sheet sheet;
	int rc;

	rc = open_sheet(record, 0, TURNS_MOST, &sheet);
	if (rc)
		return rc;
	rc = find_summary(&sheet);
	if (rc > 0)
		rc = write_end(&sheet, text, summary_write(&sheet.summary, sheet.block, text));
	close_sheet(&sheet);
	return rc;
}
