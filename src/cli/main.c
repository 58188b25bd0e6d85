#include "verbs.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*function)(int argc, char *argv[]);
	const char *description;
} verbs[] = {
	{ "run", verb_run, "run a command whose ports come from a range of its own" },
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_help(FILE *to)
{
	size_t i;

	fputs("usage: portfence VERB [OPTION]...\n"
	      "\n"
	      "Keeps a program that you cannot change within a range of source ports.\n"
	      "\n"
	      "verbs:\n",
	      to);
	for (i = 0; i < VERBS; i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].description);
	fputs("\n"
	      "  portfence VERB --help tells more of a verb, portfence --version the version.\n"
	      "\n"
	      "example:\n"
	      "  portfence run --range 20000-20999 -- curl http://example.org/\n",
	      to);
}

int main(int argc, char *argv[])
{
	size_t i;

	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("portfence " PORTFENCE_VERSION);
		return 0;
	}
	for (i = 0; i < VERBS; i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].function(argc - 1, argv + 1);
	fprintf(stderr, "portfence: there is no verb '%s', see 'portfence --help'\n", argv[1]);
	return EXIT_USAGE;
}
