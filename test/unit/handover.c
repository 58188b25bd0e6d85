/* What `portfence run` hands to its children: read back as it was, or passed over. */
#include "../../src/core/handover.h"

#include "../../src/core/key.h"
#include "../../src/core/preset.h"
#include "../../src/core/variables.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

static struct arena arena;

static const struct range *range(const char *text)
{
	static struct range_set set;
	const struct range *made = NULL;
	struct reason why;

	range_set_clear(&set);
	if (range_parse(text, preset_add, &set, &why) || range_build(&set, &arena, &made))
		CHECK(false, "no range: %s", text);
	return made;
}

static bool same_range(const struct range *a, const struct range *b)
{
	return a->count == b->count && a->spans == b->spans &&
	       !memcmp(a->span, b->span, a->spans * sizeof(a->span[0]));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_map(const struct portmap *a, const struct portmap *b)
{
	uint32_t i;

	if (!a || !b || a->count != b->count)
		return a == b;
	for (i = 0; i < a->count; i++)
		if (a->entry[i].asked != b->entry[i].asked ||
		    a->entry[i].real != b->entry[i].real ||
		    a->entry[i].optional != b->entry[i].optional)
			return false;
	return true;
}

static void check_round(const struct handover *given, const char *what)
{
	const struct rule *a = given->rule, *b;
	char text[HANDOVER_MAX];
	struct handover got;
	int proto, rc;

	rc = handover_write(given, text);
	if (!CHECK(rc == 0, "%s: written: %d", what, rc))
		return;
	rc = handover_read(text, &arena, &got);
	if (!CHECK(rc == 0, "%s: read: %d from %s", what, rc, text))
		return;
	b = got.rule;
	CHECK_TEXT(b->name, a->name, "%s", what);
	CHECK(b->order == a->order && b->bind == a->bind && b->exhausted == a->exhausted &&
		      b->engine == a->engine && b->seeded == a->seeded && b->seed == a->seed,
	      "%s: %s", what, text);
	for (proto = 0; proto < PROTO_COUNT; proto++)
		CHECK(same_range(a->range[proto], b->range[proto]), "%s: %s", what, text);
	CHECK(same_map(a->map, b->map), "%s: %s", what, text);
	CHECK(!a->move == !b->move && (!a->move || same_range(a->move, b->move)), "%s: %s", what,
	      text);
	CHECK(same_text(given->file, got.file) && same_text(given->log, got.log) &&
		      same_text(given->state, got.state) && given->gate == got.gate &&
		      given->tracer == got.tracer && given->tracer_space == got.tracer_space &&
		      same_text(given->record.path, got.record.path) &&
		      given->record.block.first == got.record.block.first &&
		      given->record.block.last == got.record.block.last,
	      "%s: %s", what, text);
}

static struct rule some_rule(void)
{
	const struct rule rule = {
		.name = "curl",
		.range = { range("20000-20999"), range("1,3-5,65535"), range("rfc6056") },
		.order = ORDER_SEQUENTIAL,
		.bind = BIND_OWN,
		.exhausted = EXHAUSTED_SYSTEM,
		.engine = ENGINE_BIND,
		.seeded = true,
		.seed = UINT64_MAX,
	};

	return rule;
}

static void round_trips(void)
{
	static const struct portmap map = {
		3, { { 8080, 20999, false }, { 65535, 1, false }, { 80, 80, true } }
	};
	struct rule rule = some_rule();
	struct handover handover = { .rule = &rule,
				     .file = "/etc/portfence.ini",
				     .log = "json:/var/log/p",
				     .state = "/run/p",
				     .record = { "/run/record 1:x", { 1, 65535 }, 0 },
				     .gate = 0x200000001000,
				     .tracer = 4194304,
				     .tracer_space = 4026531836 };

	check_round(&handover, "all given");
	rule.range[PROTO_UDP] = rule.range[PROTO_TCP];
	check_round(&handover, "one range for two protocols");
	rule.range[PROTO_SCTP] = rule.range[PROTO_TCP];
	handover = (struct handover){ .rule = &rule };
	check_round(&handover, "no file");
	rule.map = &map;
	check_round(&handover, "a map");
	rule.map = NULL;
	rule.bind = BIND_MOVE;
	rule.move = range("1024-9999,65535");
	check_round(&handover, "ports to move");
	/* whatever a name may hold: the text's own signs, too */
	rule.name = "a b:c 3:d,\t[x] ü";
	handover.log = "/var/log/with blanks 7:x";
	rule.seeded = false;
	rule.seed = 0;
	check_round(&handover, "odd names");
}

static void too_many_gaps(void)
{
	static struct range_set set;
	struct rule rule = some_rule();
	struct handover handover = { .rule = &rule };
	char text[HANDOVER_MAX];
	unsigned port;

	for (port = 1; port < 65535; port += 2)
		range_set_add(&set, (uint16_t)port, (uint16_t)port);
	CHECK(!range_build(&set, &arena, &rule.range[PROTO_UDP]), "a range of odd ports");
	CHECK(handover_write(&handover, text) == -E2BIG, "32,768 gaps do not fit");
}

/* Whoever sets a variable inside the tree wants it to count. */
static void variables(void)
{
	struct rule rule = some_rule();
	struct handover handover = { .rule = &rule }, got;
	char text[HANDOVER_MAX];
	size_t i;

	for (i = 0; i < VARIABLE_COUNT; i++) {
		const char *name = variables_table[i].name;

		if (variables_table[i].kind == VARIABLES_HANDOVER)
			continue;
		CHECK(!handover_write(&handover, text), "written");
		setenv(name, "x", 1);
		CHECK(handover_read(text, &arena, &got) == -ESTALE, "%s set", name);
		CHECK(!handover_write(&handover, text), "written");
		CHECK(!handover_read(text, &arena, &got), "%s as before", name);
		setenv(name, "y", 1);
		CHECK(handover_read(text, &arena, &got) == -ESTALE, "%s changed", name);
		unsetenv(name);
		CHECK(handover_read(text, &arena, &got) == -ESTALE, "%s taken away", name);
		/* an empty one counts as not set */
		CHECK(!handover_write(&handover, text), "written");
		setenv(name, "", 1);
		CHECK(!handover_read(text, &arena, &got), "%s empty", name);
		unsetenv(name);
	}
}

/* A text that is not ours is passed over, and never read beyond its end. */
static void damage(void)
{
	struct rule rule = some_rule();
	struct handover handover = { .rule = &rule,
				     .file = "/etc/portfence.ini",
				     .log = "stderr",
				     .state = "/run/p",
				     .record = { "/run/record", { 20000, 20999 }, 0 } };
	struct handover got;
	char text[HANDOVER_MAX], *copy;
	unsigned accepted = 0, round;
	uint64_t random = 31;
	size_t len, i;

	CHECK(!handover_write(&handover, text), "written");
	len = strlen(text);
	for (i = 0; i < len; i++) {
		/* of its own size, for the sanitizer */
		copy = strndup(text, i);
		CHECK(handover_read(copy, &arena, &got), "cut to %zu: %s", i, copy);
		free(copy);
	}
	for (round = 0; round < 20000; round++) {
		int rc;

		copy = strdup(text);
		for (i = 0; i <= round % 3; i++)
			copy[unit_random(&random) % len] =
				" 0123456789:,-x"[unit_random(&random) % 15];
		rc = handover_read(copy, &arena, &got);
		accepted += !rc;
		if (!rc)
			for (i = 0; i < PROTO_COUNT; i++) {
				const struct range *made = got.rule->range[i];

				CHECK(made->count && made->span[0].first &&
					      range_port(made, made->count - 1) == range_last(made),
				      "%s", copy);
			}
		free(copy);
		if (round % 1000 == 999)
			arena_free(&arena);
	}
	/* names may be others and still be names */
	CHECK(accepted > 100 && accepted < 15000, "%u", accepted);
	CHECK(handover_read("", &arena, &got) == -EINVAL, "nothing");
	text[0] = '1';
	CHECK(handover_read(text, &arena, &got) == -EINVAL, "another version");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "round-trips", round_trips },
		{ "too-many-gaps", too_many_gaps },
		{ "variables", variables },
		{ "damage", damage },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
