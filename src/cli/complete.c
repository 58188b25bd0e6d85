#include "complete.h"

#include "../core/preset.h"
#include "../core/settings.h"
#include "../core/text.h"
#include "../core/variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was said before the last word. */
struct line {
	const struct verb *verb;
	const struct option_entry *open; /* the option whose value is next */
	const char *config;
	int operands;
	bool options_over;
};

static void offer(const char *before, const char *word, const char *description)
{
	printf("%s%s\t%s\n", before, word, description);
}

static void ignore_error(void *context, const char *file, unsigned line, const char *problem)
{
	(void)context;
	(void)file;
	(void)line;
	(void)problem;
}

/* No shell expands the "~" of a line that is not run yet. */
static void set_config(const char *path)
{
	const char *home = getenv("HOME");
	char text[PATH_MAX];

	if (!strncmp(path, "~/", 2) && home &&
	    snprintf(text, sizeof(text), "%s%s", home, path + 1) < (int)sizeof(text))
		path = text;
	variables_set(VARIABLE_CONFIG, path);
}

/* A name with control characters would steer the shell's terminal, and one with a colon in front the script. */
static bool is_offered(const char *section)
{
	return *section != ':' && !text_has_control(section);
}

static void offer_sections(const char *before, const char *config)
{
	const struct policy_process nobody = { .exe = NULL };
	struct settings settings;
	struct arena arena = { 0 };
	size_t i;

	if (config)
		set_config(config);
	settings_load(&nobody, &arena, ignore_error, NULL, &settings);
	for (i = 0; i < settings.policy.count; i++)
		if (is_offered(settings.policy.rules[i]->name))
			offer(before, settings.policy.rules[i]->name, "");
	arena_free(&arena);
}

static void offer_presets(const char *before)
{
	const struct preset *preset;

	for (preset = preset_table; preset->name; preset++)
		offer(before, preset->name, preset->whose);
	offer(before, "system", "this machine's own range");
}

static void offer_orders(const char *before)
{
	int order;

	for (order = 0; order < ORDER_COUNT; order++)
		offer(before, order_name((enum order)order), "");
}

/* Offers what a value may be, by the name that the help gives it, which is @len long. */
static void offer_values(const char *name, size_t len, const char *before, const char *config)
{
	static const char *const logs[] = { "stderr", "syslog", "journal", "none" };
	const char *const *way;
	size_t i;

	if (!strncmp(name, "APP", len)) {
		offer_sections(before, config);
	} else if (!strncmp(name, "RANGE", len)) {
		offer_presets(before);
	} else if (!strncmp(name, "ORDER", len)) {
		offer_orders(before);
	} else if (!strncmp(name, "WAY", len)) {
		for (way = policy_via_names; *way; way++)
			offer(before, *way, "");
	} else if (!strncmp(name, "FILE", len)) {
		puts(":files");
	} else if (!strncmp(name, "LOG", len)) {
		for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
			offer(before, logs[i], "");
		puts(":files");
	}
}

static const struct option_entry *find_option(const struct verb *verb, const char *word)
{
	const struct option_entry *entry;
	size_t len = strcspn(word, "=");

	for (entry = verb->options; entry->name; entry++)
		if (strlen(entry->name) == len && !strncmp(entry->name, word, len))
			return entry;
	return NULL;
}

static void offer_options(const struct verb *verb)
{
	const struct option_entry *entry;

	for (entry = verb->options; entry->name; entry++)
		offer("--", entry->name, entry->help);
	offer("--", "help", "");
}

static void note_value(struct line *line, const struct option_entry *entry, const char *value)
{
	if (!strcmp(entry->name, "config"))
		line->config = value;
}

/* Takes in one word before the last. Return: false if a command begins there */
static bool read_word(struct line *line, const char *word)
{
	const char *value = strchr(word, '=');

	if (line->open) {
		note_value(line, line->open, word);
		line->open = NULL;
	} else if (line->options_over || *word != '-') {
		line->operands++;
		return !line->verb->operands_end_options &&
		       !(line->options_over && line->verb->command_after_dashes);
	} else if (!strcmp(word, "--")) {
		line->options_over = true;
	} else if (word[1] == '-') {
		const struct option_entry *entry = find_option(line->verb, word + 2);

		if (entry && entry->argument && value)
			note_value(line, entry, value + 1);
		else if (entry && entry->argument && !entry->optional)
			line->open = entry;
	}
	return true;
}

/* What the help calls a verb's operands: "APP" of "[APP]", "COMMAND" of "[--] COMMAND ..." */
static const char *operand_name(const struct verb *verb, size_t *ret_len)
{
	const char *name = verb->usage + strspn(verb->usage, "[]- ");

	*ret_len = strcspn(name, "]. ");
	return name;
}

static void offer_operand(const struct line *line, int index)
{
	const struct verb *verb = line->verb;
	size_t len;
	const char *name = operand_name(verb, &len);

	if (verb->operands_end_options || (verb->command_after_dashes && line->options_over))
		printf(":command %d\n", index);
	else if (verb->operands == OPERANDS_ANY || line->operands < verb->operands)
		offer_values(name, len, "", line->config);
	else if (!line->options_over)
		offer_options(verb);
}

/* An option's value that is typed with it: "--range=li" */
static void offer_joined(const struct line *line, const char *word)
{
	const struct option_entry *entry = find_option(line->verb, word + 2);
	char before[64];

	if (!entry || !entry->argument)
		return;
	snprintf(before, sizeof(before), "--%s=", entry->name);
	offer_values(entry->argument, strlen(entry->argument), before, line->config);
}

static void complete_verb(const struct verb *verb, char *words[], int count)
{
	struct line line = { .verb = verb };
	const char *last = words[count - 1];
	int i;

	for (i = 1; i < count - 1; i++) {
		if (!read_word(&line, words[i])) {
			printf(":command %d\n", i);
			return;
		}
	}
	if (line.open)
		offer_values(line.open->argument, strlen(line.open->argument), "", line.config);
	else if (!line.options_over && !strncmp(last, "--", 2) && strchr(last, '='))
		offer_joined(&line, last);
	else if (!line.options_over && *last == '-')
		offer_options(verb);
	else
		offer_operand(&line, count - 1);
}

void complete_print(const struct verb *const verbs[], char *words[], int count)
{
	bool help = count == 2 && !strcmp(words[0], "help");
	size_t i;

	for (i = 0; verbs[i]; i++) {
		if (count == 1 || help)
			offer("", verbs[i]->name, verbs[i]->summary);
		else if (!strcmp(words[0], verbs[i]->name))
			complete_verb(verbs[i], words, count);
	}
	if (count > 1)
		return;
	offer("", "help", "what a verb does");
	offer("", "--help", "");
	offer("", "--version", "");
}
