/*
 * logline: the text form, with addresses and dates compared with libc's. With --json
 * it prints JSON lines of all kinds, which test/unit.bats reads with an independent
 * parser.
 */
#include "../../src/core/logline.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>

static struct logline plain_line(void)
{
	struct logline line = {
		.time = { 1700000000, 123456789 }, /* 2023-11-14T22:13:20 */
		.pid = 4711,
		.application = "curl",
	};

	return line;
}

#define HEAD "2023-11-14T22:13:20.123456Z portfence[4711] curl: "

static union addr address(const char *text, uint16_t port)
{
	union addr addr;

	memset(&addr, 0, sizeof(addr));
	if (inet_pton(AF_INET, text, &addr.in4.sin_addr) == 1)
		addr.sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &addr.in6.sin6_addr) == 1)
		addr.sa.sa_family = AF_INET6;
	else
		abort();
	addr_set_port(&addr, port);
	return addr;
}

/* Checks a line and takes its newline off. Return: the line */
static const char *finished(const struct logline *line, char *text, size_t len, size_t size)
{
	if (!CHECK(len >= 1 && len <= size && text[len - 1] == '\n', "length %zu of %zu", len,
		   size))
		return "";
	text[len - 1] = '\0';
	CHECK((line->journal || !strchr(text, '\n')) && strlen(text) == len - 1, "one line: '%s'",
	      text);
	return text;
}

static const char *assigned(const struct logline *line, const char *call,
			    const struct assign *assign, const union addr *local)
{
	static char text[LOGLINE_MAX];

	return finished(line, text, logline_assign(line, call, assign, local, text, sizeof(text)),
			sizeof(text));
}

static const char *message(const struct logline *line, const char *level, const char *words)
{
	static char text[LOGLINE_MAX];

	return finished(line, text, logline_message(line, level, words, text, sizeof(text)),
			sizeof(text));
}

/* ---- the lines ---- */

static void text_lines(void)
{
	struct logline line = plain_line();
	union addr local4 = address("127.0.0.1", 20013), local6 = address("::1", 20013),
		   mapped = address("::ffff:10.1.2.3", 20014);
	struct assign assign = {
		.call = ASSIGN_CONNECT,
		.addr = address("192.0.2.7", 443),
		.proto = PROTO_TCP,
		.engine = ENGINE_BIND,
		.tried = 3,
	};

	CHECK_TEXT(assigned(&line, "connect", &assign, &local4),
		   HEAD "connect tcp4 127.0.0.1:20013 -> 192.0.2.7:443 engine=bind tried=3",
		   "connect");
	assign.addr = address("2001:db8::7", 443);
	assign.engine = ENGINE_KERNEL;
	assign.tried = 0;
	CHECK_TEXT(assigned(&line, "connect", &assign, &local6),
		   HEAD "connect tcp6 [::1]:20013 -> [2001:db8::7]:443 engine=kernel tried=0",
		   "IPv6");
	assign.addr = address("::ffff:10.1.2.4", 443);
	CHECK_TEXT(assigned(&line, "connect", &assign, &mapped),
		   HEAD "connect tcp6 10.1.2.3:20014 -> 10.1.2.4:443 engine=kernel tried=0",
		   "mapped");
	assign.call = ASSIGN_SEND;
	assign.proto = PROTO_UDP;
	assign.engine = ENGINE_AUTO;
	assign.tried = UINT32_MAX;
	assign.addr = address("10.0.0.1", 65535);
	CHECK_TEXT(assigned(&line, "sendto", &assign, &local4),
		   HEAD
		   "sendto udp4 127.0.0.1:20013 -> 10.0.0.1:65535 engine=none tried=4294967295",
		   "sendto");
	assign.call = ASSIGN_BIND;
	assign.proto = PROTO_SCTP;
	assign.engine = ENGINE_BIND;
	assign.tried = 1;
	CHECK_TEXT(assigned(&line, "bind", &assign, &local4),
		   HEAD "bind sctp4 127.0.0.1:20013 engine=bind tried=1", "bind");
	assign.call = ASSIGN_LISTEN;
	assign.proto = PROTO_TCP;
	CHECK_TEXT(assigned(&line, "listen", &assign, &local6),
		   HEAD "listen tcp6 [::1]:20013 engine=bind tried=1", "listen");
}

