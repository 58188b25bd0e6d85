/* Maps: what is read, and which ports of a range are taken in the place of others. */
#include "../../src/core/portmap.h"

#include "../../src/core/preset.h"
#include "unit.h"

#include <errno.h>

static struct arena arena;
static struct reason why;

static const struct range *range(const char *text)
{
	struct range_set *set = arena_alloc(&arena, sizeof(*set));
	const struct range *made = NULL;

	CHECK(!range_parse(text, preset_add, set, &why) && !range_build(set, &arena, &made),
	      "no range: %s", text);
	return made;
}

/* What becomes of a map in a range, and of the range. */
static void check_placed(const char *text, const char *first, const char *second,
			 const char *expected, const char *left)
{
	const struct range *ranges[] = { range(first), range(second) }, *rest;
	char got[PORTMAP_TEXT];
	struct portmap map;
	int rc = portmap_parse(text, &map, &why);

	if (!CHECK(!rc, "'%s': %s", text, why.text))
		return;
	rc = portmap_place(&map, ranges, 2, &why);
	if (!CHECK(!rc, "'%s' in %s: %s", text, first, why.text))
		return;
	portmap_format(&map, got, sizeof(got));
	CHECK_TEXT(got, expected, "'%s' in %s", text, first);
	rc = portmap_take_out(&map, ranges[0], &arena, &rest);
	if (!left) {
		CHECK(rc == -EINVAL, "'%s' leaves nothing of %s: %d", text, first, rc);
		return;
	}
	if (!CHECK(!rc, "'%s' leaves something of %s: %d", text, first, rc))
		return;
	range_format(rest, got, sizeof(got));
	CHECK_TEXT(got, left, "'%s' in %s", text, first);
}

static void places(void)
{
	check_placed("8080", "20000-20099", "20000-20099", "8080=20099", "20000-20098");
	check_placed("8080, 5432 ,1", "20000-20099", "20000-20099", "8080=20099,5432=20098,1=20097",
		     "20000-20096");
	check_placed("8080=20000,5432", "20000-20099", "20000-20099", "8080=20000,5432=20099",
		     "20001-20098");
	/* neither a port that is asked for nor one that is given by name is taken for another */
	check_placed("20099,1=20098,2", "20000-20099", "20000-20099", "20099=20097,1=20098,2=20096",
		     "20000-20095");
	check_placed("20050", "20000-20099", "20000-20099", "20050=20099",
		     "20000-20049, 20051-20098");
	check_placed("1,2", "100,200,300", "100,200,300", "1=300,2=200", "100");
	/* both ranges have it */
	check_placed("1", "100-200", "150-160", "1=160", "100-159, 161-200");
	check_placed("1,2", "100-101", "100-101", "1=101,2=100", NULL);
	/* an optional port has a place, unless it keeps its own */
	check_placed("8080?,5432", "20000-20099", "20000-20099", "8080=20099,5432=20098",
		     "20000-20097");
	check_placed("8080 ? = 20000", "20000-20099", "20000-20099", "8080=20000", "20001-20099");
	check_placed("8080?=8080,20098?=20098,1", "20000-20099", "20000-20099",
		     "8080?=8080,20098?=20098,1=20099", "20000-20097");
}

static void refuses(void)
{
	static const char *const texts[] = { "",     " ",    "0",       "65536", "99999999999999",
					     "x",    "1x",   "1,",      ",1",    "1 2",
					     "-1",   "+1",   "1=",      "1=0",   "1=65536",
					     "1=1",  "1,1",  "1=5,2=5", "1=2,2", "1,2=1",
					     "1=-2", "1==2", "1=2=3",   "0x10",  "?",
					     "?1",   "1??",  "1?2",     "1?=",   "1?=0",
					     "1=2?", "1?,1", "1?=1,2=1" };
	const struct range *ranges[] = { range("100-101") };
	struct portmap map = { .count = 7 };
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		why.text[0] = '\0';
		CHECK(portmap_parse(texts[i], &map, &why) == -EINVAL && *why.text,
		      "'%s' is refused, and told why", texts[i]);
		CHECK(map.count == 7, "'%s' leaves what was there", texts[i]);
	}
	CHECK(!portmap_parse("1,2,3", &map, &why) &&
		      portmap_place(&map, ranges, 1, &why) == -EINVAL,
	      "three ports find no place in two");
	CHECK(!portmap_parse("1=99", &map, &why) && portmap_place(&map, ranges, 1, &why) == -EINVAL,
	      "a port outside the range is no place");
}

static void looks_up(void)
{
	static const struct portmap map = { 2, { { 8080, 20099, true }, { 5432, 20098, false } } };
	static const struct portmap keeps = { 1, { { 8080, 8080, true } } };

	CHECK(portmap_real(&map, 8080) == 20099 && portmap_real(&map, 5432) == 20098, "real");
	CHECK(portmap_asked(&map, 20099) == 8080 && portmap_asked(&map, 20098) == 5432, "asked");
	CHECK(!portmap_real(&map, 20099) && !portmap_asked(&map, 8080) && !portmap_real(&map, 0) &&
		      !portmap_asked(&map, 0),
	      "not the other way round");
	CHECK(portmap_has(&map, 20099) && !portmap_has(&map, 8080) && !portmap_has(NULL, 8080),
	      "has");
	CHECK(portmap_real(&keeps, 8080) == 8080 && !portmap_asked(&keeps, 8080) &&
		      portmap_has(&keeps, 8080),
	      "a port that stays as it is");
	CHECK(!portmap_real(NULL, 8080) && !portmap_asked(NULL, 20099), "no map");
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "places", places },
		{ "refuses", refuses },
		{ "looks-up", looks_up },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
