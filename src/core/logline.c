#include "logline.h"

#include "text.h"

#include <string.h>
#include <syslog.h>

/* A line that is being built. Its last byte is kept for the newline. */
struct out {
	char *text;
	size_t used;
	size_t size;
	bool json;
};

/* More bytes than follow the application's name in any line without a message. */
#define REST 400

static void put_char(struct out *out, char c)
{
	if (out->used + 1 < out->size)
		out->text[out->used++] = c;
}

static void put(struct out *out, const char *text)
{
	while (*text)
		put_char(out, *text++);
}

/* Adds several texts. */
#define PUT_ALL(out, ...) put_all(out, (const char *const[]){ __VA_ARGS__, NULL })

static void put_all(struct out *out, const char *const texts[])
{
	while (*texts)
		put(out, *texts++);
}

static void put_number(struct out *out, unsigned long value, int width)
{
	char digits[TEXT_NUMBER_MAX];

	text_put_number(digits, value, width);
	put(out, digits);
}

static void put_hex(struct out *out, unsigned value, int width)
{
	int shift = 12;

	while (shift > 0 && !(value >> shift) && shift >= 4 * width)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char(out, "0123456789abcdef"[value >> shift & 15]);
}

/*
 * Adds a name or a message, escaped so that it cannot end the line or a JSON string.
 * It is cut between two characters if it would leave less than @keep bytes for what
 * follows, so that a JSON line stays valid.
 */
static void put_escaped(struct out *out, const char *text, size_t keep)
{
	size_t length, i;
	uint32_t code;

	for (; *text; text += length) {
		unsigned char c = (unsigned char)*text;

		/* the longest form is an escape of 6 bytes */
		if (out->used + 6 + keep + 1 > out->size)
			return;
		length = text_character(text, &code);
		if (!length && out->json) {
			put(out, "\\ufffd");
		} else if (!length) {
			put(out, "\\x");
			put_hex(out, c, 2);
		} else if (text_is_control(code)) {
			put(out, "\\u");
			put_hex(out, code, 4);
		} else if (c == '"' || c == '\\') {
			put_char(out, '\\');
			put_char(out, *text);
		} else {
			for (i = 0; i < length; i++)
				put_char(out, text[i]);
		}
		length = length ? length : 1;
	}
}

/*
 * Adds the date, given in days since 1970-01-01, in the Gregorian calendar. The years
 * of this calculation begin in March, so that the leap day is the last day of a year.
 * gmtime_r() is not used, as it may take the lock of the time zone.
 */
static void put_date(struct out *out, long days)
{
	long era, day_of_era, year_of_era, day_of_year, month;

	days += 719468; /* from 0000-03-01 */
	era = days / 146097;
	day_of_era = days % 146097;
	year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	put_number(out, (unsigned long)(year_of_era + era * 400 + (month >= 10)), 4);
	put_char(out, '-');
	put_number(out, (unsigned long)(month < 10 ? month + 3 : month - 9), 2);
	put_char(out, '-');
	put_number(out, (unsigned long)(day_of_year - (153 * month + 2) / 5 + 1), 2);
}

static void put_time(struct out *out, const struct timespec *time)
{
	unsigned long seconds = (unsigned long)time->tv_sec;

	put_date(out, (long)(seconds / 86400));
	put_char(out, 'T');
	put_number(out, seconds / 3600 % 24, 2);
	put_char(out, ':');
	put_number(out, seconds / 60 % 60, 2);
	put_char(out, ':');
	put_number(out, seconds % 60, 2);
	put_char(out, '.');
	put_number(out, (unsigned long)time->tv_nsec / 1000, 6);
	put_char(out, 'Z');
}

static void put_v4(struct out *out, const uint8_t byte[4])
{
	int i;

	for (i = 0; i < 4; i++) {
		put(out, i ? "." : "");
		put_number(out, byte[i], 1);
	}
}

