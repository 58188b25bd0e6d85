/*
 * match: which process a section's globs fit, beside plain fnmatch(3) over a list that is split
 * another way. Lines: match, args, executable, started as, command line; what is left out is NULL.
 */
#include "../../src/core/policy.h"

#include "../../src/core/policy.h"
#include "fuzz.h"

#include <fnmatch.h>

#define LONGEST POLICY_GLOB_MAX

static bool model_path(const char *glob, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (path && slash && !strchr(glob, '/'))
		path = slash + 1;
	return path && !fnmatch(glob, path, 0);
}

static bool model_list(const char *list, bool is_args, const struct policy_process *process)
{
	char *copy = strdup(list), *rest = copy, *glob;
	bool found = false;

	while ((glob = strsep(&rest, ","))) {
		size_t len;

		glob += strspn(glob, " \t");
		for (len = strlen(glob); len && strchr(" \t", glob[len - 1]); len--)
			glob[len - 1] = '\0';
		if (!*glob)
			continue;
		if (is_args)
			found |= process->args && !fnmatch(glob, process->args, 0);
		else
			found |= model_path(glob, process->exe) ||
				 model_path(glob, process->started_as);
	}
	free(copy);
	return found;
}

static bool model(const struct rule *rule, const struct policy_process *process)
{
	if (!rule->match && !rule->args)
		return (process->exe && !strcmp(basename(process->exe), rule->name)) ||
		       (process->started_as && !strcmp(basename(process->started_as), rule->name));
	return (!rule->match || model_list(rule->match, false, process)) &&
	       (!rule->args || model_list(rule->args, true, process));
}

static char *line(struct fuzz *fuzz)
{
	char *text = fuzz_text(fuzz, '\n');

	if (*text)
		return text;
	free(text);
	return NULL;
}

static void step_through(const char *list)
{
	char glob[POLICY_GLOB_MAX];
	size_t steps = 0, most = list ? strlen(list) : 0;

	while (list && policy_next_glob(&list, glob))
		CLAIM(++steps <= most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { data, data + size };
	char *match = line(&fuzz), *args = line(&fuzz), *exe = line(&fuzz), *start = line(&fuzz),
	     *command = line(&fuzz);
	const struct rule rule = { .name = "curl", .match = match, .args = args };
	const struct policy_process process = { .exe = exe, .started_as = start, .args = command };

	/* no line of a configuration is longer, and what comes without one is passed over */
	if ((!match || strlen(match) < LONGEST) && (!args || strlen(args) < LONGEST))
		CLAIM(policy_match(&rule, &process) == model(&rule, &process));
	else
		policy_match(&rule, &process);
	step_through(match);
	step_through(args);
	free(match);
	free(args);
	free(exe);
	free(start);
	free(command);
	return 0;
}
