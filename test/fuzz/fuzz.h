/* fuzz: what the targets of this folder share; a target is one file with LLVMFuzzerTestOneInput(). */
#ifndef PORTFENCE_TEST_FUZZ_H
#define PORTFENCE_TEST_FUZZ_H

#include "../../src/core/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CLAIM() - Holds for every input; if it does not, libFuzzer keeps the input */
#define CLAIM(claim) fuzz_claim((claim), __FILE__, __LINE__, #claim)

__attribute__((unused)) static void fuzz_claim(bool holds, const char *file, int line,
					       const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, claim);
	abort();
}

/* The rest of an input. Zeros follow its end. */
struct fuzz {
	const uint8_t *at;
	const uint8_t *end;
};

__attribute__((unused)) static size_t fuzz_left(const struct fuzz *fuzz)
{
	return (size_t)(fuzz->end - fuzz->at);
}

__attribute__((unused)) static void fuzz_bytes(struct fuzz *fuzz, void *ret_bytes, size_t size)
{
	size_t n = fuzz_left(fuzz) < size ? fuzz_left(fuzz) : size;

	memset(ret_bytes, 0, size);
	if (n)
		memcpy(ret_bytes, fuzz->at, n);
	fuzz->at += n;
}

__attribute__((unused)) static uint8_t fuzz_byte(struct fuzz *fuzz)
{
	return fuzz->at < fuzz->end ? *fuzz->at++ : 0;
}

__attribute__((unused)) static uint16_t fuzz_word(struct fuzz *fuzz)
{
	uint16_t word;

	fuzz_bytes(fuzz, &word, sizeof(word));
	return word;
}

__attribute__((unused)) static uint64_t fuzz_number(struct fuzz *fuzz)
{
	uint64_t number;

	fuzz_bytes(fuzz, &number, sizeof(number));
	return number;
}

/**
 * fuzz_text() - The bytes up to a separator, or to the end
 *
 * Return: text in memory of its exact size, so that a read beyond it is found; free() it. A NUL also ends it
 */
__attribute__((unused)) static char *fuzz_text(struct fuzz *fuzz, char separator)
{
	const uint8_t *end = fuzz->at;
	char *text;

	while (end < fuzz->end && *end != (uint8_t)separator)
		end++;
	text = strndup((const char *)fuzz->at, (size_t)(end - fuzz->at));
	if (!text)
		abort();
	fuzz->at = end < fuzz->end ? end + 1 : end;
	return text;
}

/* fuzz_check_range() - Are the invariants of range.h kept? */
__attribute__((unused)) static void fuzz_check_range(const struct range *range)
{
	uint32_t i, count = 0;

	CLAIM(range->spans >= 1 && range->spans <= RANGE_RUNS_MAX);
	CLAIM(range->span[0].first >= 1);
	for (i = 0; i < range->spans; i++) {
		const struct range_span *span = &range->span[i];

		CLAIM(span->first <= span->last && span->before == count);
		CLAIM(i == 0 || span->first > span[-1].last + 1);
		CLAIM(range_port(range, count) == span->first);
		count += span->last - span->first + 1U;
		CLAIM(range_port(range, count - 1) == span->last);
		CLAIM(range_has(range, span->first) && range_has(range, span->last));
	}
	CLAIM(range->count == count);
	CLAIM(range_first(range) == range->span[0].first);
	CLAIM(range_last(range) == range->span[i - 1].last);
}

#endif
