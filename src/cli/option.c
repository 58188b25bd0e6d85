#include "option.h"

#include "say.h"
#include "suggest.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#define COLUMNS 80
#define FIRST_VALUE 256 /* getopt's values below are letters */

static const struct option_entry help_entry = { .name = "help",
						.letter = 'h',
						.help = "this text" };

static int usage_status(const struct verb *verb)
{
	return verb->usage_status ? verb->usage_status : EXIT_USAGE;
}

int option_wrong(const struct verb *verb, const char *format, ...)
{
	char problem[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem, sizeof(problem), format, arguments);
	va_end(arguments);
	say_failure("%s, see 'portfence %s --help'", problem, verb->name);
	return usage_status(verb);
}

/* Writes text between columns; the cursor is at @column, further lines begin at @indent. */
static void print_wrapped(FILE *to, size_t column, size_t indent, const char *text)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (!first && column + 1 + len > COLUMNS) {
			fprintf(to, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', to);
			column++;
		}
		fprintf(to, "%.*s", (int)len, text);
		column += len;
		first = false;
		text += len + (text[len] == ' ');
	}
	fputc('\n', to);
}

/* "-h, --help", "--config FILE" or "--watch[=SECONDS]". Return: its length */
static int format_option(const struct option_entry *entry, char *ret_text, size_t size)
{
	char letter[] = "-x, ";

	letter[1] = entry->letter;
	return snprintf(ret_text, size, "%s--%s%s%s%s", entry->letter ? letter : "", entry->name,
			!entry->argument  ? ""
			: entry->optional ? "[="
					  : " ",
			entry->argument ? entry->argument : "", entry->optional ? "]" : "");
}

static void print_option(const struct option_entry *entry, int width, FILE *to)
{
	char text[64];

	format_option(entry, text, sizeof(text));
	fprintf(to, "  %-*s  ", width, text);
	print_wrapped(to, (size_t)width + 4, (size_t)width + 4, entry->help);
}

void option_help(const struct verb *verb, FILE *to)
{
	const struct option_entry *entry;
	char text[64];
	const char *line;
	int width = format_option(&help_entry, text, sizeof(text));

	fprintf(to, "usage: portfence %s [OPTION]...%s%s\n\n", verb->name, *verb->usage ? " " : "",
		verb->usage);
	print_wrapped(to, 0, 0, verb->about);
	fputc('\n', to);
	for (entry = verb->options; entry->name; entry++) {
		int len = format_option(entry, text, sizeof(text));

		width = len > width ? len : width;
	}
	for (entry = verb->options; entry->name; entry++)
		print_option(entry, width, to);
	print_option(&help_entry, width, to);
	fputs("\nexit status: ", to);
	print_wrapped(to, strlen("exit status: "), 0, verb->status);
	fputs("\nexample:\n", to);
	for (line = verb->example; *line; line += strcspn(line, "\n") + 1)
		fprintf(to, "  %.*s\n", (int)strcspn(line, "\n"), line);
}

/* Says what of a word that getopt could not take is wrong. */
static int say_unknown(const struct verb *verb, const struct option *options, const char *word)
{
	size_t len = strcspn(word, "=");
	char name[32] = "";
	struct suggest suggest = { .word = name };
	const struct option *option;

	if (len < sizeof(name))
		memcpy(name, word, len);
	for (option = options; option->name; option++) {
		suggest_offer(&suggest, option->name);
		/* the word that comes to mind, though '--pool' is spelt more like it */
		if (!strcmp(option->name, "range") && !strncmp(name, "port", strlen("port"))) {
			suggest.nearest = option->name;
			break;
		}
	}
	if (suggest.nearest) {
		say_failure("there is no option '--%s'; did you mean '--%s'?", name,
			    suggest.nearest);
		return usage_status(verb);
	}
	return option_wrong(verb, "there is no option '--%.*s'", (int)len, word);
}

static int say_refused(const struct verb *verb, const struct option *options, int c, char *argv[])
{
	const struct option *option;

	for (option = options; option->name; option++)
		if (option->val == optopt)
			return option_wrong(verb,
					    c == ':' ? "option '--%s' needs a value"
						     : "option '--%s' takes no value",
					    option->name);
	if (optopt)
		return option_wrong(verb, "there is no option '-%c'", optopt);
	return say_unknown(verb, options, argv[optind - 1] + strlen("--"));
}

/*
 * getopt takes whatever follows for the value, and `--log -- make` would log to a file of that name.
 * What begins with a number may be one below zero, and "-" alone is no option.
 */
static bool is_option_for_value(char *argv[])
{
	return optarg && optarg == argv[optind - 1] && *optarg == '-' && optarg[1] &&
	       (optarg[1] < '0' || optarg[1] > '9');
}

/* The table as getopt_long() wants it. */
static void convert(const struct verb *verb, struct option *ret_options, char *ret_letters)
{
	int i;

	/* ':': a missing value is told apart from an unknown option */
	ret_letters = stpcpy(ret_letters, verb->operands_end_options ? "+:h" : ":h");
	for (i = 0; verb->options[i].name; i++) {
		const struct option_entry *entry = &verb->options[i];

		ret_options[i] = (struct option){
			.name = entry->name,
			.has_arg = !entry->argument  ? no_argument
				   : entry->optional ? optional_argument
						     : required_argument,
			.val = entry->letter ? entry->letter : FIRST_VALUE + i,
		};
		if (entry->letter)
			*ret_letters++ = entry->letter;
		if (entry->letter && entry->argument)
			*ret_letters++ = ':';
	}
	*ret_letters = '\0';
	ret_options[i] = (struct option){ .name = help_entry.name, .val = help_entry.letter };
	ret_options[i + 1] = (struct option){ .name = NULL };
}

int option_parse(const struct verb *verb, int argc, char *argv[], struct option_values *ret_values)
{
	struct option options[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + sizeof("+:h")];
	int c, i;

	memset(ret_values, 0, sizeof(*ret_values));
	convert(verb, options, letters);
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (c == help_entry.letter) {
			option_help(verb, stdout);
			return 0;
		}
		for (i = 0; options[i].name && options[i].val != c; i++)
			;
		if (!options[i].name)
			return say_refused(verb, options, c, argv);
		if (is_option_for_value(argv))
			return option_wrong(
				verb,
				"'--%s' has no value, as '%s' follows (if it is the value, write --%s=%s)",
				options[i].name, optarg, options[i].name, optarg);
		if (optarg && !*optarg)
			return option_wrong(verb, "option '--%s' has an empty value",
					    options[i].name);
		ret_values->value[i] = optarg ? optarg : "";
	}
	ret_values->operand = argv + optind;
	ret_values->operands = argc - optind;
	if (verb->operands != OPERANDS_ANY && ret_values->operands > verb->operands)
		return option_wrong(verb, "'%s' is one argument too many", argv[argc - 1]);
	return OPTION_GO_ON;
}
