#include "summary.h"

#include "text.h"

#include <string.h>

void summary_add(struct summary *summary, uint16_t port)
{
	if (!port) {
		summary->refused++;
		return;
	}
	if (!summary->assignments++)
		summary->low = summary->high = port;
	summary->low = port < summary->low ? port : summary->low;
	summary->high = port > summary->high ? port : summary->high;
}

/* ---- writing ---- */

static char *put_port(char *to, const struct summary_block *block, uint16_t port)
{
	if (!summary_in_block(block, port))
		return text_put_number(to, port, 1);
	return text_put_number(stpcpy(to, "first+"), (uint64_t)(port - block->first), 1);
}

static char *put_ports(char *to, const struct summary *summary, const struct summary_block *block)
{
	bool numbers =
		!summary_in_block(block, summary->low) && !summary_in_block(block, summary->high);

	if (!summary->low)
		return stpcpy(to, "no port");
	if (summary->low == summary->high)
		return put_port(stpcpy(to, "port "), block, summary->low);
	to = put_port(stpcpy(to, "ports "), block, summary->low);
	return put_port(stpcpy(to, numbers ? "-" : " to "), block, summary->high);
}

size_t summary_write(const struct summary *summary, const struct summary_block *block,
		     char ret_text[SUMMARY_MAX])
{
	char *to = put_ports(stpcpy(ret_text, "{\"summary\":\""), summary, block);

	to = text_put_number(stpcpy(to, " used, "), summary->assignments, 1);
	to = stpcpy(to, summary->assignments == 1 ? " assignment, " : " assignments, ");
	to = stpcpy(text_put_number(to, summary->refused, 1), " refused\"}\n");
	return (size_t)(to - ret_text);
}

/* ---- reading ---- */

/* Every reader moves on only on success. */
static bool get_word(const char **p, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *p) < len || memcmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

/* Reads "20013", or "first+13" if there is a block. */
static bool get_port(const char **p, const char *end, const struct summary_block *block,
		     uint16_t *ret_port)
{
	bool offset = get_word(p, end, "first+");
	uint64_t base = offset ? block->first : 0, number;

	if (!text_get_number(p, end, UINT16_MAX - base, &number) || !(base + number) ||
	    (offset && !summary_in_block(block, (uint16_t)(base + number))))
		return false;
	*ret_port = (uint16_t)(base + number);
	return true;
}

/*
 * Reads what it can, and then checks that summary_write() would write the very same
 * line. So there is no second description of its form here.
 */
bool summary_read(const struct summary_block *block, const char *text, size_t len,
		  struct summary *ret_summary)
{
	const char *p = text, *end = text + len;
	struct summary summary = { .low = 0 };
	char again[SUMMARY_MAX];

	if (!get_word(&p, end, "{\"summary\":\""))
		return false;
	if (get_word(&p, end, "port ") || get_word(&p, end, "ports ")) {
		if (!get_port(&p, end, block, &summary.low))
			return false;
		summary.high = summary.low;
		if ((get_word(&p, end, "-") || get_word(&p, end, " to ")) &&
		    !get_port(&p, end, block, &summary.high))
			return false;
	} else if (!get_word(&p, end, "no port")) {
		return false;
	}
	if (!get_word(&p, end, " used, ") ||
	    !text_get_number(&p, end, UINT64_MAX, &summary.assignments))
		return false;
	if (!get_word(&p, end, summary.assignments == 1 ? " assignment, " : " assignments, ") ||
	    !text_get_number(&p, end, UINT64_MAX, &summary.refused))
		return false;
	/* a port means an assignment, and an assignment a port */
	if (!summary.low != !summary.assignments || summary.low > summary.high)
		return false;
	if (summary_write(&summary, block, again) != len || memcmp(again, text, len) != 0)
		return false;
	*ret_summary = summary;
	return true;
}

/* Passes over text in quotes without any character that has to be escaped. */
static bool get_text(const char **p, const char *end)
{
	const char *at = *p;

	if (!get_word(&at, end, "\""))
		return false;
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= ' ')
		at++;
	if (!get_word(&at, end, "\""))
		return false;
	*p = at;
	return true;
}

/* Reads a port of a call's line: 20013 or "first+13". */
static bool get_port_json(const char **p, const char *end, const struct summary_block *block,
			  uint16_t *ret_port)
{
	const char *at = *p;
	bool quoted = get_word(&at, end, "\"");

	if (quoted && (at == end || *at != 'f'))
		return false;
	if (!get_port(&at, end, block, ret_port) || (quoted && !get_word(&at, end, "\"")))
		return false;
	*p = at;
	return true;
}

bool summary_count(struct summary *summary, const struct summary_block *block, const char *text,
		   size_t len)
{
	const char *p = text, *end = text + len;
	uint16_t port = 0, peer_port;
	uint64_t asked;
	bool problem;

	if (!get_word(&p, end, "{\"call\":") || !get_text(&p, end) ||
	    !get_word(&p, end, ",\"protocol\":") || !get_text(&p, end) ||
	    !get_word(&p, end, ",\"address\":") ||
	    !(get_text(&p, end) || get_word(&p, end, "null")) || !get_word(&p, end, ",\"port\":") ||
	    !(get_port_json(&p, end, block, &port) || get_word(&p, end, "null")))
		return false;
	if (get_word(&p, end, ",\"peer\":") &&
	    (!get_text(&p, end) || !get_word(&p, end, ",\"peer_port\":") ||
	     !(get_port_json(&p, end, block, &peer_port) || get_word(&p, end, "0"))))
		return false;
	if (get_word(&p, end, ",\"asked\":") && !text_get_number(&p, end, UINT16_MAX, &asked))
		return false;
	problem = get_word(&p, end, ",\"problem\":");
	if ((problem && !get_text(&p, end)) || !get_word(&p, end, "}\n") || p != end)
		return false;
	if (!problem && !port)
		return false;
	/* with a problem, the port is the one that the program asked for */
	summary_add(summary, problem ? 0 : port);
	return true;
}
