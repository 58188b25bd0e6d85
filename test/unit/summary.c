/* summary: the last line of a record says what was counted, and is read back exactly or not at all. */
#include "../../src/core/summary.h"

#include "unit.h"

#include <stdlib.h>

static const struct summary_block none, block = { 20000, 20999 };

static const char *written(const struct summary *summary, const struct summary_block *of)
{
	static char text[SUMMARY_MAX];
	size_t len = summary_write(summary, of, text);

	if (!CHECK(len && len < sizeof(text) && text[len - 1] == '\n', "length %zu", len))
		return "";
	text[len - 1] = '\0';
	return text;
}

static bool same(const struct summary *a, const struct summary *b)
{
	return a->low == b->low && a->high == b->high && a->assignments == b->assignments &&
	       a->refused == b->refused;
}

static void words(void)
{
	struct summary summary = { 0 };

#define SAYS(of, want)                                                                             \
	CHECK_TEXT(written(&summary, of), "{\"summary\":\"" want " refused\"}", "%s", want)
	SAYS(&none, "no port used, 0 assignments, 0");
	summary_add(&summary, 0);
	SAYS(&none, "no port used, 0 assignments, 1");
	summary_add(&summary, 20013);
	SAYS(&none, "port 20013 used, 1 assignment, 1");
	SAYS(&block, "port first+13 used, 1 assignment, 1");
	summary_add(&summary, 20041);
	summary_add(&summary, 20000);
	SAYS(&none, "ports 20000-20041 used, 3 assignments, 1");
	SAYS(&block, "ports first+0 to first+41 used, 3 assignments, 1");
	summary_add(&summary, 21000);
	SAYS(&block, "ports first+0 to 21000 used, 4 assignments, 1");
	summary_add(&summary, 7);
	SAYS(&block, "ports 7-21000 used, 5 assignments, 1");
	summary_add(&summary, 20999);
	summary.high = 20999;
	SAYS(&block, "ports 7 to first+999 used, 6 assignments, 1");
#undef SAYS
}

static void round_trips(void)
{
	static const uint16_t ports[] = { 1, 9, 10, 19999, 20000, 20001, 20999, 21000, 65535 };
	static const uint64_t numbers[] = { 1, 2, 9, 10, 4294967296, UINT64_MAX };
	const struct summary_block *const blocks[] = { &none, &block };
	size_t i, k, n, b, ports_most = sizeof(ports) / sizeof(ports[0]);

	for (b = 0; b < 2; b++)
		for (i = 0; i < ports_most; i++)
			for (k = i; k < ports_most; k++)
				for (n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
					const struct summary summary = { ports[i], ports[k],
									 numbers[n], numbers[n] };
					char text[SUMMARY_MAX];
					size_t len = summary_write(&summary, blocks[b], text);
					struct summary back;

					CHECK(len < SUMMARY_MAX &&
						      summary_read(blocks[b], text, len, &back) &&
						      same(&summary, &back),
					      "%.*s", (int)len, text);
				}
}