/* RFC 5952: the longest run of zero groups, the first of equals, becomes "::". */
static void put_v6(struct out *out, const uint8_t byte[16])
{
	int i, run = 0, start = -1, length = 1;

	for (i = 0; i < 8; i++) {
		run = byte[2 * i] | byte[2 * i + 1] ? 0 : run + 1;
		if (run > length) {
			length = run;
			start = i - run + 1;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == start) {
			put(out, "::");
			i += length - 1;
			continue;
		}
		put(out, i && i != start + (start >= 0 ? length : 0) ? ":" : "");
		put_hex(out, (unsigned)byte[2 * i] << 8 | byte[2 * i + 1], 1);
	}
}

static void put_address(struct out *out, const union addr *addr)
{
	uint8_t bytes[16];

	addr_bytes(addr, bytes);
	if (addr_is_v4(addr))
		put_v4(out, bytes + 12);
	else
		put_v6(out, bytes);
}

static void put_endpoint(struct out *out, const union addr *addr)
{
	bool brackets = !addr_is_v4(addr);

	put(out, brackets ? "[" : "");
	put_address(out, addr);
	put(out, brackets ? "]:" : ":");
	put_number(out, addr_port(addr), 1);
}

static size_t put_newline(struct out *out)
{
	out->text[out->used++] = '\n';
	return out->used;
}

static void put_head(struct out *out, const struct logline *line)
{
	if (line->record) {
		put_char(out, '{');
		return;
	}
	if (line->json) {
		put(out, "{\"time\":\"");
		put_time(out, &line->time);
		put(out, "\",\"pid\":");
		put_number(out, (unsigned long)line->pid, 1);
		put(out, ",\"application\":\"");
		put_escaped(out, line->application, REST);
		put(out, "\",");
		return;
	}
	if (line->journal) {
		put(out, "SYSLOG_IDENTIFIER=portfence\nPORTFENCE_PID=");
		put_number(out, (unsigned long)line->pid, 1);
		put(out, "\nPORTFENCE_APP=");
		/* the message has the name again, and is followed by as much as any other line */
		put_escaped(out, line->application, 3 * REST);
		put(out, "\n");
		return;
	}
	put_time(out, &line->time);
	put(out, " portfence[");
	put_number(out, (unsigned long)line->pid, 1);
	put(out, "] ");
	put_escaped(out, line->application, REST);
	put(out, ": ");
}

/* Begins the field that people read; the caller ends it. @priority: of syslog(3) */
static void put_message_field(struct out *out, const struct logline *line, int priority)
{
	put(out, "PRIORITY=");
	put_number(out, (unsigned long)priority, 1);
	put(out, "\nMESSAGE=");
	put_escaped(out, line->application, REST);
	put(out, ": ");
}

static bool has_peer(const struct assign *assign)
{
	return assign->call == ASSIGN_CONNECT || assign->call == ASSIGN_SEND;
}

static void put_port_json(struct out *out, const struct logline *line, uint16_t port)
{
	if (!line->record || !summary_in_block(line->record, port)) {
		put_number(out, port, 1);
		return;
	}
	put(out, "\"first+");
	put_number(out, (unsigned long)(port - line->record->first), 1);
	put_char(out, '"');
}

/* The port that the program named, where it got another one. */
static uint16_t asked_port(const struct assign *assign)
{
	return assign->moved ? assign->moved : assign->program_port;
}

static void put_assign_json(struct out *out, const struct logline *line, const char *call,
			    const struct assign *assign, const union addr *local, const char *proto,
			    const char *family)
{
	const union addr *told = !local && line->record && assign->outcome == OUTCOME_REFUSED
					 ? &assign->addr
					 : local;

	PUT_ALL(out, "\"call\":\"", call, "\",\"protocol\":\"", proto, family);
	if (told) {
		put(out, "\",\"address\":\"");
		put_address(out, told);
		put(out, "\",\"port\":");
		put_port_json(out, line, addr_port(told));
	} else {
		put(out, "\",\"address\":null,\"port\":null");
	}
	if (has_peer(assign)) {
		put(out, ",\"peer\":\"");
		put_address(out, &assign->addr);
		put(out, "\",\"peer_port\":");
		put_port_json(out, line, addr_port(&assign->addr));
	}
	if (asked_port(assign)) {
		put(out, ",\"asked\":");
		put_number(out, asked_port(assign), 1);
	} else if (!line->record) {
		PUT_ALL(out, ",\"engine\":\"", policy_engine_name(assign->engine), "\",\"tried\":");
		put_number(out, assign->tried, 1);
	}
	if (!local)
		PUT_ALL(out, ",\"problem\":\"", outcome_words(assign->outcome)->problem, "\"");
	put_char(out, '}');
}

