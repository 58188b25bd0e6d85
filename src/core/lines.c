#include "lines.h"

#include "reason.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

/*
 * Theory of operation
 *
 * inih splits a line into key and value. As packaged (Debian's 55), it cuts
 * lines at 199 bytes and section names at 49 without a word, takes an indented
 * line for a second value of the key before, calls no handler for a section
 * without keys, tells the handler no line number, and reports only the first
 * line that it cannot split. So it gets a reader that counts lines, strips
 * indentation and keeps section headers to itself. If a line should have reached
 * the handler, but had not when the next line was asked for, it was no
 * "key = value".
 *
 * A value may be longer than inih's lines, and a list may go on in indented
 * lines. The reader hands both over in pieces, each with the key in front, and
 * the handler joins them. The value is complete when a line begins something
 * else, or at the end.
 *
 * Instead of a line that inih is not to see, it gets an empty one, so that
 * reading goes on and all mistakes are told in one go.
 */

#define KEY_LONGEST 199 /* no line of inih is longer */

/* Part of the file's text */
struct slice {
	const char *at;
	size_t len;
};

/* A key and its value, to which pieces are added until it is complete. */
struct entry {
	bool open;
	bool is_list;
	unsigned line;
	char name[KEY_LONGEST + 1];
	char *value; /* in the arena, with a NUL */
	size_t len, room;
};

struct lines {
	const struct lines_calls *calls;
	void *context;
	struct arena *arena;
	const char *text, *end; /* what is still to be read */
	unsigned line;
	struct slice piece_key, rest; /* of a line that is handed over in pieces */
	bool pending;                 /* the line went to inih, the handler was not called yet */
	bool goes_on;                 /* what inih has belongs to the open entry */
	bool below_list;              /* it is indented, below the list that the entry is */
	struct entry entry;
	int rc; /* 0, -ENOMEM */
};

static void tell_problem(struct lines *lines, const char *problem)
{
	lines->calls->problem(lines->context, lines->line, problem);
}

/* Adds a piece to the open entry's value. */
static int append_piece(struct lines *lines, const char *piece)
{
	struct entry *entry = &lines->entry;
	const size_t len = strlen(piece);

	if (entry->len + len >= entry->room) {
		const size_t room = 2 * (entry->len + len) + 64;
		char *value = arena_alloc(lines->arena, room);

		if (!value)
			return -ENOMEM;
		if (entry->len)
			memcpy(value, entry->value, entry->len);
		entry->value = value;
		entry->room = room;
	}
	memcpy(entry->value + entry->len, piece, len + 1);
	entry->len += len;
	return 0;
}

static void open_entry(struct lines *lines, const char *name, const char *value)
{
	struct entry *entry = &lines->entry;

	/* the buffer of the entry before is used again: what it held was copied where it matters */
	entry->open = true;
	entry->is_list = lines->calls->is_list(lines->context, name);
	entry->line = lines->line;
	entry->len = 0;
	*(char *)mempcpy(entry->name, name, strnlen(name, KEY_LONGEST)) = '\0';
	if (append_piece(lines, value)) {
		entry->open = false;
		lines->rc = -ENOMEM;
	}
}

/* The entry's value is complete. */
static void close_entry(struct lines *lines)
{
	struct entry *entry = &lines->entry;

	if (!entry->open)
		return;
	entry->open = false;
	lines->calls->pair(lines->context, entry->line, entry->name, entry->value);
}