static void failed_lines(void)
{
	static const struct {
		enum outcome outcome;
		const char *problem;
	} table[] = {
		{ OUTCOME_ESCAPED, "the kernel left the range, call undone" },
		{ OUTCOME_CLOSED, "no valid configuration" },
		{ OUTCOME_REFUSED, "explicit bind refused" },
		{ OUTCOME_KERNEL_UNFIT, "the kernel engine cannot serve" },
		{ OUTCOME_SOCKET_UNKNOWN, "the kernel does not tell what the socket is" },
		{ OUTCOME_DIAG_FAILED, "no port could be shared" },
		{ OUTCOME_EXHAUSTED, "no port left" },
		{ OUTCOME_TIME_WAIT, "no port left, TIME_WAIT holds some" },
		{ OUTCOME_FELL_BACK, "no port left" },
		{ OUTCOME_FORBIDDEN, "no port may be bound" },
		{ OUTCOME_FINE, "no port may be bound" },
	};
	struct logline line = plain_line();
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct assign assign = { .outcome = table[i].outcome };
		char want[256];

		assign.call = ASSIGN_CONNECT;
		assign.addr = address("192.0.2.7", 443);
		assign.tried = 1000;
		snprintf(want, sizeof(want),
			 HEAD "connect tcp4 - -> 192.0.2.7:443 engine=none tried=1000: %s",
			 table[i].problem);
		CHECK_TEXT(assigned(&line, "connect", &assign, NULL), want, "connect");
		assign.call = ASSIGN_LISTEN;
		snprintf(want, sizeof(want), HEAD "listen tcp - engine=none tried=1000: %s",
			 table[i].problem);
		CHECK_TEXT(assigned(&line, "listen", &assign, NULL), want, "listen");
		assign.call = ASSIGN_BIND;
		assign.addr = address("::1", 0);
		snprintf(want, sizeof(want), HEAD "bind tcp6 - engine=none tried=1000: %s",
			 table[i].problem);
		CHECK_TEXT(assigned(&line, "bind", &assign, NULL), want, "bind");
	}
}

static void messages(void)
{
	struct logline line = plain_line();

	CHECK_TEXT(message(&line, "warning", "all is well"), HEAD "warning: all is well",
		   "a message");
	CHECK_TEXT(message(&line, "error", ""), HEAD "error: ", "no words");
}

