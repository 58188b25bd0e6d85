#include "../machine/target.h"
#include "complete.h"
#include "say.h"
#include "suggest.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct verb *const verbs[] = {
	&verb_run,    &verb_check, &verb_which,   &verb_status, &verb_audit, &verb_lease,
	&verb_leases, &verb_rules, &verb_presets, &verb_env,    NULL,
};

static void print_help(FILE *to)
{
	size_t i;

	fputs("usage: portfence VERB [OPTION]...\n"
	      "\n"
	      "Keeps a program that you cannot change within a range of source ports.\n"
	      "\n"
	      "verbs:\n",
	      to);
	for (i = 0; verbs[i]; i++)
		fprintf(to, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
	fputs("\n  portfence VERB --help explains a verb, portfence --version prints the "
	      "version.\n  The manual: man portfence, man portfence.ini, man "
	      "libportfence.\n\nexample:\n  portfence run --range 20000-20999 -- curl "
	      "http://example.org/\n",
	      to);
}

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; verbs[i]; i++)
		if (!strcmp(name, verbs[i]->name))
			return verbs[i];
	return NULL;
}

static int say_unknown(const char *word)
{
	const char *kind = *word == '-' ? "option" : "verb";
	struct suggest suggest = { .word = word };
	static struct target target;
	size_t i;

	suggest_offer(&suggest, "--help");
	suggest_offer(&suggest, "--version");
	suggest_offer(&suggest, "help");
	for (i = 0; verbs[i]; i++)
		suggest_offer(&suggest, verbs[i]->name);
	if (suggest.nearest)
		say_failure("there is no %s '%s'; did you mean '%s'?", kind, word, suggest.nearest);
	else if (!target_find(word, &target))
		say_failure(
			"there is no verb '%s'; to run that command, write 'portfence run -- %s'",
			word, word);
	else
		say_failure("there is no %s '%s', see 'portfence --help'", kind, word);
	return EXIT_USAGE;
}

static int help(const char *name)
{
	const struct verb *verb = name ? find_verb(name) : NULL;

	if (name && !verb)
		return say_unknown(name);
	if (verb)
		option_help(verb, stdout);
	else
		print_help(stdout);
	return 0;
}

static int dispatch(int argc, char *argv[])
{
	struct option_values given;
	const struct verb *verb;
	int rc;

	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(NULL);
	if (!strcmp(argv[1], "help"))
		return help(argv[2]);
	if (!strcmp(argv[1], "--version")) {
		puts("portfence " PORTFENCE_VERSION);
		return 0;
	}
	/* for src/completion/: `portfence --complete WORD...` */
	if (!strcmp(argv[1], "--complete") && argc > 2) {
		complete_print(verbs, argv + 2, argc - 2);
		return 0;
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return say_unknown(argv[1]);
	say_set_status(verb->failure_status ? verb->failure_status : EXIT_FAILURE);
	rc = option_parse(verb, argc - 1, argv + 1, &given);
	if (rc == OPTION_GO_ON)
		rc = verb->function(&given);
	if (rc && verb->if_failed)
		puts(verb->if_failed);
	return rc;
}

int main(int argc, char *argv[])
{
	int status;

	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	status = dispatch(argc, argv);
	/* a full disk is a failure, not an empty report */
	if (fflush(stdout) || ferror(stdout)) {
		if (!status)
			status = EXIT_FAILURE;
		say_failure("cannot write: %s", strerror(errno));
	}
	return status;
}
