#include "handover.h"

#include "key.h"
#include "siphash.h"
#include "text.h"
#include "variables.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * Reading the configuration takes longer than all the rest of a process's start,
 * and most processes of a tree never make a socket. So `run`, which has read it,
 * puts what it found into the environment, as words with a blank between them:
 *
 *	4 SIGNATURE section=curl file=/etc/portfence.ini range=20000-20999 order=random end
 *
 * The keys of the rule are those of key.h, and their own readers read them: a
 * key whose row says that it is handed over needs nothing here. A key that is not
 * there has its default. In a word, a blank, a '%' and a control character
 * are written as %XX.
 *
 * The signature is a hash of the variables. If a program inside the tree sets one
 * of them, it gets what it asks for: the text is passed over, and the
 * configuration is read. A text of another version is passed over as well.
 */

#define VERSION '4'
#define LAST_WORD " end" /* a text that was cut is refused */

static uint64_t signature(void)
{
	static const struct siphash_key fixed = { { 0x706f727466656e63ULL, 0x72756c65ULL } };
	struct siphash_key chain = fixed;
	int i;

	for (i = 0; i < VARIABLE_COUNT; i++) {
		const char *value = variables_get((enum variable)i);

		if (variables_table[i].kind == VARIABLES_HANDOVER)
			continue;
		value = value ? value : "";
		chain.k[0] ^= siphash(&chain, value, strlen(value));
		chain.k[1]++;
	}
	return chain.k[0];
}

/* What is handed over beside the rule, as it was found. Only a text may be missing. */
static const struct part {
	const char *name;
	enum { PART_TEXT, PART_PORT, PART_NUMBER } type;
	size_t member; /* offset in struct handover */
} parts[] = {
	{ "file", PART_TEXT, offsetof(struct handover, file) },
	{ "log", PART_TEXT, offsetof(struct handover, log) },
	{ "state", PART_TEXT, offsetof(struct handover, state) },
	{ "record", PART_TEXT, offsetof(struct handover, record.path) },
	{ "first", PART_PORT, offsetof(struct handover, record.block.first) },
	{ "last", PART_PORT, offsetof(struct handover, record.block.last) },
	{ "gate", PART_NUMBER, offsetof(struct handover, gate) },
	{ "tracer", PART_NUMBER, offsetof(struct handover, tracer) },
	{ "tracer-space", PART_NUMBER, offsetof(struct handover, tracer_space) },
	{ "verbose", PART_NUMBER, offsetof(struct handover, verbose) },
	{ "unseen", PART_NUMBER, offsetof(struct handover, unseen) },
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void *part_of(const struct handover *handover, const struct part *part)
{
	return (char *)handover + part->member;
}

/* ---- writing ---- */

struct writer {
	char *to;
	char *end; /* to is end: the text did not fit */
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format,
						      ...)
{
	size_t room = (size_t)(writer->end - writer->to);
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(writer->to, room, format, arguments);
	va_end(arguments);
	/* full: nothing else fits either */
	writer->to = n < 0 || (size_t)n >= room ? writer->end : writer->to + n;
}

static void put_text(struct writer *writer, const char *name, const char *text)
{
	put(writer, " %s=", name);
	for (; *text; text++)
		put(writer, (unsigned char)*text <= ' ' || *text == '%' ? "%%%02X" : "%c",
		    (unsigned char)*text);
}

static void put_range(struct writer *writer, const char *name, const struct range *range)
{
	uint32_t i;

	put(writer, " %s=", name);
	for (i = 0; i < range->spans; i++)
		put(writer, "%s%d-%d", i ? "," : "", range->span[i].first, range->span[i].last);
}

/* Writes a key that has not its default. */
static void put_key(struct writer *writer, const struct rule *rule, enum key key)
{
	const struct key_row *row = &key_table[key];
	char map[PORTMAP_TEXT];
	int proto;

	switch (row->type) {
	case KEY_TYPE_RANGE:
		put_range(writer, row->name, rule->range[PROTO_TCP]);
		break;
	case KEY_TYPE_PROTO_RANGE:
		proto = (int)(key - KEY_TCP_RANGE);
		if (rule->range[proto] != rule->range[PROTO_TCP])
			put_range(writer, row->name, rule->range[proto]);
		break;
	case KEY_TYPE_ORDER:
		if (rule->order)
			put_text(writer, row->name, order_name(rule->order));
		break;
	case KEY_TYPE_SEED:
		if (rule->seeded)
			put(writer, " %s=%llu", row->name, (unsigned long long)rule->seed);
		break;
	case KEY_TYPE_CHOICE:
		if (key_choice(rule, key))
			put_text(writer, row->name, row->choices[key_choice(rule, key)]);
		break;
	case KEY_TYPE_MAP:
		if (rule->map) {
			portmap_format(rule->map, map, sizeof(map));
			put_text(writer, row->name, map);
		}
		break;
	case KEY_TYPE_PORTS:
		if (rule->move)
			put_range(writer, row->name, rule->move);
		break;
	case KEY_TYPE_GLOBS:
	case KEY_TYPE_EXCLUDE:
		break;
	}
}

static void put_part(struct writer *writer, const struct handover *handover,
		     const struct part *part)
{
	const void *from = part_of(handover, part);
	const char *text = part->type == PART_TEXT ? *(const char *const *)from : NULL;
	const uint64_t number = part->type == PART_PORT     ? *(const uint16_t *)from
				: part->type == PART_NUMBER ? *(const uint64_t *)from
							    : 0;

	if (text)
		put_text(writer, part->name, text);
	else if (number)
		put(writer, " %s=%llu", part->name, (unsigned long long)number);
}

int handover_write(const struct handover *handover, char ret_text[HANDOVER_MAX])
{
	struct writer writer = { ret_text, ret_text + HANDOVER_MAX };
	size_t i;

	put(&writer, "%c %llu", VERSION, (unsigned long long)signature());
	put_text(&writer, "section", handover->rule->name);
	for (i = 0; i < PARTS; i++)
		put_part(&writer, handover, &parts[i]);
	for (i = 0; i < KEY_COUNT; i++)
		if (key_table[i].handed)
			put_key(&writer, handover->rule, (enum key)i);
	put(&writer, LAST_WORD);
	return writer.to == writer.end ? -E2BIG : 0;
}

/* ---- reading ---- */

_Static_assert(KEY_COUNT <= 32, "see read_word()");

/* The value of a hexadecimal digit, as it is written above; 16 if it is none */
static unsigned hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
				      : 16;
}

