/* status_bar: any range is drawn in just as many cells as asked for, in no more room than is promised. */
#include "../../src/cli/status_bar.h"

#include "fuzz.h"

static unsigned cells(const char *text)
{
	unsigned count = 0;

	/* bytes that begin a character */
	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	unsigned width = 1 + fuzz_word(&fuzz) % STATUS_BAR_WIDEST;
	uint32_t count = 1 + fuzz_word(&fuzz) % 2000U, i;
	uint16_t first = fuzz_word(&fuzz), last = fuzz_word(&fuzz);
	bool utf8 = fuzz_byte(&fuzz) & 1, *used = malloc(count * sizeof(*used));
	char *text = malloc(STATUS_BAR_SIZE(width)),
	     *label = malloc(width + 1 < 12 ? 12 : width + 1);

	if (!used || !text || !label)
		abort();
	for (i = 0; i < count; i++)
		used[i] = fuzz_byte(&fuzz) & 1;
	status_bar_draw(used, count, width, utf8, text);
	CLAIM(cells(text) == width);
	status_bar_label(first, last, width, label);
	CLAIM(*label);
	free(used);
	free(text);
	free(label);
	return 0;
}
