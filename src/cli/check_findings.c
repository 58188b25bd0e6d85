#include "check_findings.h"

#include "../machine/array.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void check_findings_add(struct check_findings *findings, enum say_level level, unsigned line,
			const char *kind, const char *section, const char *format, ...)
{
	struct check_findings_entry *entry;
	va_list arguments;

	entry = array_add(&findings->entry, &findings->count, sizeof(*entry));
	if (!entry) {
		findings->no_memory = true;
		return;
	}
	entry->level = level;
	entry->file = NULL;
	entry->line = line;
	entry->kind = kind;
	entry->section = section;
	entry->number = findings->count;
	va_start(arguments, format);
	if (vasprintf(&entry->text, format, arguments) < 0) {
		findings->no_memory = true;
		entry->text = NULL;
	}
	va_end(arguments);
	findings->of_level[level]++;
}

static int compare_entries(const void *a, const void *b)
{
	const struct check_findings_entry *x = a, *y = b;

	if (x->file != y->file && (!x->file || !y->file))
		return x->file ? -1 : 1;
	/* "x.ini" comes before "x.ini.d/y.ini" */
	if (x->file != y->file && strcmp(x->file, y->file) != 0)
		return strcmp(x->file, y->file);
	/* 0 becomes the last line there can be */
	if (x->line != y->line)
		return x->line - 1 < y->line - 1 ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static const char *find_file(const struct policy *policy, const char *section)
{
	const struct rule *rule;

	if (!section || !policy->files)
		return NULL;
	/* the usual case: no section has to be looked up */
	if (!policy->files[1])
		return policy->files[0];
	rule = policy_find(policy, section);
	return rule ? rule->file : NULL;
}

void check_findings_sort(struct check_findings *findings, const struct policy *policy)
{
	size_t i;

	for (i = 0; i < findings->count; i++)
		if (!findings->entry[i].file)
			findings->entry[i].file = find_file(policy, findings->entry[i].section);
	array_sort(findings->entry, findings->count, sizeof(*findings->entry), compare_entries);
}

void check_findings_print(const struct check_findings *findings, const char *file, FILE *to)
{
	size_t i;

	for (i = 0; i < findings->count; i++) {
		const struct check_findings_entry *entry = &findings->entry[i];

		say_finding(to, entry->level, entry->file ? entry->file : file, entry->line,
			    entry->text);
	}
}

json_t *check_findings_describe(const struct check_findings *findings)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < findings->count; i++) {
		const struct check_findings_entry *entry = &findings->entry[i];
		json_t *line = entry->line ? json_integer(entry->line) : json_null();

		if (!json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:s, s:o, s:o}", "file",
							   say_json(entry->file), "line", line,
							   "level", say_level_name(entry->level),
							   "kind", entry->kind, "section",
							   say_json(entry->section), "text",
							   say_json(entry->text))))
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

void check_findings_free(struct check_findings *findings)
{
	size_t i;

	for (i = 0; i < findings->count; i++)
		free(findings->entry[i].text);
	free(findings->entry);
	memset(findings, 0, sizeof(*findings));
}
