/* unit: the checker that the programs of this folder share; it runs no test by itself. */
#ifndef PORTFENCE_TEST_UNIT_H
#define PORTFENCE_TEST_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A program is a table of groups, each a behaviour; the table ends with a name that is NULL. */
struct unit_group {
	const char *name;
	void (*run)(void);
};

#define UNIT_SHOWN 20 /* failures told; the rest is only counted */

static unsigned unit_checks, unit_failures;

/**
 * CHECK() - One claim; where it does not hold, one line tells so
 * @...:	what was seen, in the manner of printf()
 *
 * Return: whether it holds
 */
#define CHECK(claim, ...) unit_check((claim), __FILE__, __LINE__, #claim, __VA_ARGS__)

__attribute__((format(printf, 5, 6), unused)) static bool unit_check(bool holds, const char *file,
								     int line, const char *claim,
								     const char *format, ...)
{
	va_list arguments;

	unit_checks++;
	if (holds)
		return true;
	if (unit_failures++ >= UNIT_SHOWN)
		return false;
	printf("%s:%d: not so: %s: ", file, line, claim);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	return false;
}

/* CHECK_TEXT() - Are two texts the same? */
#define CHECK_TEXT(got, want, ...) unit_check_text((got), (want), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 5, 6), unused)) static bool unit_check_text(
	const char *got, const char *want, const char *file, int line, const char *format, ...)
{
	va_list arguments;
	char what[256];

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return unit_check(!strcmp(got, want), file, line, "texts are the same",
			  "%s: got '%s', want '%s'", what, got, want);
}

/*
 * Numbers for trying things out (splitmix64): the same in each run, and not
 * those of the code under test.
 */
__attribute__((unused)) static uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/**
 * unit_main() - Run the groups named on the command line, or all; --list names them
 *
 * Return: 0 if all held, 1 if not, 2 if there is no such group
 */
static int unit_main(int argc, char *argv[], const struct unit_group *groups)
{
	const struct unit_group *group;
	bool all = argc < 2;
	int i = 1;

	if (!all && !strcmp(argv[1], "--list")) {
		for (group = groups; group->name; group++)
			puts(group->name);
		return 0;
	}
	do {
		bool found = false;

		for (group = groups; group->name; group++) {
			unsigned before = unit_checks;

			if (!all && strcmp(argv[i], group->name))
				continue;
			found = true;
			group->run();
			/* a group that claims nothing cannot fail */
			unit_check(unit_checks > before, __FILE__, __LINE__,
				   "something was checked", "%s", group->name);
		}
		if (!found) {
			fprintf(stderr, "there is no group '%s'\n", argv[i]);
			return 2;
		}
	} while (++i < argc);
	printf("%u checks, %u failures\n", unit_checks, unit_failures);
	return unit_failures ? 1 : 0;
}

#endif
