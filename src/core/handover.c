#include "handover.h"

#include "siphash.h"
#include "variables.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * To read the configuration takes a process longer than all the rest of its
 * start, and most processes of a tree never make a socket. So `run`, which has
 * read it, puts what came of it into the environment:
 *
 *	3 SIGNATURE ORDER BIND EXHAUSTED ENGINE SEEDED SEED GATE FIRST LAST TCP UDP SCTP STRINGS
 *
 * Numbers are decimal; a range is first-last,first-last, or = for the same as
 * TCP's; a string is LENGTH:text, of length 0 for none. The signature is a hash of the variables,
 * so that whoever sets one of them inside the tree gets what he asks for: then
 * the text is passed over. It is made by us for us: another form or version is
 * passed over, too.
 */

#define VERSION '3'

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

/* ---- writing ---- */

struct writer {
	char *to;
	char *end;
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

static void put_range(struct writer *writer, const struct range *range)
{
	uint32_t i;

	for (i = 0; i < range->spans; i++)
		put(writer, "%s%d-%d", i ? "," : " ", range->span[i].first, range->span[i].last);
}

static void put_string(struct writer *writer, const char *text)
{
	text = text ? text : "";
	put(writer, " %zu:%s", strlen(text), text);
}

int handover_write(const struct handover *handover, char ret_text[HANDOVER_MAX])
{
	char map[PORTMAP_TEXT] = "";
	const struct rule *rule = handover->rule;
	struct writer writer = { ret_text, ret_text + HANDOVER_MAX };
	int proto;

	put(&writer, "%c %llu %d %d %d %d %d %llu %llu %d %d", VERSION,
	    (unsigned long long)signature(), (int)rule->order, (int)rule->bind,
	    (int)rule->exhausted, (int)rule->engine, rule->seeded, (unsigned long long)rule->seed,
	    (unsigned long long)handover->gate, handover->record.block.first,
	    handover->record.block.last);
	put_range(&writer, rule->range[PROTO_TCP]);
	for (proto = PROTO_TCP + 1; proto < PROTO_COUNT; proto++) {
		if (rule->range[proto] == rule->range[PROTO_TCP])
			put(&writer, " =");
		else
			put_range(&writer, rule->range[proto]);
	}
	put_string(&writer, rule->name);
	put_string(&writer, handover->file);
	put_string(&writer, handover->log);
	put_string(&writer, handover->state);
	put_string(&writer, handover->record.path);
	if (rule->map)
		portmap_format(rule->map, map, sizeof(map));
	put_string(&writer, map);
	return writer.to == writer.end ? -E2BIG : 0;
}

/* ---- reading ---- */

/* Every reader moves on only on success. */
static bool get_number(const char **p, uint64_t most, uint64_t *ret_number)
{
	const char *at = *p;
	uint64_t number = 0;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (number > (most - digit) / 10 || digit > most)
			return false;
		number = 10 * number + digit;
	}
	*p = at;
	*ret_number = number;
	return true;
}

