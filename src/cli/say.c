#include "say.h"

#include "../core/text.h"
#include "../machine/trust.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *colour;
} levels[SAY_LEVELS] = {
	[SAY_ERROR] = { "error", SAY_RED },
	[SAY_WARNING] = { "warning", SAY_MAGENTA },
	[SAY_NOTE] = { "note", SAY_CYAN },
};

static int failure_status = EXIT_FAILURE;

void say_set_status(int status)
{
	failure_status = status;
}

int say_status(void)
{
	return failure_status;
}

int say_failure(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("portfence: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return failure_status;
}

void say_conf_error(void *context, const char *file, unsigned line, const char *problem)
{
	(void)context;
	if (line)
		say_failure("%s:%u: %s", file, line, problem);
	else
		say_failure("%s: %s", file, problem);
}

void say_warning(void *context, const char *warning)
{
	(void)context;
	say_failure("warning: %s", warning);
}

void say_distrust(const char *what, const char *path)
{
	static char text[3 * PATH_MAX]; /* the stack may be small (setrlimit(2)) */

	if (trust_doubt(what, path, text, sizeof(text)))
		say_warning(NULL, text);
}

const char *say_level_name(enum say_level level)
{
	return levels[level].name;
}

bool say_in_colour(FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") && isatty(fileno(to));
}

void say_finding(FILE *to, enum say_level level, const char *file, unsigned line, const char *text)
{
	bool colour = say_in_colour(to);

	fprintf(to, "%s%s:", colour ? SAY_BOLD : "", file);
	if (line)
		fprintf(to, "%u:", line);
	fprintf(to, "%s %s%s:%s %s\n", colour ? SAY_PLAIN : "", colour ? levels[level].colour : "",
		levels[level].name, colour ? SAY_PLAIN : "", text);
}

const char *say_plural(size_t count)
{
	return count == 1 ? "" : "s";
}

int say_object(FILE *to, json_t *object, size_t flags)
{
	json_t *whole = json_pack("{s:i}", "format", SAY_FORMAT);
	int rc = json_object_update(whole, object);

	json_decref(object);
	if (rc) {
		json_decref(whole);
		return say_failure("%s", strerror(ENOMEM));
	}
	json_dumpf(whole, to, flags);
	fputc('\n', to);
	json_decref(whole);
	return 0;
}

json_t *say_json(const char *text)
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	json_t *string;
	uint32_t code;
	char *copy, *to;

	if (!text)
		return json_null();
	copy = to = malloc(strlen(text) * (sizeof(replacement) - 1) + 1);
	if (!copy)
		return NULL;
	while (*text) {
		size_t length = text_character(text, &code);

		to = length ? mempcpy(to, text, length) : stpcpy(to, replacement);
		text += length ? length : 1;
	}
	*to = '\0';
	string = json_string(copy);
	free(copy);
	return string;
}