static void journal_fields(void)
{
	struct logline line = plain_line();
	union addr local = address("2001:db8::1", 20013);
	struct assign assign = {
		.call = ASSIGN_CONNECT,
		.addr = address("2001:db8::7", 443),
		.engine = ENGINE_BIND,
		.tried = 3,
	};

	line.journal = true;
	CHECK_TEXT(assigned(&line, "connect", &assign, &local),
		   "SYSLOG_IDENTIFIER=portfence\nPORTFENCE_PID=4711\nPORTFENCE_APP=curl\n"
		   "PORTFENCE_CALL=connect\nPORTFENCE_PROTOCOL=tcp6\n"
		   "PORTFENCE_ADDRESS=2001:db8::1\nPORTFENCE_PORT=20013\n"
		   "PORTFENCE_PEER=2001:db8::7\nPORTFENCE_PEER_PORT=443\n"
		   "PORTFENCE_ENGINE=bind\nPORTFENCE_TRIED=3\nPRIORITY=6\n"
		   "MESSAGE=curl: connect tcp6 [2001:db8::1]:20013 -> [2001:db8::7]:443 "
		   "engine=bind tried=3",
		   "connect");
	assign.call = ASSIGN_BIND;
	assign.outcome = OUTCOME_EXHAUSTED;
	assign.program_port = 8080;
	CHECK_TEXT(assigned(&line, "bind", &assign, NULL),
		   "SYSLOG_IDENTIFIER=portfence\nPORTFENCE_PID=4711\nPORTFENCE_APP=curl\n"
		   "PORTFENCE_CALL=bind\nPORTFENCE_PROTOCOL=tcp6\nPORTFENCE_ASKED=8080\n"
		   "PORTFENCE_PROBLEM=no port left\nPRIORITY=4\n"
		   "MESSAGE=curl: bind tcp6 - asked=8080: no port left",
		   "a failure");
	/* no name and no message begins a field of its own */
	line.application = "a\nMESSAGE=forged";
	CHECK_TEXT(message(&line, "error", "two\nlines"),
		   "SYSLOG_IDENTIFIER=portfence\nPORTFENCE_PID=4711\n"
		   "PORTFENCE_APP=a\\u000aMESSAGE=forged\nPRIORITY=3\n"
		   "MESSAGE=a\\u000aMESSAGE=forged: two\\u000alines",
		   "a message");
}

static void json_lines(void)
{
	struct logline line = plain_line();
	union addr local = address("127.0.0.1", 20013);
	struct assign assign = {
		.call = ASSIGN_CONNECT,
		.addr = address("192.0.2.7", 443),
		.engine = ENGINE_BIND,
		.tried = 3,
	};

#define JSON_HEAD "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"pid\":4711,\"application\":\"curl\","
	line.json = true;
	CHECK_TEXT(assigned(&line, "connect", &assign, &local),
		   JSON_HEAD
		   "\"call\":\"connect\",\"protocol\":\"tcp4\",\"address\":\"127.0.0.1\","
		   "\"port\":20013,\"peer\":\"192.0.2.7\",\"peer_port\":443,\"engine\":\"bind\","
		   "\"tried\":3}",
		   "connect");
	assign.outcome = OUTCOME_EXHAUSTED;
	assign.engine = ENGINE_AUTO;
	CHECK_TEXT(assigned(&line, "connect", &assign, NULL),
		   JSON_HEAD
		   "\"call\":\"connect\",\"protocol\":\"tcp4\",\"address\":null,"
		   "\"port\":null,\"peer\":\"192.0.2.7\",\"peer_port\":443,\"engine\":\"none\","
		   "\"tried\":3,\"problem\":\"no port left\"}",
		   "a failure");
	CHECK_TEXT(message(&line, "warning", "say \"no\" to \\ and\ttab"),
		   JSON_HEAD
		   "\"level\":\"warning\",\"message\":\"say \\\"no\\\" to \\\\ and\\u0009tab\"}",
		   "a message");
}

