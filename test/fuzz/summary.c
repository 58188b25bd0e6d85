/*
 * summary: any line is refused, or it is the very line that summary_write() would write; and it is
 * counted as a call's line, or refused.
 *
 * Input: a block's two ports, and a line.
 */
#include "../../src/core/summary.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	uint16_t first = fuzz_word(&fuzz), last = fuzz_word(&fuzz);
	const struct summary_block block = { first, last };
	size_t len = fuzz_left(&fuzz);
	char *text = malloc(len + !len), again[SUMMARY_MAX];
	struct summary summary = { .low = 0 };

	if (!text)
		abort();
	fuzz_bytes(&fuzz, text, len);
	if (summary_read(&block, text, len, &summary)) {
		CLAIM(!summary.low == !summary.assignments && summary.low <= summary.high);
		CLAIM(summary_write(&summary, &block, again) == len && !memcmp(again, text, len));
		/* after one more call, it can be read again */
		summary_add(&summary, 1);
		len = summary_write(&summary, &block, again);
		CLAIM(len < sizeof(again));
		CLAIM(!summary.assignments || summary_read(&block, again, len, &summary));
	} else if (summary_count(&summary, &block, text, len)) {
		CLAIM(summary.assignments + summary.refused == 1 && summary.low == summary.high);
	}
	free(text);
	return 0;
}
