#include "slices.h"

#include "text.h"
#include "variables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define PORT_MAX 65535
#define INDEX_MAX 65535
#define ITEM_MAX 64 /* longer than "first+count * %i" can be with a few blanks */

struct slice {
	uint64_t first, count;
	char letter; /* of "%i" or "%h" */
};

bool slices_used(const char *list)
{
	return strchr(list, '%');
}

/* The whole text is a number. */
static bool read_index(const char *text, uint16_t *ret_index)
{
	uint64_t number;

	if (!text_get_number(&text, NULL, INDEX_MAX, &number) || *text)
		return false;
	*ret_index = (uint16_t)number;
	return true;
}

int slices_add_host(const char *name, const char *index, unsigned line, struct arena *arena,
		    const struct slices_host **hosts, struct reason *ret_why)
{
	struct slices_host *added;
	const struct slices_host *host;
	uint16_t number;

	if (!read_index(index, &number))
		return reason_refuse(ret_why,
				     REASON_QUOTED
				     " is no index, write a whole number from 0 to %d, such as "
				     "'%.100s = 0'",
				     index, INDEX_MAX, name);
	for (host = *hosts; host; host = host->next) {
		if (!strcasecmp(host->name, name))
			return reason_refuse(
				ret_why, "host '%.100s' is given twice, first in line %u; keep one",
				name, host->line);
		if (host->index == number)
			return reason_refuse(
				ret_why,
				"hosts '%.100s' and '%.100s' both have the index %u, so they would "
				"share their ports; give each host an index of its own",
				host->name, name, number);
	}
	added = arena_alloc(arena, sizeof(*added));
	if (!added)
		return -ENOMEM;
	*added =
		(struct slices_host){ *hosts, arena_copy(arena, name, strlen(name)), number, line };
	if (!added->name)
		return -ENOMEM;
	*hosts = added;
	return 0;
}

/* Is a host of the table this one, whose name is as in @self? */
static bool is_host(const char *name, const char *self)
{
	const size_t len = strcspn(self, ".");

	return !strcasecmp(name, self) || (strlen(name) == len && !strncasecmp(name, self, len));
}

/* The number at the end of the name's first part */
static int index_of_name(const char *self, uint16_t *ret_index, struct reason *ret_why)
{
	char name[sizeof(((struct utsname *)NULL)->nodename)];
	size_t begin;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(self, "."), self);
	begin = strlen(name);
	while (begin && name[begin - 1] >= '0' && name[begin - 1] <= '9')
		begin--;
	if (read_index(name + begin, ret_index))
		return 0;
	return reason_refuse(ret_why,
			     "'%%h' is the number at the end of the host's name, and '%s' ends in "
			     "none up to %d; set PORTFENCE_INDEX, or use '%%i' with [hosts]",
			     name, INDEX_MAX);
}

static int find_index(char letter, const struct slices_host *hosts, uint16_t *ret_index,
		      struct reason *ret_why)
{
	const char *variable = variables_get(VARIABLE_INDEX);
	struct utsname self;

	if (variable) {
		if (read_index(variable, ret_index))
			return 0;
		return reason_refuse(ret_why,
				     "PORTFENCE_INDEX is " REASON_QUOTED
				     ", write a whole number from 0 to %d",
				     variable, INDEX_MAX);
	}
	if (uname(&self))
		return -errno;
	if (letter == 'h')
		return index_of_name(self.nodename, ret_index, ret_why);
	for (; hosts; hosts = hosts->next) {
		if (is_host(hosts->name, self.nodename)) {
			*ret_index = hosts->index;
			return 0;
		}
	}
	return reason_refuse(ret_why,
			     "'%%i' has no value on this host; write a line '%s = 0' (its index) "
			     "into the section [hosts], or set PORTFENCE_INDEX",
			     self.nodename);
}

static void skip_blanks(const char **p)
{
	*p += strspn(*p, " \t");
}

/* Reads one character with the blanks behind it. */
static bool skip_character(const char **p, char character)
{
	if (**p != character)
		return false;
	++*p;
	skip_blanks(p);
	return true;
}

/* Reads a number with the blanks behind it. */
static bool read_ports(const char **p, uint64_t *ret_number)
{
	if (!text_get_number(p, NULL, PORT_MAX, ret_number) || !*ret_number)
		return false;
	skip_blanks(p);
	return true;
}

/* @item: without the blanks around it */
static int parse_slice(const char *item, struct slice *ret_slice, struct reason *ret_why)
{
	const char *p = item;

	if (!read_ports(&p, &ret_slice->first) || !skip_character(&p, '+') ||
	    !read_ports(&p, &ret_slice->count) || !skip_character(&p, '*') || *p++ != '%' ||
	    (*p != 'i' && *p != 'h') || p[1])
		return reason_refuse(ret_why,
				     "'%s' is no slice of ports, write first+count * %%i or "
				     "first+count * %%h, such as 20000+2048 * %%i",
				     item);
	ret_slice->letter = *p;
	return 0;
}

/* Writes what an item stands for, "22048+2048". */
static int expand_item(const char *item, const struct slices_host *hosts, char ret_text[ITEM_MAX],
		       struct reason *ret_why)
{
	struct slice slice;
	uint16_t index = 0;
	uint64_t first;
	char *to;
	int rc = parse_slice(item, &slice, ret_why);

	if (!rc)
		rc = find_index(slice.letter, hosts, &index, ret_why);
	if (rc)
		return rc;
	first = slice.first + slice.count * index;
	if (first + slice.count - 1 > PORT_MAX) {
		if (slice.first + slice.count - 1 > PORT_MAX)
			return reason_refuse(ret_why, "'%s' goes above port %d with each index",
					     item, PORT_MAX);
		return reason_refuse(ret_why,
				     "'%s' goes above port %d with the index %u, the highest "
				     "index that it has ports for is %u",
				     item, PORT_MAX, index,
				     (unsigned)((PORT_MAX + 1 - slice.first) / slice.count - 1));
	}
	to = text_put_number(ret_text, first, 0);
	*to++ = '+';
	text_put_number(to, slice.count, 0);
	return 0;
}

int slices_expand(const char *list, const struct slices_host *hosts, struct arena *arena,
		  const char **ret_list, struct reason *ret_why)
{
	char item[2 * ITEM_MAX], ports[ITEM_MAX];
	size_t len, end;
	char *to;
	int rc;

	*ret_list = list;
	if (!slices_used(list))
		return 0;
	/* at most, an item becomes one byte longer: the first port gains four digits, and "*%i" goes */
	to = arena_alloc(arena, 2 * strlen(list) + 1);
	if (!to)
		return -ENOMEM;
	*ret_list = to;
	for (;; *to++ = ',', list += len + 1) {
		skip_blanks(&list);
		len = strcspn(list, ",");
		if (!memchr(list, '%', len)) {
			to = mempcpy(to, list, len);
		} else {
			for (end = len; end && strchr(" \t", list[end - 1]);)
				end--;
			if (end >= sizeof(item))
				return reason_refuse(ret_why,
						     "'%.60s' goes on for %zu characters, which no "
						     "slice of ports does; write first+count * %%i",
						     list, end);
			snprintf(item, sizeof(item), "%.*s", (int)end, list);
			rc = expand_item(item, hosts, ports, ret_why);
			if (rc)
				return rc;
			to = stpcpy(to, ports);
		}
		if (!list[len])
			return 0;
	}
}