static void record_lines(void)
{
	const struct summary_block none = { 0 }, block = { 20000, 20999 };
	struct logline line = { .record = &none };
	union addr local = address("127.0.0.1", 20013);
	struct assign assign = {
		.call = ASSIGN_CONNECT,
		.addr = address("192.0.2.7", 20999),
		.engine = ENGINE_BIND,
		.tried = 3,
	};

	CHECK_TEXT(assigned(&line, "connect", &assign, &local),
		   "{\"call\":\"connect\",\"protocol\":\"tcp4\",\"address\":\"127.0.0.1\","
		   "\"port\":20013,\"peer\":\"192.0.2.7\",\"peer_port\":20999}",
		   "connect");
	line.record = &block;
	CHECK_TEXT(assigned(&line, "connect", &assign, &local),
		   "{\"call\":\"connect\",\"protocol\":\"tcp4\",\"address\":\"127.0.0.1\","
		   "\"port\":\"first+13\",\"peer\":\"192.0.2.7\",\"peer_port\":\"first+999\"}",
		   "both ends in the block");
	local = address("127.0.0.1", 19999);
	assign.addr = address("192.0.2.7", 21000);
	CHECK_TEXT(assigned(&line, "connect", &assign, &local),
		   "{\"call\":\"connect\",\"protocol\":\"tcp4\",\"address\":\"127.0.0.1\","
		   "\"port\":19999,\"peer\":\"192.0.2.7\",\"peer_port\":21000}",
		   "both beside it");
	assign = (struct assign){ .call = ASSIGN_BIND,
				  .addr = address("::1", 8080),
				  .proto = PROTO_UDP,
				  .outcome = OUTCOME_REFUSED };
	CHECK_TEXT(assigned(&line, "bind", &assign, NULL),
		   "{\"call\":\"bind\",\"protocol\":\"udp6\",\"address\":\"::1\",\"port\":8080,"
		   "\"problem\":\"explicit bind refused\"}",
		   "refused");
	assign.outcome = OUTCOME_EXHAUSTED;
	CHECK_TEXT(assigned(&line, "bind", &assign, NULL),
		   "{\"call\":\"bind\",\"protocol\":\"udp6\",\"address\":null,\"port\":null,"
		   "\"problem\":\"no port left\"}",
		   "exhausted");
}

/* ---- addresses ---- */

static const char *printed(const union addr *addr)
{
	struct logline line = plain_line();
	struct assign assign = { .call = ASSIGN_BIND };
	static char text[128];
	char *end;

	snprintf(text, sizeof(text), "%s",
		 assigned(&line, "bind", &assign, addr) + strlen(HEAD "bind tcp4 "));
	end = strstr(text, " engine=");
	if (CHECK(end, "'%s'", text))
		*end = '\0';
	return text;
}

static void v4_addresses(void)
{
	static const uint8_t bytes[] = { 0, 1, 9, 10, 99, 100, 127, 200, 255 };
	union addr addr = address("0.0.0.0", 0);
	size_t i, n = sizeof(bytes);

	for (i = 0; i < n * n * n * n; i++) {
		uint8_t four[4] = { bytes[i % n], bytes[i / n % n], bytes[i / n / n % n],
				    bytes[i / n / n / n] };
		char text[64], want[INET_ADDRSTRLEN];

		memcpy(&addr.in4.sin_addr, four, 4);
		addr_set_port(&addr, (uint16_t)(i * 31));
		inet_ntop(AF_INET, &addr.in4.sin_addr, want, sizeof(want));
		snprintf(text, sizeof(text), "%s:%u", want, (unsigned)(uint16_t)(i * 31));
		CHECK_TEXT(printed(&addr), text, "address %zu", i);
	}
}

static void compare_v6(const union addr *addr)
{
	const struct in6_addr *bytes = &addr->in6.sin6_addr;
	const char *got = printed(addr);
	char want[INET6_ADDRSTRLEN], text[80];
	struct in6_addr back;
	size_t len;

	if (IN6_IS_ADDR_V4MAPPED(bytes)) {
		inet_ntop(AF_INET, &bytes->s6_addr[12], want, sizeof(want));
		snprintf(text, sizeof(text), "%s:443", want);
		CHECK_TEXT(got, text, "a mapped address");
		return;
	}
	inet_ntop(AF_INET6, bytes, want, sizeof(want));
	/* ::1.2.3.4 is deprecated (RFC 4291, 2.5.5.1); inet_ntop still writes it */
	if (!strchr(want, '.')) {
		snprintf(text, sizeof(text), "[%s]:443", want);
		CHECK_TEXT(got, text, "an address");
		return;
	}
	len = strlen(got);
	snprintf(text, sizeof(text), "%.*s", (int)(len > 6 ? len - 6 : 0), got + 1);
	CHECK(inet_pton(AF_INET6, text, &back) == 1 && !memcmp(&back, bytes, sizeof(back)),
	      "%s for %s", got, want);
}