static void put_assign_text(struct out *out, const char *call, const struct assign *assign,
			    const union addr *local, const char *proto, const char *family)
{
	PUT_ALL(out, call, " ", proto, family, " ");
	if (local)
		put_endpoint(out, local);
	else
		put(out, "-");
	if (has_peer(assign)) {
		put(out, " -> ");
		put_endpoint(out, &assign->addr);
	}
	if (asked_port(assign)) {
		put(out, " asked=");
		put_number(out, asked_port(assign), 1);
	} else {
		PUT_ALL(out, " engine=", policy_engine_name(assign->engine), " tried=");
		put_number(out, assign->tried, 1);
	}
	if (!local)
		PUT_ALL(out, ": ", outcome_words(assign->outcome)->problem);
}

static void put_field(struct out *out, const char *name, const char *value)
{
	PUT_ALL(out, "PORTFENCE_", name, "=", value, "\n");
}

static void put_number_field(struct out *out, const char *name, unsigned long value)
{
	char digits[TEXT_NUMBER_MAX];

	text_put_number(digits, value, 1);
	put_field(out, name, digits);
}

static void put_address_fields(struct out *out, const char *name, const char *port_name,
			       const union addr *addr)
{
	PUT_ALL(out, "PORTFENCE_", name, "=");
	put_address(out, addr);
	put(out, "\n");
	put_number_field(out, port_name, addr_port(addr));
}

static void put_assign_fields(struct out *out, const char *call, const struct assign *assign,
			      const union addr *local, const char *proto, const char *family)
{
	put_field(out, "CALL", call);
	PUT_ALL(out, "PORTFENCE_PROTOCOL=", proto, family, "\n");
	if (local)
		put_address_fields(out, "ADDRESS", "PORT", local);
	if (has_peer(assign))
		put_address_fields(out, "PEER", "PEER_PORT", &assign->addr);
	if (asked_port(assign)) {
		put_number_field(out, "ASKED", asked_port(assign));
	} else {
		put_field(out, "ENGINE", policy_engine_name(assign->engine));
		put_number_field(out, "TRIED", assign->tried);
	}
	if (!local)
		put_field(out, "PROBLEM", outcome_words(assign->outcome)->problem);
}

size_t logline_assign(const struct logline *line, const char *call, const struct assign *assign,
		      const union addr *local, char *ret_text, size_t size)
{
	bool json = line->json || line->record;
	struct out out = { .text = ret_text, .size = size, .json = json };
	const union addr *known = local                           ? local
				  : assign->call == ASSIGN_LISTEN ? NULL
								  : &assign->addr;
	const char *family = !known ? "" : known->sa.sa_family == AF_INET6 ? "6" : "4";
	const char *proto = policy_proto_name(assign->proto);

	put_head(&out, line);
	if (line->journal) {
		put_assign_fields(&out, call, assign, local, proto, family);
		put_message_field(&out, line, local ? LOG_INFO : LOG_WARNING);
	}
	if (json)
		put_assign_json(&out, line, call, assign, local, proto, family);
	else
		put_assign_text(&out, call, assign, local, proto, family);
	return put_newline(&out);
}

size_t logline_message(const struct logline *line, const char *level, const char *message,
		       char *ret_text, size_t size)
{
	struct out out = { .text = ret_text, .size = size, .json = line->json };

	put_head(&out, line);
	if (line->journal)
		put_message_field(&out, line,
				  *level == 'e'   ? LOG_ERR
				  : *level == 'w' ? LOG_WARNING
						  : LOG_INFO);
	else
		PUT_ALL(&out, line->json ? "\"level\":\"" : "", level,
			line->json ? "\",\"message\":\"" : ": ");
	put_escaped(&out, message, 2);
	put(&out, line->json ? "\"}" : "");
	return put_newline(&out);
}
