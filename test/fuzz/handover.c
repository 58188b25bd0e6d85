/*
 * handover: whatever stands in PORTFENCE_RULE is passed over, or makes a sound rule that is written
 * and read back as it is. An input that does not begin with '4' gets version and signature in front.
 */
#include "../../src/core/handover.h"

#include "fuzz.h"

#include <errno.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_range(const struct range *a, const struct range *b)
{
	return a->count == b->count && a->spans == b->spans &&
	       !memcmp(a->span, b->span, a->spans * sizeof(a->span[0]));
}

static void compare(const struct handover *a, const struct handover *b)
{
	int proto;

	CLAIM(a->rule->order == b->rule->order && a->rule->bind == b->rule->bind);
	CLAIM(a->rule->exhausted == b->rule->exhausted && a->rule->engine == b->rule->engine);
	CLAIM(a->rule->seeded == b->rule->seeded && a->rule->seed == b->rule->seed);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		CLAIM(same_range(a->rule->range[proto], b->rule->range[proto]));
	CLAIM(same_text(a->rule->name, b->rule->name) && same_text(a->file, b->file));
	CLAIM(same_text(a->log, b->log) && same_text(a->state, b->state));
	CLAIM(same_text(a->record.path, b->record.path));
	CLAIM(a->record.block.first == b->record.block.first &&
	      a->record.block.last == b->record.block.last);
}

static void check(const struct handover *handover, struct arena *arena)
{
	char text[HANDOVER_MAX], again[HANDOVER_MAX];
	struct handover back;
	int proto, rc;

	CLAIM(*handover->rule->name && handover->rule->order < ORDER_COUNT);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		fuzz_check_range(handover->rule->range[proto]);
	rc = handover_write(handover, text);
	CLAIM(rc == 0 || rc == -E2BIG);
	if (rc)
		return;
	CLAIM(handover_read(text, arena, &back) == 0);
	compare(handover, &back);
	CLAIM(handover_write(&back, again) == 0 && !strcmp(text, again));
}

/* "4 SIGNATURE", as it is without any variable set. Return: its length */
static size_t begin(char ret_text[HANDOVER_MAX])
{
	static struct {
		struct range range;
		struct range_span span;
	} one = { { 1, 1 }, { 1, 1, 0 } };
	const struct rule rule = {
		.name = "fuzz",
		.range = { &one.range, &one.range, &one.range },
	};
	const struct handover handover = { .rule = &rule };

	if (handover_write(&handover, ret_text))
		abort();
	return (size_t)(strchr(ret_text + 2, ' ') - ret_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	char *rest = fuzz_text(&fuzz, '\0'), *text;
	static char front[HANDOVER_MAX];
	static size_t len;
	struct arena arena = { 0 };
	struct handover handover;
	int rc;

	if (!len)
		len = begin(front);
	if (asprintf(&text, "%.*s%s", *rest == '4' ? 0 : (int)len, front, rest) < 0)
		abort();
	rc = handover_read(text, &arena, &handover);
	CLAIM(rc == 0 || rc == -EINVAL || rc == -ESTALE);
	if (!rc)
		check(&handover, &arena);
	free(text);
	free(rest);
	arena_free(&arena);
	return 0;
}
