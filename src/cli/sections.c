#include "sections.h"

#include "../core/settings.h"
#include "../core/variables.h"
#include "say.h"
#include "suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int say_no_section(const struct policy *policy, const char *app)
{
	struct suggest suggest = { .word = app };
	size_t i;

	if (!policy->file)
		return say_failure(
			"there is no section [%s], as there is no configuration file; write %s, or "
			"use --config",
			app, SETTINGS_SYSTEM_FILE);
	for (i = 0; i < policy->count; i++)
		suggest_offer(&suggest, policy->rules[i]->name);
	if (suggest.nearest)
		return say_failure("there is no section [%s] in %s; did you mean [%s]?", app,
				   policy->file, suggest.nearest);
	return say_failure("there is no section [%s] in %s", app, policy->file);
}

/* Picks the sections of these names, in their order. Return: 0, or say_status() after the problem was reported */
static int pick(char *const *apps, struct sections *sections)
{
	const struct rule **rules;
	size_t i, count = 0;

	while (apps[count])
		count++;
	rules = arena_alloc(&sections->arena, count * sizeof(*rules));
	if (!rules)
		return say_failure("%s", strerror(ENOMEM));
	for (i = 0; i < count; i++) {
		rules[i] = policy_find(&sections->policy, apps[i]);
		if (!rules[i])
			return say_no_section(&sections->policy, apps[i]);
	}
	sections->rule = rules;
	sections->count = count;
	return 0;
}

int sections_read(const char *config, conf_error_fn *error, void *context,
		  struct sections *ret_sections)
{
	const struct policy_process nobody = { .exe = NULL };
	struct settings settings = { .rule = NULL };
	int rc;

	memset(ret_sections, 0, sizeof(*ret_sections));
	variables_unset(VARIABLES_RULE | VARIABLES_RUN | VARIABLES_STATE);
	if (config && variables_set(VARIABLE_CONFIG, config))
		return -ENOMEM;
	rc = settings_load(&nobody, &ret_sections->arena, error, context, &settings);
	ret_sections->policy = settings.policy;
	ret_sections->rule = settings.policy.rules;
	ret_sections->count = settings.policy.count;
	return rc;
}

int sections_load(const char *config, char *const *apps, struct sections *ret_sections)
{
	int rc = sections_read(config, say_conf_error, NULL, ret_sections);

	if (rc == -ENOMEM)
		return say_failure("%s", strerror(ENOMEM));
	if (rc)
		return say_status();
	return *apps ? pick(apps, ret_sections) : 0;
}

int sections_of_range(const char *range, struct sections *ret_sections)
{
	struct rule *rule;
	struct reason why;

	memset(ret_sections, 0, sizeof(*ret_sections));
	rule = arena_alloc(&ret_sections->arena, sizeof(*rule));
	ret_sections->rule = arena_alloc(&ret_sections->arena, sizeof(rule));
	if (!rule || !ret_sections->rule)
		return say_failure("%s", strerror(ENOMEM));
	rule->name = "";
	if (key_override(rule, KEY_RANGE, range, &ret_sections->arena, &why))
		return say_failure("--range: %s", why.text);
	*ret_sections->rule = rule;
	ret_sections->count = 1;
	return 0;
}

void sections_free(struct sections *sections)
{
	arena_free(&sections->arena);
}