/* inih's handler. Return: not 0, or inih would count an error of its own. */
static int take_piece(void *user, const char *section, const char *name, const char *value)
{
	struct lines *lines = user;

	(void)section; /* the reader knows it better: names are cut here */
	lines->pending = false;
	if (!lines->goes_on)
		open_entry(lines, name, value);
	else if (lines->entry.open && append_piece(lines, value))
		lines->rc = -ENOMEM;
	return 1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_text(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' ? line[i] != '\t' : line[i] == 0x7f)
			return false;
	return true;
}

static struct slice trim_slice(struct slice text)
{
	while (text.len && is_blank(*text.at)) {
		text.at++;
		text.len--;
	}
	while (text.len && (is_blank(text.at[text.len - 1]) || text.at[text.len - 1] == '\r'))
		text.len--;
	return text;
}

/* Without the comment behind it: for inih, ';' begins one where a blank is in front of it. */
static struct slice without_comment(struct slice line)
{
	size_t i;

	for (i = 1; i < line.len; i++)
		if (line.at[i] == ';' && is_blank(line.at[i - 1]))
			line.len = i;
	return trim_slice(line);
}

/* The key of "key = value" or "key: value"; its length is that of the whole line if it is neither */
static struct slice key_of(struct slice line)
{
	size_t i;

	for (i = 0; i < line.len && line.at[i] != '=' && line.at[i] != ':'; i++)
		;
	return (struct slice){ line.at, i };
}

/* Is it "key = value" with a key that may stand in this section? */
static bool begins_known_key(const struct lines *lines, struct slice line)
{
	const struct slice key = trim_slice(key_of(line));
	char name[32];

	if (key_of(line).len == line.len || key.len >= sizeof(name))
		return false;
	memcpy(name, key.at, key.len);
	name[key.len] = '\0';
	return lines->calls->is_key(lines->context, name);
}

/*
 * Does an indented line go on with the list above it? It does only where a comma says so, or where
 * the list has not begun: a key whose '=' was forgotten must not become part of a list.
 */
static bool continues_list(const struct lines *lines, struct slice line)
{
	const struct entry *entry = &lines->entry;

	if (!entry->open || !entry->is_list || begins_known_key(lines, line))
		return false;
	if (!entry->len)
		return key_of(line).len == line.len;
	return *line.at == ',' || entry->value[entry->len - 1] == ',';
}

/* A line that went to inih and did not come back was no "key = value". */
static void refuse_pending(struct lines *lines)
{
	struct reason why;

	if (!lines->pending)
		return;
	lines->pending = false;
	reason_refuse(&why, "this is neither '[section]' nor 'key = value'%s%s%s",
		      lines->below_list ? "; to go on with the list of '" : "",
		      lines->below_list ? lines->entry.name : "",
		      lines->below_list ? "', end the line above with a comma" : "");
	tell_problem(lines, why.text);
}

/* Sets up a line to be handed over in pieces, each with the key in front. */
static void begin_pieces(struct lines *lines, struct slice line, size_t most)
{
	const struct slice key = key_of(line);
	struct reason why;

	if (key.len == line.len) {
		lines->pending = true;
		refuse_pending(lines);
	} else if (key.len > most / 2) {
		reason_refuse(&why, "there are %zu characters before '=', no key is so long",
			      key.len);
		tell_problem(lines, why.text);
	} else {
		lines->piece_key = trim_slice(key);
		lines->rest =
			trim_slice((struct slice){ line.at + key.len + 1, line.len - key.len - 1 });
		lines->goes_on = false;
	}
}

/* Return: what of a line inih can have as it is; nothing if the line is not for it, or comes in pieces */
static struct slice admit_line(struct lines *lines, struct slice line, bool indented, size_t most)
{
	const struct slice nothing = { line.at, 0 };

	if (!is_text(line.at, line.len)) {
		close_entry(lines);
		tell_problem(lines,
			     "this is not text, a configuration holds printable characters only");
		return nothing;
	}
	if (line.len == 0 || *line.at == ';' || *line.at == '#')
		return nothing;
	if (indented && continues_list(lines, line)) {
		lines->piece_key = (struct slice){ lines->entry.name, strlen(lines->entry.name) };
		lines->rest = without_comment(line);
		lines->goes_on = true;
		return nothing;
	}
	lines->below_list = indented && lines->entry.open && lines->entry.is_list;
	close_entry(lines);
	if (*line.at == '[') {
		lines->calls->header(lines->context, lines->line, line.at, line.len);
		return nothing;
	}
	if (line.len > most)
		line = without_comment(line);
	if (line.len > most) {
		begin_pieces(lines, line, most);
		return nothing;
	}
	lines->pending = true;
	lines->goes_on = false;
	return line;
}

/* inih takes blanks off both ends of a value, so a piece neither begins nor ends with one. */
static size_t cut_piece(struct slice rest, size_t most)
{
	size_t cut = most;

	if (rest.len <= most)
		return rest.len;
	while (cut && (is_blank(rest.at[cut - 1]) || is_blank(rest.at[cut])))
		cut--;
	return cut;
}

/* Writes the next piece of a line, if there is one. */
static void put_piece(struct lines *lines, char *buffer, size_t most)
{
	const struct slice key = lines->piece_key;
	const size_t len = cut_piece(lines->rest, most - key.len - 1);

	if (!lines->rest.len)
		return;
	if (!len) {
		tell_problem(lines, "the value has too many blanks in a row, take some out");
		lines->rest.len = 0;
		return;
	}
	buffer = mempcpy(buffer, key.at, key.len);
	*buffer++ = '=';
	buffer = mempcpy(buffer, lines->rest.at, len);
	strcpy(buffer, "\n");
	lines->rest.at += len;
	lines->rest.len -= len;
	lines->pending = true;
}

/* The next line of the file. Return: false at the end, and where it is no text */
static bool next_line(struct lines *lines, struct slice *ret_line)
{
	struct slice line = { lines->text, 0 };
	const char *end;

	if (lines->text == lines->end)
		return false;
	end = memchr(line.at, '\n', (size_t)(lines->end - line.at));
	line.len = (size_t)((end ? end : lines->end) - line.at);
	lines->text = end ? end + 1 : lines->end;
	lines->line++;
	if (memchr(line.at, '\0', line.len)) {
		close_entry(lines);
		/* once: each line of a program or of UTF-16 would say the same */
		tell_problem(lines,
			     "this is no text file, as it holds a NUL byte; save it as UTF-8");
		lines->text = lines->end;
		return false;
	}
	if (lines->line == 1 && line.len >= 3 && !memcmp(line.at, "\xEF\xBB\xBF", 3)) {
		line.at += 3;
		line.len -= 3;
	}
	*ret_line = line;
	return true;
}

/* inih's reader, in the manner of fgets(). */
static char *read_line(char *buffer, int size, void *stream)
{
	struct lines *lines = stream;
	/* less the newline that inih wants to see, and the NUL */
	const size_t most = (size_t)size - 2;
	struct slice line, whole;

	if (lines->rest.len) {
		/* this piece belongs to the entry that the piece before has opened */
		lines->goes_on = true;
	} else {
		refuse_pending(lines);
		if (!next_line(lines, &whole))
			return NULL;
		line = admit_line(lines, trim_slice(whole), whole.len && is_blank(*whole.at), most);
		memcpy(buffer, line.at, line.len);
		strcpy(buffer + line.len, "\n");
	}
	put_piece(lines, buffer, most);
	return buffer;
}

int lines_read(const char *text, size_t size, struct arena *arena, const struct lines_calls *calls,
	       void *context)
{
	/* not for the stack of a thread that calls us before our constructor */
	struct lines *lines = arena_alloc(arena, sizeof(*lines));

	if (!lines)
		return -ENOMEM;
	lines->calls = calls;
	lines->context = context;
	lines->arena = arena;
	lines->text = text;
	lines->end = text + size;
	ini_parse_stream(read_line, lines, take_piece, lines);
	refuse_pending(lines);
	close_entry(lines);
	return lines->rc;
}