/* A damaged line is read as what it now says, or not at all, and never beyond its end. */
static void damage(void)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"{\"summary\":\"\n",
		"{\"summary\":\"no port used, 0 assignments, 0 refused\"}",
		"{\"summary\":\"no port used, 1 assignment, 0 refused\"}\n",
		"{\"summary\":\"no port used, 00 assignments, 0 refused\"}\n",
		"{\"summary\":\"port 20013 used, 0 assignments, 0 refused\"}\n",
		"{\"summary\":\"port 020013 used, 1 assignment, 0 refused\"}\n",
		"{\"summary\":\"port 20013 used, 1 assignments, 0 refused\"}\n",
		"{\"summary\":\"port 20013 used, 1 assignment, -1 refused\"}\n",
		"{\"summary\":\"port 65536 used, 1 assignment, 0 refused\"}\n",
		"{\"summary\":\"port 0 used, 1 assignment, 0 refused\"}\n",
		"{\"summary\":\"ports 20013-20013 used, 2 assignments, 0 refused\"}\n",
		"{\"summary\":\"ports 20014-20013 used, 2 assignments, 0 refused\"}\n",
		"{\"summary\":\"port 20000-20013 used, 2 assignments, 0 refused\"}\n",
		"{\"summary\":\"ports 20000 to 20013 used, 2 assignments, 0 refused\"}\n",
		"{\"summary\":\"port first+13 used, 1 assignment, 0 refused\"}\n",
		"{\"summary\":\"port 1 used, 18446744073709551616 assignments, 0 refused\"}\n",
	};
	static const char right[] = "{\"summary\":\"ports 20000-20041 used, 42 assignments, 0 "
				    "refused\"}\n";
	const struct summary untouched = { 1, 2, 3, 4 };
	struct summary back = untouched;
	unsigned round, accepted = 0;
	uint64_t random = 41;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(!summary_read(&none, wrong[i], strlen(wrong[i]), &back) &&
			      same(&back, &untouched),
		      "%s", wrong[i]);
	CHECK(!summary_read(&block, right, strlen(right), &back), "absolute ports of a block");
	for (i = 0; i < strlen(right); i++) {
		/* memory of its exact size, so that the sanitizer sees a read beyond it */
		char *copy = strndup(right, i);

		CHECK(!summary_read(&none, copy, i, &back), "cut: %s", copy);
		free(copy);
	}
	for (round = 0; round < 20000; round++) {
		char *copy = strdup(right), again[SUMMARY_MAX];

		copy[unit_random(&random) % strlen(right)] =
			" 0123456789+-\""[unit_random(&random) % 14];
		if (summary_read(&none, copy, strlen(right), &back)) {
			accepted++;
			CHECK(summary_write(&back, &none, again) == strlen(right) &&
				      !memcmp(again, copy, strlen(right)),
			      "%s", copy);
		}
		free(copy);
	}
	CHECK(accepted > 100 && accepted < 15000, "%u", accepted);
}

static void counting(void)
{
	static const struct {
		const char *line;
		bool counts;
		uint16_t port; /* 0: refused */
	} table[] = {
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":\"first+13\"}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013,\"peer\":\"::1\",\"peer_port\":9}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013,\"peer\":\"::1\",\"peer_port\":\"first+9\"}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013,\"peer\":\"::1\",\"peer_port\":0}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":8080,\"problem\":\"explicit bind refused\"}\n",
		  true, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":null,\"port\":null,\"problem\":\"no port left\"}\n",
		  true, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":null,\"peer\":\"::1\",\"peer_port\":9,\"problem\":\"no port left\"}\n",
		  true, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":null}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":0}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":65536}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":\"first+1000\"}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":\"first+60000\"}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":first+13}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":\"20013\"}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013 ,\"peer\":\"::1\",\"peer_port\":9}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013,\"peer\":\"::1\"}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013}",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013}\n}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013ssignments, 0 refused\"}\n",
		  false, 0 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013,\"asked\":8080}\n",
		  true, 20013 },
		{ "{\"call\":\"bind\",\"protocol\":\"tcp4\",\"address\":\"::\",\"port\":20013,\"asked\":65536}\n",
		  false, 0 },
		{ "{\"call\":\"bind\"}\n", false, 0 },
		{ "{\"summary\":\"no port used, 0 assignments, 0 refused\"}\n", false, 0 },
		{ "something else\n", false, 0 },
		{ "}\n", false, 0 },
		{ "\n", false, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct summary summary = { 0 }, want = { 0 };
		size_t len = strlen(table[i].line);
		char *copy = strndup(table[i].line, len);

		if (table[i].counts)
			summary_add(&want, table[i].port);
		CHECK(summary_count(&summary, &block, copy, len) == table[i].counts &&
			      same(&summary, &want),
		      "%s", copy);
		free(copy);
	}
}

int main(int argc, char *argv[])
{
	static const struct unit_group groups[] = {
		{ "words", words },   { "round-trips", round_trips },
		{ "damage", damage }, { "counting", counting },
		{ NULL, NULL },
	};

	return unit_main(argc, argv, groups);
}