static bool get_char(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

static bool get_field(const char **p, uint64_t most, uint64_t *ret_number)
{
	return get_char(p, ' ') && get_number(p, most, ret_number);
}

static bool get_choice(const char **p, unsigned choices, unsigned *ret_choice)
{
	uint64_t number;

	if (!get_field(p, choices - 1, &number))
		return false;
	*ret_choice = (unsigned)number;
	return true;
}

/* Return: 0, -EINVAL, -ENOMEM */
static int get_range(const char **p, struct arena *arena, const struct range **ret_range)
{
	const char *end, *at;
	uint64_t first, last, behind = 0;
	struct range *range;
	uint32_t spans = 1;

	if (!get_char(p, ' '))
		return -EINVAL;
	end = strchrnul(*p, ' ');
	for (at = *p; at < end; at++)
		spans += *at == ',';
	range = arena_alloc(arena, sizeof(*range) + spans * sizeof(range->span[0]));
	if (!range)
		return -ENOMEM;
	for (; range->spans < spans; range->spans++) {
		struct range_span *span = &range->span[range->spans];

		if ((range->spans && !get_char(p, ',')) || !get_number(p, 65535, &first) ||
		    !get_char(p, '-') || !get_number(p, 65535, &last))
			return -EINVAL;
		/* as a range has it: ascending, with a gap between, and without port 0 */
		if (first > last || first <= behind)
			return -EINVAL;
		behind = last + 1;
		span->first = (uint16_t)first;
		span->last = (uint16_t)last;
		span->before = range->count;
		range->count += (uint32_t)(last - first + 1);
	}
	*ret_range = range;
	return 0;
}

/* Return: 0, -EINVAL, -ENOMEM */
static int get_string(const char **p, struct arena *arena, const char **ret_text)
{
	uint64_t len;

	if (!get_field(p, HANDOVER_MAX, &len) || !get_char(p, ':') || strnlen(*p, len) < len)
		return -EINVAL;
	*ret_text = NULL;
	if (len) {
		/* the program may change its environment */
		*ret_text = arena_copy(arena, *p, len);
		if (!*ret_text)
			return -ENOMEM;
	}
	*p += len;
	return 0;
}

/* Return: 0, -EINVAL, -ENOMEM */
static int get_map(const char **p, struct arena *arena, const struct portmap **ret_map)
{
	const char *text = NULL;
	struct portmap *map;
	char why[256];
	uint32_t i;
	int rc = get_string(p, arena, &text);

	if (rc || !text)
		return rc;
	map = arena_alloc(arena, sizeof(*map));
	rc = map ? portmap_parse(text, map, why, sizeof(why)) : -ENOMEM;
	for (i = 0; !rc && i < map->count; i++)
		if (!map->entry[i].real)
			rc = -EINVAL;
	if (!rc)
		*ret_map = map;
	return rc;
}

int handover_read(const char *text, struct arena *arena, struct handover *ret_handover)
{
	unsigned order, bind, exhausted, engine, seeded, first, last;
	struct handover handover;
	uint64_t signed_by;
	struct rule *rule;
	int rc = 0, proto;

	if (!get_char(&text, VERSION) || !get_field(&text, UINT64_MAX, &signed_by))
		return -EINVAL;
	if (signed_by != signature())
		return -ESTALE;
	rule = arena_alloc(arena, sizeof(*rule));
	if (!rule)
		return -ENOMEM;
	if (!get_choice(&text, ORDER_COUNT, &order) || !get_choice(&text, BIND_DENY + 1, &bind) ||
	    !get_choice(&text, EXHAUSTED_SYSTEM + 1, &exhausted) ||
	    !get_choice(&text, ENGINE_BIND + 1, &engine) || !get_choice(&text, 2, &seeded) ||
	    !get_field(&text, UINT64_MAX, &rule->seed) ||
	    !get_field(&text, UINT64_MAX, &handover.gate) ||
	    !get_choice(&text, UINT16_MAX + 1, &first) || !get_choice(&text, UINT16_MAX + 1, &last))
		return -EINVAL;
	rule->order = (enum order)order;
	rule->bind = (enum bind_policy)bind;
	rule->exhausted = (enum exhausted)exhausted;
	rule->engine = (enum engine)engine;
	rule->seeded = seeded;
	handover.record.block.first = (uint16_t)first;
	handover.record.block.last = (uint16_t)last;
	for (proto = 0; !rc && proto < PROTO_COUNT; proto++) {
		if (proto != PROTO_TCP && !strncmp(text, " =", 2)) {
			rule->range[proto] = rule->range[PROTO_TCP];
			text += 2;
		} else {
			rc = get_range(&text, arena, &rule->range[proto]);
		}
	}
	rc = rc ? rc : get_string(&text, arena, &rule->name);
	rc = rc ? rc : get_string(&text, arena, &handover.file);
	rc = rc ? rc : get_string(&text, arena, &handover.log);
	rc = rc ? rc : get_string(&text, arena, &handover.state);
	rc = rc ? rc : get_string(&text, arena, &handover.record.path);
	rc = rc ? rc : get_map(&text, arena, &rule->map);
	if (rc)
		return rc;
	if (*text || !rule->name)
		return -EINVAL;
	handover.rule = rule;
	*ret_handover = handover;
	return 0;
}
