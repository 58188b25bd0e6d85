#include "portmap.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* Reads a port and the blanks behind it. Moves on only on success. */
static bool read_port(const char **p, uint16_t *ret_port)
{
	if (!text_get_port(p, ret_port))
		return false;
	*p = skip_blanks(*p);
	return true;
}

uint16_t portmap_real(const struct portmap *map, uint16_t asked)
{
	uint32_t i;

	for (i = 0; map && i < map->count; i++)
		if (map->entry[i].asked == asked)
			return map->entry[i].real;
	return 0;
}

uint16_t portmap_asked(const struct portmap *map, uint16_t real)
{
	uint32_t i;

	for (i = 0; map && real && i < map->count; i++)
		if (map->entry[i].real == real)
			return portmap_keeps(&map->entry[i]) ? 0 : map->entry[i].asked;
	return 0;
}

bool portmap_has(const struct portmap *map, uint16_t real)
{
	uint32_t i;

	for (i = 0; map && real && i < map->count; i++)
		if (map->entry[i].real == real)
			return true;
	return false;
}

static bool is_listed(const struct portmap *map, uint16_t port)
{
	uint32_t i;

	for (i = 0; i < map->count; i++)
		if (map->entry[i].asked == port || map->entry[i].real == port)
			return true;
	return false;
}

static int refuse_twice(uint16_t port, struct reason *ret_why)
{
	return reason_refuse(ret_why, "port %d stands twice in the map, keep one", port);
}

int portmap_parse(const char *text, struct portmap *ret_map, struct reason *ret_why)
{
	struct portmap map = { .count = 0 };
	const char *at = text;

	for (;;) {
		struct portmap_entry entry = { .real = 0 };

		at = skip_blanks(at);
		if (!read_port(&at, &entry.asked))
			break;
		if (*at == '?') {
			entry.optional = true;
			at = skip_blanks(at + 1);
		}
		if (*at == '=') {
			at = skip_blanks(at + 1);
			if (!read_port(&at, &entry.real))
				break;
		}
		if (*at && *at != ',')
			break;
		if (map.count == PORTMAP_MAX)
			return reason_refuse(ret_why, "a map holds %d ports at most", PORTMAP_MAX);
		if (is_listed(&map, entry.asked) || (entry.asked == entry.real && !entry.optional))
			return refuse_twice(entry.asked, ret_why);
		if (entry.real && is_listed(&map, entry.real))
			return refuse_twice(entry.real, ret_why);
		map.entry[map.count++] = entry;
		if (!*at) {
			*ret_map = map;
			return 0;
		}
		at++;
	}
	return reason_refuse(ret_why,
			     REASON_QUOTED
			     " is no map, write the ports that the program insists on, such as "
			     "8080, 5432",
			     text);
}

static bool all_have(const struct range *const *range, int ranges, uint16_t port)
{
	int i;

	for (i = 0; i < ranges; i++)
		if (!range_has(range[i], port))
			return false;
	return true;
}

int portmap_place(struct portmap *map, const struct range *const *range, int ranges,
		  struct reason *ret_why)
{
	uint32_t left = range[0]->count, i;

	for (i = 0; i < map->count; i++) {
		struct portmap_entry *entry = &map->entry[i];
		uint16_t port = 0;

		if (entry->real && !portmap_keeps(entry) && !all_have(range, ranges, entry->real))
			return reason_refuse(
				ret_why,
				"the map has port %d in the place of %d, which is outside the range",
				entry->real, entry->asked);
		while (!entry->real && left) {
			port = range_port(range[0], --left);
			if (!is_listed(map, port) && all_have(range, ranges, port))
				entry->real = port;
		}
		if (!entry->real)
			return reason_refuse(
				ret_why,
				"the range has no port left in the place of %d; give it more than the map's %u",
				entry->asked, map->count);
	}
	return 0;
}

int portmap_take_out(const struct portmap *map, const struct range *range, struct arena *arena,
		     const struct range **ret_range)
{
	struct range_set *set = arena_alloc(arena, sizeof(*set));
	struct range_set *out = arena_alloc(arena, sizeof(*out));
	uint32_t i;

	if (!set || !out)
		return -ENOMEM;
	range_set_add_range(set, range);
	for (i = 0; i < map->count; i++) {
		range_set_add(out, map->entry[i].asked, map->entry[i].asked);
		range_set_add(out, map->entry[i].real, map->entry[i].real);
	}
	range_set_remove(set, out);
	return range_build(set, arena, ret_range);
}

void portmap_format(const struct portmap *map, char *ret_text, size_t size)
{
	size_t used = 0;
	uint32_t i;

	ret_text[0] = '\0';
	for (i = 0; i < map->count && used < size; i++)
		used += (size_t)snprintf(ret_text + used, size - used, "%s%d%s=%d", i ? "," : "",
					 map->entry[i].asked,
					 portmap_keeps(&map->entry[i]) ? "?" : "",
					 map->entry[i].real);
}