static void v6_addresses(void)
{
	static const uint16_t groups[] = { 1, 0xf, 0x10, 0xff, 0x100, 0xfff, 0x1000, 0xffff };
	union addr addr = address("::", 443);
	uint64_t random = 37;
	int zeros, i, k;

	/* each pattern of zero and non-zero groups, with non-zero groups of all lengths */
	for (zeros = 0; zeros < 256; zeros++) {
		for (i = 0; i < 64; i++) {
			for (k = 0; k < 8; k++) {
				uint16_t group = groups[unit_random(&random) % 8];

				addr.in6.sin6_addr.s6_addr16[k] = htons(zeros >> k & 1 ? 0 : group);
			}
			compare_v6(&addr);
		}
	}
	for (i = 0; i < 20000; i++) {
		for (k = 0; k < 8; k++) {
			uint64_t group = unit_random(&random);

			addr.in6.sin6_addr.s6_addr16[k] =
				group >> 32 & 1 ? 0 : htons((uint16_t)(group & group >> 16));
		}
		compare_v6(&addr);
	}
}

static void known_v6_addresses(void)
{
	/* the examples of RFC 5952, and edge cases */
	static const char *const table[] = { "::",
					     "::1",
					     "1::",
					     "2001:db8::1",
					     "2001:db8:0:1:1:1:1:1",
					     "2001:0:0:1::1",
					     "2001:db8::1:0:0:1",
					     "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa",
					     "fe80::1",
					     "1:2:3:4:5:6:7:8",
					     "::2:3:4:5:6:7:8",
					     "1:2:3:4:5:6:7:0",
					     "1:2:3:4:5:6::",
					     "0:2:3:4:5:6:7:8",
					     "1::3:4:5:6:0:0",
					     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		union addr addr = address(table[i], 443);
		char want[80];

		/* a single zero group is written as "0", never as "::" */
		snprintf(want, sizeof(want), "[%s]:443", table[i]);
		if (!strncmp(table[i], "::2", 3))
			snprintf(want, sizeof(want), "[0:2:3:4:5:6:7:8]:443");
		if (!strncmp(table[i], "1::3", 4))
			snprintf(want, sizeof(want), "[1:0:3:4:5:6::]:443");
		CHECK_TEXT(printed(&addr), want, "%s", table[i]);
	}
}

/* ---- dates ---- */

static void check_time(long long seconds, long nanoseconds)
{
	struct logline line = plain_line();
	time_t time = (time_t)seconds;
	char want[64];
	const char *got;
	struct tm tm;

	line.time.tv_sec = time;
	line.time.tv_nsec = nanoseconds;
	gmtime_r(&time, &tm);
	snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, nanoseconds / 1000);
	got = message(&line, "error", "x");
	CHECK(!strncmp(got, want, strlen(want)), "second %lld: '%.30s', not '%s'", seconds, got,
	      want);
}

static void every_day(void)
{
	enum { DAYS = 47847 }; /* 1970-01-01 to 2100-12-31 */
	long long day;

	for (day = 0; day < DAYS; day++) {
		check_time(day * 86400, 0);
		check_time(day * 86400 + 86399, 999999999);
	}
	/* dates far beyond, with the leap days of some centuries */
	for (day = DAYS; day < 400000; day += 13)
		check_time(day * 86400 + day % 86400, 1000);
}

static void times_of_day(void)
{
	static const long parts[] = { 0,      1,       999,       1000,      1001,
				      999999, 1000000, 123456789, 999999000, 999999999 };
	uint64_t random = 41;
	size_t i;
	int k;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		check_time(951782400, parts[i]); /* 2000-02-29 */
	for (k = 0; k < 100000; k++)
		check_time((long long)(unit_random(&random) % 4133980800),
			   (long)(unit_random(&random) % 1000000000));
}

/* ---- names and messages from outside ---- */