/* Makes "key=value" of a word, two texts in the arena. Return: 0, -EINVAL, -ENOMEM */
static int split_word(const char *word, size_t len, struct arena *arena, const char **ret_name,
		      const char **ret_value)
{
	/* a copy: the program may change its environment */
	char *name = arena_copy(arena, word, len), *value, *from, *to;

	if (!name)
		return -ENOMEM;
	value = strchr(name, '=');
	if (!value)
		return -EINVAL;
	*value++ = '\0';
	for (from = to = value; *from; from++) {
		*to = *from;
		if (*from == '%') {
			const unsigned high = hex_digit(from[1]);
			const unsigned low = high < 16 ? hex_digit(from[2]) : 16;

			if (low == 16 || !(high + low))
				return -EINVAL;
			*to = (char)(16 * high + low);
			from += 2;
		}
		to++;
	}
	*to = '\0';
	*ret_name = name;
	*ret_value = value;
	return *value ? 0 : -EINVAL;
}

/* A map that was handed over is placed. */
static bool is_placed(const struct portmap *map)
{
	uint32_t i;

	for (i = 0; i < map->count; i++)
		if (!map->entry[i].real)
			return false;
	return true;
}

static int read_key(enum key key, const char *value, struct arena *arena, struct rule *rule)
{
	struct reason why;
	int rc;

	switch (key_table[key].type) {
	case KEY_TYPE_RANGE:
		rc = range_read(value, arena, &rule->range[PROTO_TCP]);
		rule->range[PROTO_UDP] = rule->range[PROTO_SCTP] = rule->range[PROTO_TCP];
		return rc;
	case KEY_TYPE_PROTO_RANGE:
		return range_read(value, arena, &rule->range[key - KEY_TCP_RANGE]);
	default:
		rc = key_set(rule, key, value, arena, &why);
		return rc || !rule->map || is_placed(rule->map) ? rc : -EINVAL;
	}
}

static int read_part(const struct part *part, const char *value, struct handover *handover)
{
	void *to = part_of(handover, part);
	uint64_t number;

	if (part->type == PART_TEXT) {
		*(const char **)to = value;
		return 0;
	}
	if (!text_get_number(&value, NULL, part->type == PART_PORT ? UINT16_MAX : UINT64_MAX,
			     &number) ||
	    *value)
		return -EINVAL;
	if (part->type == PART_PORT)
		*(uint16_t *)to = (uint16_t)number;
	else
		*(uint64_t *)to = number;
	return 0;
}

static int read_word(const char *name, const char *value, struct arena *arena, struct rule *rule,
		     struct handover *handover, uint32_t *seen)
{
	const enum key key = key_find(name);
	size_t i;

	/* a key takes much more memory than its text, and is written once */
	if (key != KEY_COUNT && *seen & 1U << key)
		return -EINVAL;
	if (key != KEY_COUNT)
		*seen |= 1U << key;
	if (key != KEY_COUNT)
		return key_table[key].handed ? read_key(key, value, arena, rule) : -EINVAL;
	if (!strcmp(name, "section")) {
		rule->name = value;
		return 0;
	}
	for (i = 0; i < PARTS; i++)
		if (!strcmp(name, parts[i].name))
			return read_part(&parts[i], value, handover);
	return -EINVAL;
}

/* Moves behind "4 SIGNATURE". Return: 0, -EINVAL, -ESTALE */
static int read_head(const char **text, bool foreign)
{
	uint64_t signed_by;

	if ((*text)[0] != VERSION || (*text)[1] != ' ')
		return -EINVAL;
	*text += 2;
	if (!text_get_number(text, NULL, UINT64_MAX, &signed_by))
		return -EINVAL;
	return foreign || signed_by == signature() ? 0 : -ESTALE;
}

static int read_handover(const char *text, bool foreign, struct arena *arena,
			 struct handover *ret_handover)
{
	struct handover handover = { .rule = NULL };
	const char *name, *value;
	struct rule *rule;
	uint32_t seen = 0;
	int rc = read_head(&text, foreign);

	rule = rc ? NULL : arena_alloc(arena, sizeof(*rule));
	if (!rule)
		return rc ? rc : -ENOMEM;
	while (strcmp(text, LAST_WORD) != 0) {
		const size_t len = *text == ' ' ? strcspn(text + 1, " ") : 0;

		rc = len ? split_word(text + 1, len, arena, &name, &value) : -EINVAL;
		rc = rc ? rc : read_word(name, value, arena, rule, &handover, &seen);
		if (rc)
			return rc;
		text += len + 1;
	}
	if (!rule->name || !rule->range[PROTO_TCP])
		return -EINVAL;
	handover.rule = rule;
	*ret_handover = handover;
	return 0;
}

int handover_read(const char *text, struct arena *arena, struct handover *ret_handover)
{
	return read_handover(text, false, arena, ret_handover);
}

int handover_read_foreign(const char *text, struct arena *arena, struct handover *ret_handover)
{
	return read_handover(text, true, arena, ret_handover);
}
