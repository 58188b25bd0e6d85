/* text: numbers compared with printf(), and every character with the table of RFC 3629. */
#include "../../src/core/text.h"

#include "unit.h"

#include <inttypes.h>
#include <stdlib.h>

static void numbers(void)
{
	static const uint64_t some[] = {
		0, 9, 10, 65535, 65536, UINT32_MAX, 1ULL << 63, UINT64_MAX
	};
	char text[TEXT_NUMBER_MAX], want[64];
	size_t i;

	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		const char *p = text;
		uint64_t back = 1;
		char *end = text_put_number(text, some[i], 1);

		snprintf(want, sizeof(want), "%" PRIu64, some[i]);
		CHECK_TEXT(text, want, "number %zu", i);
		CHECK(end == text + strlen(text), "'%s' ends elsewhere", text);
		CHECK(text_get_number(&p, NULL, UINT64_MAX, &back) && back == some[i] && p == end,
		      "'%s' is read as %" PRIu64, text, back);
	}
	text_put_number(text, 7, 3);
	CHECK_TEXT(text, "007", "width 3");
	text_put_number(text, 1234, 3);
	CHECK_TEXT(text, "1234", "width 3");
}

static void bad_numbers(void)
{
	static const char *const bad[] = {
		"", " 1", "+1", "-1", "x", "65536", "99999999999999999999999"
	};
	uint64_t number = 7;
	uint16_t port = 7;
	const char *p, *text = "123";
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p = bad[i];
		CHECK(!text_get_number(&p, NULL, 65535, &number) && p == bad[i] && number == 7,
		      "'%s' is read", bad[i]);
		CHECK(!text_get_port(&p, &port) && p == bad[i] && port == 7, "'%s' is a port",
		      bad[i]);
	}
	p = "0";
	CHECK(!text_get_port(&p, &port) && port == 7, "0 is a port");
	p = "65535-";
	CHECK(text_get_port(&p, &port) && port == 65535 && *p == '-', "65535 is no port");
	p = text;
	CHECK(text_get_number(&p, text + 2, 65535, &number) && number == 12, "the end is passed");
}

/* The bytes of a code point, by the table of RFC 3629, section 3. */
static size_t encode(uint32_t code, char *ret_text)
{
	size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4, i;

	for (i = length - 1; i; i--, code >>= 6)
		ret_text[i] = (char)(0x80 | (code & 0x3f));
	ret_text[0] = (char)(length == 1 ? code : (0xf00 >> length & 0xff) | code);
	ret_text[length] = '\0';
	return length;
}

static void characters(void)
{
	uint32_t code, got;
	char text[8];

	for (code = 1; code < 0x120000; code++) {
		size_t length = encode(code, text);
		bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);

		got = 0;
		CHECK(text_character(text, &got) == (valid ? length : 0), "U+%04X", code);
		CHECK(!valid || got == code, "U+%04X is read as U+%04X", code, got);
		text[length - 1] = '\0';
		CHECK(length == 1 || !text_character(text, &got), "half of U+%04X", code);
	}
	CHECK(!text_character("\xc1\xbf", &got), "too long a form");
	CHECK(!text_character("\xe0\x9f\xbf", &got), "too long a form");
	CHECK(!text_character("\xf0\x8f\xbf\xbf", &got), "too long a form");
}

static void safety(void)
{
	static const struct {
		const char *text, *made;
		bool control;
	} table[] = {
		{ "", "", false },
		{ "caf\xc3\xa9", "caf\xc3\xa9", false },
		{ "caf\xe9", "caf?", false },
		{ "a\tb", "a?b", true },
		{ "a\x7f", "a?", true },
		{ "a\xc2\x9b", "a??", true },
		{ "a\x9b", "a?", true },
		{ "a\xe2\x80\xa8", "a???", true },
		{ "a\xe2\x80\xae", "a???", true },
		{ "a\xe2\x81\xa6z", "a???z", true },
		{ "\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf", false },
		{ "\xe2\x80", "??", true },
	};
	char text[32];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		strcpy(text, table[i].text);
		CHECK(text_has_control(text) == table[i].control, "row %zu", i);
		text_make_safe(text);
		CHECK_TEXT(text, table[i].made, "row %zu", i);
		CHECK(!text_has_control(text), "row %zu", i);
	}
}

int main(int argc, char **argv)
{
	static const struct unit_group groups[] = {
		{ "numbers", numbers },
		{ "bad-numbers", bad_numbers },
		{ "characters", characters },
		{ "safety", safety },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