static void control_characters(void)
{
	struct logline line = plain_line();
	char words[8], want[128];
	int c;

	for (c = 1; c < 256; c++) {
		const char *form = c < ' ' || c == 0x7f    ? "\\u%04x"
				   : c > 0x7f              ? "\\x%02x"
				   : c == '"' || c == '\\' ? "\\%c"
							   : "%c";
		char escaped[16];

		/* the forms are the four above */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(escaped, sizeof(escaped), form, c);
#pragma GCC diagnostic pop
		snprintf(words, sizeof(words), "a%cb", c);
		snprintf(want, sizeof(want), HEAD "error: a%sb", escaped);
		CHECK_TEXT(message(&line, "error", words), want, "byte %d in a message", c);
		line.application = words;
		snprintf(want, sizeof(want),
			 "2023-11-14T22:13:20.123456Z portfence[4711] a%sb: error: x", escaped);
		CHECK_TEXT(message(&line, "error", "x"), want, "byte %d in a name", c);
		line.application = "curl";
	}
	CHECK_TEXT(message(&line, "error",
			   "a\n2023-11-14T22:13:21.000000Z portfence[1] sshd: forged"),
		   HEAD "error: a\\u000a2023-11-14T22:13:21.000000Z portfence[1] sshd: forged",
		   "a forged line");
	/* C1 (NEL, CSI), the separators, and what overrides the direction of writing */
	CHECK_TEXT(message(&line, "error",
			   "\xC2\x80\xC2\x85\xC2\x9B\xC2\x9F\xC2\xA0"
			   "\xE2\x80\xA7\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAE\xE2\x80\xAF"
			   "\xE2\x81\xA5\xE2\x81\xA6\xE2\x81\xA9\xE2\x81\xAA"),
		   HEAD "error: \\u0080\\u0085\\u009b\\u009f\xC2\xA0"
			"\xE2\x80\xA7\\u2028\\u2029\\u202e\xE2\x80\xAF"
			"\xE2\x81\xA5\\u2066\\u2069\xE2\x81\xAA",
		   "control characters of more than one byte");
}

/* A line that does not fit is cut, but remains a line. */
static void small_buffers(void)
{
	union addr local = address("2001:db8:1:2:3:4:5:6", 20013);
	struct assign assign = {
		.call = ASSIGN_CONNECT,
		.addr = address("2001:db8:6:5:4:3:2:1", 443),
		.tried = 3,
	};
	struct logline line = plain_line();
	char words[5000], whole[8192], text[8192 + 16];
	size_t size, len, full;
	int form;

	memset(words, '\t', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	for (form = 0; form < 3; form++) {
		line.json = form == 1;
		line.journal = form == 2;
		full = logline_assign(&line, "connect", &assign, &local, whole, sizeof(whole));
		for (size = 1; size <= full + 2; size++) {
			memset(text, '#', sizeof(text));
			len = logline_assign(&line, "connect", &assign, &local, text, size);
			CHECK(len >= 1 && len <= size && len <= full, "%zu of %zu: %zu", size, full,
			      len);
			CHECK(text[len - 1] == '\n' && text[len] == '#', "size %zu", size);
			CHECK(line.journal || memchr(text, '\n', size) == text + len - 1,
			      "one line of size %zu", size);
		}
		len = logline_assign(&line, "connect", &assign, &local, text, LOGLINE_MAX);
		CHECK(len == full && !memcmp(text, whole, full), "cut without need: %zu of %zu",
		      len, full);
		memset(text, '#', sizeof(text));
		len = logline_message(&line, "error", words, text, LOGLINE_MAX);
		CHECK(len <= LOGLINE_MAX && text[len - 1] == '\n' && text[LOGLINE_MAX] == '#',
		      "5,000 control characters: %zu", len);
	}
}

/* ---- lines for a JSON parser ---- */

static void print_line(const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
}

static void print_json(void)
{
	static const char *const words[] = { "all is well",
					     "say \"no\"",
					     "back\\slash\\",
					     "\x01\x02\x1f\x7f",
					     "a\nb\rc\td\be\ff",
					     "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80",
					     "",
					     "</script>",
					     "%s%n" };
	static const char *const addresses[] = { "127.0.0.1", "::1", "2001:db8::1",
						 "::ffff:1.2.3.4" };
	static const char *const calls[] = { "bind", "connect", "listen", "sendto" };
	struct logline line = plain_line();
	char text[LOGLINE_MAX] = "";
	size_t i, k;

	line.json = true;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		line.application = words[i];
		print_line(text, logline_message(&line, "warning", words[i], text, sizeof(text)));
	}
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		for (k = 0; k < 16; k++) {
			union addr local = address(addresses[i], 20013);
			struct assign assign = {
				.call = (enum assign_call)(k % 4),
				.addr = address(addresses[i], 443),
				.proto = (enum proto)(k % 3),
				.engine = (enum engine)(k % 3),
				.outcome = (enum outcome)(k % OUTCOME_COUNT),
			};

			print_line(text, logline_assign(&line, calls[k % 4], &assign,
							k < 8 ? &local : NULL, text, sizeof(text)));
		}
	}
}

