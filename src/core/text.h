/* text: decimal numbers and UTF-8 characters, without stdio, locale or memory of its own. */
#ifndef PORTFENCE_CORE_TEXT_H
#define PORTFENCE_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest number of 64 bits, with its NUL */
#define TEXT_NUMBER_MAX sizeof("18446744073709551615")

/**
 * text_put_number() - Write a number in decimal
 * @to:		room for TEXT_NUMBER_MAX bytes
 * @width:	write at least so many digits, with zeros in front; at most 20
 *
 * By hand, because hooks may run in a signal handler, and because at a process's
 * start snprintf() alone costs two more pages of libc.
 *
 * Return: where the number ends, at its NUL
 */
char *text_put_number(char *to, uint64_t number, int width);

/**
 * text_get_number() - Read a decimal number of digits alone, without sign or blanks
 * @p:		where it begins; moved behind its last digit, on success only
 * @end:	where the text ends, or NULL if it ends with a NUL
 * @most:	the largest number allowed
 *
 * Return: false if there is no digit, or the number is larger
 */
bool text_get_number(const char **p, const char *end, uint64_t most, uint64_t *ret_number);

/* text_get_port() - Read a port, 1 to 65535, from text that ends with a NUL; as text_get_number() */
bool text_get_port(const char **p, uint16_t *ret_port);

/**
 * text_character() - Read one UTF-8 character
 * @text:	ends with a NUL
 *
 * Return: its length in bytes, or 0 if it is not UTF-8. Source: RFC 3629, section 4.
 */
size_t text_character(const char *text, uint32_t *ret_code);

/**
 * text_is_control() - Would this character end a line, steer a terminal, or reorder text?
 * @code:	its Unicode number
 *
 * These are C0, DEL and C1 (ECMA-48), the separators of lines and paragraphs, and
 * the characters that override the direction of writing (UAX #9).
 */
bool text_is_control(uint32_t code);

/* text_has_control() - Is there a control character? A byte that is not UTF-8 counts as ISO 8859-1 */
bool text_has_control(const char *text);

/* text_make_safe() - Make it UTF-8 that can be shown: each byte of anything else becomes a '?' */
void text_make_safe(char *text);

#endif
