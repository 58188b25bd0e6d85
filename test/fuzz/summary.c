/*
 * summary: whatever stands at the end of a record is passed over, or is the very line that would be
 * written of what it says; and its lines are counted, or are none.
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
	struct summary tally = { .low = 0 };

	if (!text)
		abort();
	fuzz_bytes(&fuzz, text, len);
	if (summary_read(&block, text, len, &tally)) {
		CLAIM(!tally.low == !tally.assignments && tally.low <= tally.high);
		CLAIM(summary_write(&tally, &block, again) == len && !memcmp(again, text, len));
		/* one more, and it can be read again */
		summary_add(&tally, 1);
		len = summary_write(&tally, &block, again);
		CLAIM(len < sizeof(again));
		CLAIM(!tally.assignments || summary_read(&block, again, len, &tally));
	} else if (summary_count(&tally, &block, text, len)) {
		CLAIM(tally.assignments + tally.refused == 1 && tally.low == tally.high);
	}
	free(text);
	return 0;
}
