#include "text.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

char *text_put_number(char *to, uint64_t number, int width)
{
	char digits[TEXT_NUMBER_MAX], *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do {
		*--p = (char)('0' + number % 10);
		number /= 10;
		width--;
	} while (number || width > 0);
	return stpcpy(to, p);
}

bool text_get_number(const char **p, const char *end, uint64_t most, uint64_t *ret_number)
{
	const char *at = *p;
	uint64_t number = 0;

	/* strtoul() would also take blanks and signs */
	if (at == end || !is_digit(*at))
		return false;
	for (; at != end && is_digit(*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (digit > most || number > (most - digit) / 10)
			return false;
		number = 10 * number + digit;
	}
	*p = at;
	*ret_number = number;
	return true;
}

bool text_get_port(const char **p, uint16_t *ret_port)
{
	const char *at = *p;
	uint64_t port;

	if (!text_get_number(&at, NULL, UINT16_MAX, &port) || !port)
		return false;
	*p = at;
	*ret_port = (uint16_t)port;
	return true;
}

size_t text_character(const char *text, uint32_t *ret_code)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least; /* smaller numbers have a shorter form */
	} forms[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };
	const unsigned char *c = (const unsigned char *)text;
	size_t form, i;
	uint32_t code;

	for (form = 0; form < 4; form++)
		if ((c[0] & forms[form].mask) == forms[form].lead)
			break;
	if (form == 4)
		return 0;
	code = c[0] & (unsigned char)~forms[form].mask;
	/* the NUL at the end is no continuation either */
	for (i = 1; i <= form; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c[i] & 0x3f);
	}
	/* too long a form, a surrogate, or beyond Unicode */
	if (code < forms[form].least || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	*ret_code = code;
	return form + 1;
}

bool text_is_control(uint32_t code)
{
	return code < ' ' || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

bool text_has_control(const char *text)
{
	uint32_t code;
	size_t length;

	for (; *text; text += length ? length : 1) {
		length = text_character(text, &code);
		if (text_is_control(length ? code : (unsigned char)*text))
			return true;
	}
	return false;
}

void text_make_safe(char *text)
{
	uint32_t code;
	size_t length;

	for (; *text; text += length) {
		length = text_character(text, &code);
		if (!length || text_is_control(code)) {
			*text = '?';
			length = 1;
		}
	}
}