/*
 * --json-rare: names that the environment or a path can hold, and a message that is
 * longer than a line.
 */
static void print_rare_json(void)
{
	struct logline line = plain_line();
	char words[5000], text[LOGLINE_MAX] = "";
	size_t i;

	line.json = true;
	for (i = 0; i < sizeof(words) - 1; i++)
		words[i] = "a\t\"\\"[i % 4];
	for (i = 1500; i < sizeof(words); i += 7) {
		words[i] = '\0';
		print_line(text, logline_message(&line, "error", words, text, sizeof(text)));
		words[i] = 'b';
	}
	/* even a name of this length leaves room for the rest of the line */
	line.application = words;
	for (i = 0; i < 7; i++) {
		union addr local = address("2001:db8:1:2:3:4:5:6", 20013);
		struct assign assign = {
			.call = ASSIGN_CONNECT,
			.addr = address("2001:db8:6:5:4:3:2:1", 443),
		};

		words[2500 + i] = '\0';
		print_line(text, logline_assign(&line, "connect", &assign, i % 2 ? &local : NULL,
						text, sizeof(text)));
		print_line(text, logline_message(&line, "error", "x", text, sizeof(text)));
		words[2500 + i] = 'b';
	}
	line.application = "curl";
	/* ISO 8859-1, a cut character, too long a form, a surrogate, beyond Unicode */
	print_line(text, logline_message(&line, "error", "caf\xE9", text, sizeof(text)));
	print_line(text, logline_message(&line, "error", "\xE2\x82", text, sizeof(text)));
	print_line(text,
		   logline_message(&line, "error", "\xC0\xAF \xE0\x80\xAF", text, sizeof(text)));
	print_line(text, logline_message(&line, "error", "\xED\xA0\x80", text, sizeof(text)));
	print_line(text,
		   logline_message(&line, "error", "\xF4\x90\x80\x80 \xFF", text, sizeof(text)));
	line.application = "caf\xE9";
	print_line(text, logline_message(&line, "error", "x", text, sizeof(text)));
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "text-lines", text_lines },
		{ "failed-lines", failed_lines },
		{ "messages", messages },
		{ "journal-fields", journal_fields },
		{ "json-lines", json_lines },
		{ "record-lines", record_lines },
		{ "v4-addresses", v4_addresses },
		{ "v6-addresses", v6_addresses },
		{ "known-v6-addresses", known_v6_addresses },
		{ "every-day", every_day },
		{ "times-of-day", times_of_day },
		{ "control-characters", control_characters },
		{ "small-buffers", small_buffers },
		{ NULL, NULL },
	};

	if (argc == 2 && !strcmp(argv[1], "--json")) {
		print_json();
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--json-rare")) {
		print_rare_json();
		return 0;
	}
	return unit_main(argc, argv, groups);
}
